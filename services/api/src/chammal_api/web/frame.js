// What both documents have around their content: the languages and the key.

import { key } from "./api.js";
import { askForKey } from "./dialogs.js";
import { fill } from "./dom.js";
import { choose, language, onLanguage, t } from "./language.js";

const part = (id) => document.getElementById(id);

function translate() {
  document.documentElement.lang = language();
  for (const node of document.querySelectorAll("[data-t]")) fill(node, t(node.dataset.t));
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const one of ["ko", "en"]) part(one).setAttribute("aria-pressed", String(language() === one));
}

/** `changed()` when there is another key. What it gives back asks for one; `detail` is why the last was not taken. */
export function openFrame(changed) {
  const askKey = (detail) => {
    part("key").hidden = false;
    askForKey(changed, detail);
  };
  for (const one of ["ko", "en"]) part(one).addEventListener("click", () => choose(one));
  onLanguage(translate);
  part("key").addEventListener("click", () => askKey(null));
  part("key").hidden = !key();
  translate();
  return askKey;
}
