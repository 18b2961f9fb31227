import { key, setKey } from "./api.js";
import { h } from "./dom.js";
import { t } from "./language.js";

function open(...content) {
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, ...content);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Resolves to whether the user said yes. */
export function confirmed(title, body, action, dangerous = false) {
  return new Promise((resolve) => {
    const yes = h("button", { type: "button", class: dangerous ? "danger" : "primary" }, action);
    const no = h("button", { type: "button", autofocus: true }, t("cancel"));
    const dialog = open(h("h2", { id: "dialog-title" }, title), h("p", null, body), h("div", { class: "actions" }, no, yes));
    yes.addEventListener("click", () => { resolve(true); dialog.close(); });
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => resolve(false));
  });
}

let asking = null;

/** Asks for a key; `changed()` when there is another. `detail` is why the last one was not taken. */
export function askForKey(changed, detail = null) {
  if (asking) return;
  const field = h("input", { type: "password", id: "key-field", autocomplete: "off", spellcheck: "false", autofocus: true, value: key() });
  const use = h("button", { type: "button", class: "primary" }, t("key.use"));
  const forget = h("button", { type: "button" }, t("key.forget"));
  const no = h("button", { type: "button" }, t("cancel"));
  asking = open(
    h("h2", { id: "dialog-title" }, t("key.title")),
    h("p", null, t("key.why")),
    detail && key() && h("p", { class: "refusal", role: "alert" }, t("key.refused", { detail })),
    h("label", { for: "key-field" }, t("key.label")),
    field,
    h("div", { class: "actions" }, key() && forget, no, use),
  );
  const end = (value) => {
    if (value !== undefined) { setKey(value); changed(); }
    asking.close();
  };
  use.addEventListener("click", () => end(field.value.trim()));
  forget.addEventListener("click", () => end(""));
  no.addEventListener("click", () => end());
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // else the button that the focus goes back to is pressed by it
    end(field.value.trim());
  });
  asking.addEventListener("close", () => { asking = null; });
}
