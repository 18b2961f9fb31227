// What is amiss in the conversation, one banner for each cause, until it is mended.

import { bannerNode, reason, why } from "./banners.js";
import { announce, fill, h } from "./dom.js";
import { t } from "./language.js";

const LACKING = new Set(["degraded", "dummy"]);
/** Banners that this event shows to be of the past. */
const OVER = { "response.created": ["error"], "conversation.item.input_audio_transcription.completed": ["lost", "slow"] };
const EXPECTED = new Set(["response_cancel_not_active"]); // it ended while the cancel was on its way

/** A real answer with an error is one that lacks a part. */
const lack = ({ status, error }) => (status === "degraded" && error ? "partly" : status);

export class Health {
  constructor() {
    this.node = h("div", { class: "banners", "aria-live": "polite" });
    this.found = new Map(); // cause → what gives its banner in the language of now
  }

  clear() {
    this.found.clear();
    this.draw();
  }

  told(event) {
    for (const cause of OVER[event.type] ?? []) this.found.delete(cause);
    if (event.type === "error") this.#error(event.error);
    else if (event.type === "chammal.stage") this.#stage(event.stage, event.lost_audio_ms);
    else if (event.type.endsWith("input_audio_transcription.failed") && event.error.chammal) this.#stage(event.error.chammal);
    else for (const report of event.chammal?.stages ?? event.response?.chammal?.stages ?? []) this.#stage(report);
    this.draw();
  }

  /** A trouble of the page's own; `parts` null when it is over. */
  troubled(name, parts = {}) {
    if (parts === null) this.found.delete(name);
    else this.found.set(name, () => ({ tone: "caution", lines: [t(`talk.${name}`, parts), why(parts.reason)] }));
    this.draw();
  }

  draw() {
    const shown = [...this.found.values()].map((make) => bannerNode(make()));
    const text = (nodes) => nodes.map((node) => node.textContent).join("\n");
    if (text(shown) !== text([...this.node.children])) fill(this.node, ...shown); // else it would be read out again
  }

  #error(error) {
    if (EXPECTED.has(error.code)) return;
    if (error.chammal) this.#stage(error.chammal);
    else this.troubled("error", { reason: error.message });
  }

  #stage(report, lost = 0) {
    const cause = `stage.${report.stage}`;
    if (LACKING.has(report.status)) {
      this.found.set(cause, () => ({ tone: report.status === "dummy" ? "danger" : "caution", lines: [t(`talk.banner.${report.stage}.${lack(report)}`), why(reason(report))] }));
    } else if (report.status === "ok" && this.found.delete(cause)) announce(t("talk.back", { stage: t(`stage.${report.stage}`) }));
    if (lost > 0) this.troubled("lost", { seconds: (lost / 1000).toFixed(1) });
  }
}
