// What both said, in order: speech as it settles, and how much of a reply was heard.

import { badge } from "./badges.js";
import { announce, fill, h } from "./dom.js";
import { named, t } from "./language.js";

const KOREAN = /[ㄱ-ㆎ가-힣]/;
const textOf = (item) => item.content.map((part) => part.transcript ?? part.text ?? "").join(" ").trim();

const unspoken = ({ chammal }) => chammal?.stages.some(({ stage, status }) => stage === "tts" && (status === "dummy" || status === "skipped"));

export class Turns {
  constructor() {
    this.node = h("ol", { class: "turns", role: "log", "aria-live": "off", tabindex: "0" });
    this.entries = new Map();
    this.draw();
  }

  draw() {
    this.node.setAttribute("aria-label", t("talk.log"));
    for (const entry of this.entries.values()) draw(entry);
  }

  clear() {
    this.entries.clear();
    this.node.replaceChildren();
  }

  told(event) {
    this.#does[event.type]?.(event);
  }

  #does = {
    "input_audio_buffer.speech_started": ({ item_id }) => this.#change(item_id, { role: "user" }),
    "conversation.item.input_audio_transcription.delta": ({ item_id, delta, chammal }) => {
      const settled = (this.entries.get(item_id)?.settled ?? "") + delta;
      this.#change(item_id, { role: "user", settled, unsettled: chammal?.unsettled ?? "" });
    },
    "conversation.item.input_audio_transcription.completed": ({ item_id, transcript, chammal }) => {
      if (!transcript.trim()) this.#drop(item_id);
      else this.#change(item_id, { role: "user", settled: transcript, unsettled: "", done: true, voice: chammal?.voice, spoken: chammal?.language });
    },
    "conversation.item.input_audio_transcription.failed": ({ item_id }) => this.#change(item_id, { role: "user", unsettled: "", done: true, failed: true }),
    "conversation.item.added": ({ item }) => {
      if (item.role !== "system" && !this.entries.has(item.id) && (item.role === "assistant" || textOf(item))) {
        this.#change(item.id, { role: item.role, settled: textOf(item), done: item.role === "user" });
      }
    },
    "conversation.item.retrieved": ({ item }) => this.#heard(item),
    "conversation.item.deleted": ({ item_id }) => this.#drop(item_id),
    "response.output_item.added": ({ item }) => this.#change(item.id, { role: "assistant" }),
    "response.output_audio_transcript.delta": (event) => this.#more(event),
    "response.output_text.delta": (event) => this.#more(event),
    "response.output_audio_transcript.done": ({ item_id, transcript }) => this.#whole(item_id, transcript),
    "response.output_text.done": ({ item_id, text }) => this.#whole(item_id, text),
    "response.done": ({ response }) => {
      const dummy = (response.chammal?.stages ?? []).some(({ stage, status }) => stage === "reply" && status === "dummy");
      for (const { id } of response.output) this.#change(id, { done: true, dummy, cut: response.status === "cancelled" });
      if (unspoken(response)) announce(response.output.map(textOf).join(" "));
    },
  };

  #more({ item_id, delta }) {
    this.#change(item_id, { role: "assistant", settled: (this.entries.get(item_id)?.settled ?? "") + delta });
  }

  /** After a cut, too, the text that was on its way comes: all of it stays in view. */
  #whole(item_id, text) {
    const before = this.entries.get(item_id)?.settled ?? "";
    this.#change(item_id, { role: "assistant", settled: text.length >= before.length ? text : before });
  }

  #heard(item) {
    const entry = this.entries.get(item.id);
    if (entry?.role === "assistant") this.#change(item.id, { cut: true, heard: textOf(item) });
  }

  #drop(id) {
    this.entries.get(id)?.node.remove();
    this.entries.delete(id);
  }

  #change(id, what) {
    let entry = this.entries.get(id);
    if (!entry) {
      entry = { settled: "", unsettled: "", node: h("li") };
      this.entries.set(id, entry);
      this.node.append(entry.node);
    }
    const { scrollHeight, scrollTop, clientHeight } = this.node;
    Object.assign(entry, what);
    draw(entry);
    if (scrollHeight - scrollTop - clientHeight < 80) this.node.scrollTop = this.node.scrollHeight;
  }
}

function draw(entry) {
  const { node, role, settled, unsettled, done, failed, cut, dummy, voice, heard } = entry;
  node.className = `turn ${role === "user" ? "person" : "reply"}`;
  fill(node,
    h("p", { class: "turn-head" }, h("span", { class: "speaker" }, t(role === "user" ? "talk.you" : "talk.mesh")),
      voice && badge("info", named("mood", voice.emotion)),
      dummy && badge("danger", t("talk.dummy")),
      cut && badge("muted", t("talk.cut")),
      failed && badge("danger", t("talk.unheard"))),
    h("p", { class: "said", lang: entry.spoken ?? (KOREAN.test(settled + unsettled) ? "ko" : "en") },
      ...(cut && heard !== undefined ? parted(settled, heard) : [h("span", { class: "settled" }, settled)]),
      unsettled && h("span", { class: "unsettled" }, unsettled),
      !done && !settled && !unsettled && h("span", { class: "unsettled" }, "…")));
}

/** What was heard of a reply, and the rest. */
function parted(all, heard) {
  const until = all.startsWith(heard) ? heard.length : 0;
  return [h("span", { class: "settled" }, all.slice(0, until)),
    until < all.length && h("span", { class: "never-heard", title: t("talk.cut.rest") }, all.slice(until))];
}
