// Sending recordings: many at once, two at a time, each with its own progress until the analysis is done.

import { sendCall } from "./api.js";
import { said, statusBadge } from "./badges.js";
import { progressBar } from "./banners.js";
import { announce, arrange, fill, h, keepingFocus } from "./dom.js";
import { Fields } from "./fields.js";
import { percent, t } from "./language.js";

const AT_ONCE = 2;
const BUSY = new Set([429, 503]);
const SHORTEST_WAIT = 2;
const ENDED = new Set(["complete", "partial", "failed"]);

/** Not crypto.randomUUID, which plain http in an office does not have. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

class Upload {
  constructor(file, metadata, changed) {
    this.file = file;
    this.metadata = metadata;
    this.changed = changed;
    this.key = newKey();
    this.state = "waiting";
    this.sent = 0;
    this.id = null;
    this.call = null;
    this.stop = new AbortController();
    this.node = h("li", { class: "upload" });
  }

  get active() {
    return ["sending", "storing", "busy"].includes(this.state);
  }

  async send() {
    try {
      for (;;) {
        this.#become("sending");
        try {
          return this.#accepted(await sendCall(this.file, this.metadata, this.key, (sent, total) => this.#progressed(sent, total), this.stop.signal));
        } catch (error) {
          if (!BUSY.has(error.status)) throw error;
          await this.#waitFor(error.retryAfter ?? SHORTEST_WAIT);
        }
      }
    } catch (error) {
      if (error.name === "AbortError") this.#become("cancelled");
      else {
        this.error = error;
        this.#become("failed");
        announce(`${this.file.name}: ${t("upload.failed", { detail: said(error) })}`);
      }
    }
  }

  cancel() {
    if (this.state === "waiting") this.#become("cancelled");
    this.stop.abort();
  }

  again() {
    this.stop = new AbortController();
    this.sent = 0;
    this.#become("waiting");
  }

  /** Something of the call that this became has changed. */
  told(event) {
    if (event.id !== this.id || event.deleted) return;
    this.call = event;
    this.draw();
  }

  async #waitFor(seconds) {
    this.wait = Math.ceil(seconds);
    this.#become("busy");
    await new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.stop.signal.addEventListener("abort", () => { clearTimeout(timer); reject(new DOMException("", "AbortError")); });
    });
  }

  #progressed(sent, total) {
    this.sent = total ? sent / total : 1;
    if (this.sent >= 1) this.state = "storing";
    this.draw();
  }

  #accepted({ id, status, repeated }) {
    this.id = id;
    this.repeated = repeated;
    this.call ??= { status, stages: [], healing: "none", progress: null };
    this.#become("accepted");
    announce(`${this.file.name}: ${t("upload.accepted")}`);
  }

  #become(state) {
    this.state = state;
    this.draw();
    this.changed();
  }

  draw() {
    keepingFocus(this.node, () => this.#draw());
  }

  #draw() {
    const name = this.file.name;
    fill(this.node,
      h("span", { class: "name" }, this.id ? h("a", { href: `/calls/${encodeURIComponent(this.id)}` }, name) : name),
      this.#bar(name), h("span", { class: "state" }, this.#said()), this.#button(name));
  }

  #bar(name) {
    if (this.state === "accepted") {
      const { progress, status } = this.call;
      return progress && !ENDED.has(status) ? progressBar(progress) : h("span");
    }
    const value = this.state === "storing" ? null : this.sent;
    return h("progress", { max: 1, value, "aria-label": t("upload.progress", { name }) });
  }

  #said() {
    if (this.state === "accepted") return [this.repeated && t("upload.repeated"), statusBadge(this.call.status, this.call.healing)];
    const parts = { percent: percent(this.sent), seconds: this.wait, detail: this.error ? said(this.error) : "" };
    return t(`upload.${this.state}`, parts);
  }

  #button(name) {
    if (this.state === "failed" || this.state === "cancelled") return h("button", { type: "button", onclick: () => this.again() }, t("retry"));
    if (this.state === "accepted") return null;
    return h("button", { type: "button", class: "quiet", "aria-label": t("upload.cancel", { name }), onclick: () => this.cancel() }, t("cancel"));
  }
}

export class Uploads {
  constructor() {
    this.all = [];
    this.list = h("ul", { class: "uploads" });
    this.dismiss = h("button", { type: "button", class: "quiet", onclick: () => this.#dismiss() });
    this.picker = h("input", { type: "file", multiple: true, class: "unseen", id: "files", accept: "audio/*,video/*" });
    this.picker.addEventListener("change", () => { this.add([...this.picker.files]); this.picker.value = ""; });
    this.node = h("section", { class: "card upload-card" });
    this.fields = new Fields();
    this.#dropping();
    this.draw();
    addEventListener("beforeunload", (event) => { if (this.all.some((one) => one.active || one.state === "waiting")) event.preventDefault(); });
  }

  add(files) {
    const { metadata } = this.fields;
    this.all.unshift(...files.map((file) => new Upload(file, metadata, () => this.#next())));
    for (const upload of this.all) upload.draw();
    this.#next();
  }

  told(event) {
    for (const upload of this.all) upload.told(event);
  }

  draw() {
    this.fields.draw();
    fill(this.node,
      h("h2", null, t("upload.title")),
      h("div", { class: "drop" }, t("upload.drop"), " ", this.picker, h("label", { for: "files", class: "button primary" }, t("upload.choose")),
        h("p", { class: "faint" }, t("upload.hint"))),
      this.fields.node,
      this.list, this.dismiss);
    this.list.setAttribute("aria-label", t("upload.list"));
    fill(this.dismiss, t("upload.dismiss"));
    for (const upload of this.all) upload.draw();
    this.#show();
  }

  #dropping() {
    let inside = 0;
    const files = (event) => event.dataTransfer?.types.includes("Files");
    const over = (change) => { inside = Math.max(0, inside + change); document.body.classList.toggle("dropping", inside > 0); };
    addEventListener("dragenter", (event) => { if (files(event)) over(1); });
    addEventListener("dragleave", (event) => { if (files(event)) over(-1); });
    addEventListener("dragover", (event) => { if (files(event)) event.preventDefault(); });
    addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      over(-inside);
      this.add([...event.dataTransfer.files]);
      this.ondrop?.();
    });
  }

  #next() {
    this.#show();
    const free = AT_ONCE - this.all.filter((one) => one.active).length;
    const waiting = this.all.filter((one) => one.state === "waiting").reverse();
    for (const upload of waiting.slice(0, Math.max(0, free))) upload.send();
  }

  #dismiss() {
    this.all = this.all.filter((one) => one.active || one.state === "waiting");
    this.#show();
  }

  #show() {
    arrange(this.list, this.all.map((one) => one.node));
    this.dismiss.hidden = !this.all.some((one) => !one.active && one.state !== "waiting");
  }
}
