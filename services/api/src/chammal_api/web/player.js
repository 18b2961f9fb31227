// The sound of a call. Without a key the browser streams it by ranges; with one it is fetched whole when first wanted,
// since an audio element cannot send a header and a key does not belong in an address.

import { callPath, key, request } from "./api.js";
import { said } from "./badges.js";
import { fill, h } from "./dom.js";
import { t } from "./language.js";

const RATES = [0.75, 1, 1.25, 1.5, 2];

export class Player {
  /** `moved(seconds)` while it plays and after each jump. */
  constructor(id, moved) {
    this.path = `${callPath(id)}/audio`;
    this.moved = moved;
    this.loading = null;
    this.object = null;
    this.gone = new AbortController();
    this.audio = h("audio", { controls: true, preload: "metadata" });
    this.rate = h("select", null, ...RATES.map((rate) => h("option", { value: rate, selected: rate === 1 }, `${rate}×`)));
    this.rate.addEventListener("change", () => { this.audio.playbackRate = Number(this.rate.value); });
    this.follow = h("input", { type: "checkbox", checked: true });
    this.load = h("button", { type: "button", hidden: true, onclick: () => this.#fetch() });
    this.state = h("p", { class: "state", role: "status" });
    this.labels = { rate: h("span"), follow: h("span") };
    this.node = h("div", { class: "player" }, this.load, this.audio,
      h("label", null, this.labels.rate, this.rate), h("label", null, this.follow, this.labels.follow), this.state);
    this.audio.addEventListener("timeupdate", () => moved(this.audio.currentTime));
    this.audio.addEventListener("seeking", () => moved(this.audio.currentTime));
    this.audio.addEventListener("playing", () => this.#tick());
    this.audio.addEventListener("error", () => { if (this.audio.getAttribute("src")) this.#failed(t("player.failed")); });
    this.translate();
    this.#begin();
  }

  translate() {
    this.audio.setAttribute("aria-label", t("player.label"));
    fill(this.load, t("player.load"));
    fill(this.labels.rate, t("player.rate"));
    fill(this.labels.follow, t("player.follow"));
  }

  async play(seconds) {
    if (this.object === null && key()) await this.#fetch();
    this.audio.currentTime = seconds;
    this.moved(seconds);
    await this.audio.play().catch(() => {}); // a jump elsewhere, or the user's leave is missing: the controls show it
  }

  end() {
    this.gone.abort();
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
    if (this.object) URL.revokeObjectURL(this.object);
  }

  #begin() {
    if (key()) {
      this.load.hidden = false;
      this.audio.hidden = true;
    } else this.audio.src = this.path;
  }

  #fetch() {
    this.loading ??= this.#fetched().finally(() => { this.loading = null; });
    return this.loading;
  }

  async #fetched() {
    fill(this.state, t("player.loading"));
    try {
      this.object = URL.createObjectURL(await (await request(this.path, { signal: this.gone.signal })).blob());
    } catch (error) {
      if (error.name !== "AbortError") this.#failed(said(error));
      return;
    }
    fill(this.state);
    this.audio.src = this.object;
    this.load.hidden = true;
    this.audio.hidden = false;
  }

  #failed(text) {
    fill(this.state, text);
  }

  #tick() {
    if (this.audio.paused || this.audio.ended) return;
    this.moved(this.audio.currentTime);
    requestAnimationFrame(() => this.#tick());
  }
}
