// Where the time of this turn went, from the end of the person's speech to the first sound of the reply.

import { stageMarks } from "./badges.js";
import { fill, h } from "./dom.js";
import { named, t } from "./language.js";

const WHOLE = "first_out";
const BESIDE = new Set([WHOLE, "whole", "recognise"]); // not parts of the way
const seconds = (value) => t("talk.seconds", { n: value.toFixed(2) });

export class Timings {
  constructor() {
    this.node = h("section", { class: "card" });
    this.clear();
  }

  clear() {
    this.turn = { hearing: null, reply: null, felt: null };
    this.draw();
  }

  /** What is known of the turn before stays until more is known of this one. */
  told(event) {
    if (event.type === "conversation.item.input_audio_transcription.completed" && event.chammal) {
      this.turn = { hearing: event.chammal, reply: null, felt: null };
    } else if (event.type === "response.created") Object.assign(this.turn, { reply: null, felt: null });
    else if (event.type === "response.done" && event.response.chammal) this.turn.reply = event.response.chammal;
    else return;
    this.draw();
  }

  felt(value) {
    this.turn.felt = value;
    this.draw();
  }

  draw() {
    const { hearing, reply, felt } = this.turn;
    const known = reply ?? hearing ?? { seconds: {}, stages: [] };
    const parts = Object.entries(known.seconds).filter(([name]) => !BESIDE.has(name));
    const longest = Math.max(0.001, ...parts.map(([, value]) => value));
    const reports = known.stages;
    const stages = reports.map((report) => report.stage);
    fill(this.node, h("h2", null, t("talk.turn")),
      !parts.length && felt === null && h("p", { class: "faint" }, t("talk.turn.none")),
      stageMarks(reports, stages),
      parts.length > 0 && h("dl", { class: "timings" }, ...parts.flatMap(([name, value]) => [h("dt", null, named("talk.part", name)), bar(value, value / longest)])),
      (felt !== null || reply?.seconds[WHOLE] !== undefined) && h("p", { class: "felt" }, t("talk.felt"), h("strong", null, seconds(felt ?? reply.seconds[WHOLE]))),
      felt === null && reply?.seconds[WHOLE] !== undefined && h("p", { class: "faint" }, t("talk.felt.mesh")),
      reply?.left_out > 0 && h("p", { class: "faint" }, t("talk.left_out", { n: reply.left_out })));
  }
}

function bar(value, share) {
  const shown = h("span", { class: "bar", "aria-hidden": "true" });
  shown.style.setProperty("--share", Math.max(0, share));
  return h("dd", null, shown, seconds(value));
}
