// The words of a call, beside its sound: what is being said is marked, and a click goes there.

import { clock, fill, h } from "./dom.js";
import { named, t } from "./language.js";
import { find, mark } from "./quotes.js";

const DOUBTFUL = 0.5;
const SLACK = 0.05;

/** `play(seconds)` is called when the user picks a moment. */
export class Transcript {
  constructor(play) {
    this.play = play;
    this.rows = [];
    this.timed = [];
    this.current = null;
    this.following = true;
    this.words = [];
    this.notes = h("div", { class: "notes" });
    this.list = h("ol", { class: "utterances" });
    this.list.addEventListener("click", (event) => this.#clicked(event));
    this.box = h("div", { class: "scroller", tabindex: "0", role: "region" }, this.list);
    for (const name of ["wheel", "touchmove"]) this.box.addEventListener(name, () => this.follow(false), { passive: true });
    this.node = h("div", null, this.notes, this.box);
    this.onfollow = () => {};
  }

  show(transcript, waiting) {
    this.box.setAttribute("aria-label", t("transcript.title"));
    const utterances = transcript?.utterances ?? [];
    const spoken = transcript?.language;
    this.current = null;
    this.#unmark();
    this.words = [...(transcript?.words ?? [])].sort((one, other) => one.start - other.start);
    this.rows = utterances.map((utterance) => row(utterance, spoken));
    this.byId = new Map(this.rows.map((one) => [one.utterance.id, one]));
    this.timed = this.rows.filter((one) => one.utterance.start !== null)
      .sort((one, other) => one.utterance.start - other.utterance.start);
    fill(this.list, ...this.rows.map((one) => one.node));
    if (!utterances.length) fill(this.list, h("li", { class: "faint" }, t(waiting ? "transcript.pending" : "transcript.none")));
    fill(this.notes, ...notes(transcript));
  }

  follow(wanted) {
    if (this.following === wanted) return;
    this.following = wanted;
    this.onfollow(wanted);
    if (wanted && this.current) this.#center(this.current);
  }

  /** Marks what is said at this second. */
  at(seconds) {
    const said = this.#saidAt(seconds);
    if (said !== this.current) {
      this.current?.node.removeAttribute("aria-current");
      this.current = said;
      said?.node.setAttribute("aria-current", "true");
      if (said && this.following) this.#center(said);
    }
    mark("word", said ? this.#wordAt(said, seconds) : []);
  }

  /** Shows an utterance and marks the quote in it. Tells whether it is there. */
  quote(utteranceId, quote) {
    const one = this.byId?.get(utteranceId);
    for (const marked of this.list.querySelectorAll(".quoted")) marked.classList.remove("quoted");
    if (!one) return false;
    one.node.classList.add("quoted");
    const place = find(one.utterance.text, quote);
    mark("quote", place && one.text.firstChild ? [[one.text.firstChild, ...place]] : []);
    this.#center(one);
    return true;
  }

  #saidAt(seconds) {
    let [low, high] = [0, this.timed.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.timed[middle].utterance.start <= seconds + SLACK) low = middle + 1;
      else high = middle;
    }
    return this.timed[low - 1] ?? null;
  }

  #wordAt(said, seconds) {
    said.words ??= places(said, this.words);
    const now = said.words.findLast((word) => word.start <= seconds + SLACK);
    return now && seconds <= now.end + 0.5 ? [[said.text.firstChild, ...now.place]] : [];
  }

  #center(one) {
    const [box, row] = [this.box.getBoundingClientRect(), one.node.getBoundingClientRect()];
    const top = this.box.scrollTop + row.top - box.top - (box.height - row.height) / 2;
    const near = Math.abs(top - this.box.scrollTop) < 2 * box.height;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.box.scrollTo({ top, behavior: near && !calm ? "smooth" : "instant" });
  }

  #clicked(event) {
    const node = event.target.closest("li[data-at]");
    if (!node || !getSelection().isCollapsed) return;
    this.follow(true);
    this.play(Number(node.dataset.at));
  }

  #unmark() {
    mark("word", []);
    mark("quote", []);
  }
}

function row(utterance, spoken) {
  const doubtful = utterance.confidence !== null && utterance.confidence < DOUBTFUL;
  const text = h("p", { class: doubtful ? "text doubtful" : "text", lang: spoken, title: doubtful ? t("transcript.doubtful") : null }, utterance.text);
  const timed = utterance.start !== null;
  const time = clock(utterance.start);
  const node = h("li", { class: utterance.speaker, "data-at": timed ? utterance.start : null },
    timed && h("button", { type: "button", class: "time", "aria-label": t("transcript.play", { time }) }, time),
    h("span", { class: "speaker" }, named("speaker", utterance.speaker)),
    text);
  return { utterance, node, text, words: null };
}

/** Of the words said in this utterance, where each stands in its text. */
function places(said, words) {
  const { start, end, speaker, text } = said.utterance;
  const found = [];
  let from = 0;
  for (const word of words) {
    if (word.start < start - SLACK) continue;
    if (word.start > (end ?? start) + SLACK) break;
    if (word.speaker && speaker !== "unknown" && word.speaker !== speaker) continue;
    const place = find(text, word.word.trim(), from);
    if (!place) continue;
    found.push({ start: word.start, end: word.end, place });
    from = place[1];
  }
  return found;
}

function notes(transcript) {
  if (!transcript) return [];
  const { masked, suspect, channels } = transcript;
  const dropped = suspect.filter((one) => one.dropped).length;
  return [
    channels === "dual_mono" && h("p", null, t("transcript.dual_mono")),
    suspect.length > 0 && h("p", null, t("transcript.suspect", { n: suspect.length, dropped })),
    masked > 0 && h("p", null, t("transcript.masked", { n: masked })),
  ];
}
