// One call: its sound, what was said, and what the check makes of it. A new revision comes in while it plays on.

import { callPath, deleteCall, download, getCall, key, reanalyse } from "./api.js";
import { said, stageMarks, statusBadge } from "./badges.js";
import { bannerNode, bannersOf, progressBar } from "./banners.js";
import { confirmed } from "./dialogs.js";
import { announce, clock, debounce, fill, h, keepingFocus } from "./dom.js";
import { Elements } from "./elements.js";
import { language, moment, named, t } from "./language.js";
import { Facts } from "./facts.js";
import { Player } from "./player.js";
import { loadRules } from "./rules.js";
import { Transcript } from "./transcript.js";

const SETTLE = 150;
const FORMATS = ["txt", "srt", "vtt", "json"];

export class CallView {
  /** `leave()` goes back to the list. */
  constructor(node, id, leave) {
    this.node = node;
    this.id = id;
    this.leave = leave;
    this.call = null;
    this.asked = new AbortController();
    this.before = null;
    this.arrived = null;
    this.reload = debounce(() => this.load(), SETTLE);
    this.player = new Player(id, (seconds) => this.transcript.at(seconds));
    this.transcript = new Transcript((seconds) => this.player.play(seconds));
    this.player.follow.addEventListener("change", () => this.transcript.follow(this.player.follow.checked));
    this.transcript.onfollow = (following) => { this.player.follow.checked = following; };
    this.facts = new Facts();
    this.elements = new Elements((evidence) => this.#moment(evidence));
    this.parts = { head: h("header", { class: "call-head" }), banners: h("div", { class: "banners", "aria-live": "polite" }), progress: h("div", { class: "under" }), summary: h("section", { class: "card" }) };
    this.titles = { transcript: h("h2", null), check: h("h2", null) };
    fill(node, this.parts.head, this.parts.banners, this.parts.progress, h("div", { class: "columns" },
      h("section", { class: "card talk" }, this.titles.transcript, this.player.node, this.transcript.node),
      h("div", { class: "side" }, this.parts.summary, h("section", { class: "card" }, this.titles.check, this.elements.node))));
    this.#message(t("loading"));
    this.load().then(loadRules).then(() => this.draw()).catch(() => {}); // then the check's own names stand
  }

  async load() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    try {
      const call = await getCall(this.id, this.asked.signal);
      if (turn === this.turn) this.#take(call); // else a later answer was faster
    } catch (error) {
      if (error.name === "AbortError") return;
      const text = error.status === 404 ? t("call.gone") : t("call.failed", { detail: said(error) });
      if (!this.call || error.status === 404) this.#message(text);
      else announce(text);
    }
  }

  /** Progress is in the event; for all else, such as a webhook that was told, the call is fetched. */
  told(event) {
    if (event.id !== this.id) return;
    const state = ({ status, revision, stages }, healing) => JSON.stringify([status, revision, healing, stages.map((one) => [one.stage, one.status])]);
    const same = this.call && !event.deleted && state(event, event.healing) === state(this.call, this.call.healing.state);
    if (!same || !event.progress) return this.reload();
    this.call.progress = event.progress;
    this.#drawBanners();
  }

  end() {
    this.asked.abort();
    this.player.end();
    this.transcript.show(null, true);
  }

  /** Draws everything again, in the language of now; the sound and the place in it stay. */
  draw() {
    if (this.call) keepingFocus(this.node, () => this.#draw());
  }

  #draw() {
    document.title = t("title.call", { name: this.#name() });
    this.player.translate();
    this.#drawHead();
    this.#drawBanners();
    this.#drawSummary();
    this.#drawTranscript();
    fill(this.titles.check, t("check.title"));
    this.elements.show(this.call.check, this.before, this.#waiting(), this.call.transcript?.language);
  }

  #take(call) {
    const old = this.call;
    this.call = call;
    if (old && call.revision > old.revision) this.#arrived(old, call);
    if (JSON.stringify(old) !== JSON.stringify(call)) this.draw();
  }

  #arrived(old, call) {
    const verdicts = (of) => new Map((of.check?.elements ?? []).map((one) => [one.id, one.verdict]));
    this.before = old.revision > 0 ? verdicts(old) : null;
    const now = verdicts(call);
    const changed = this.before ? [...now].filter(([id, verdict]) => this.before.has(id) && this.before.get(id) !== verdict).length : 0;
    this.arrived = old.revision > 0 ? { n: call.revision, changed } : null;
    announce([t("revision.arrived", { n: call.revision }), changed && t("revision.changed", { n: changed })].filter(Boolean).join(" "));
  }

  #drawTranscript() {
    const { transcript } = this.call;
    fill(this.titles.transcript, t("transcript.title"));
    const shown = JSON.stringify([transcript, t("transcript.title"), this.#waiting()]);
    if (shown === this.shown) return;
    this.shown = shown;
    const place = this.transcript.box.scrollTop;
    this.transcript.show(transcript, this.#waiting());
    this.transcript.box.scrollTop = place;
    if (this.player.audio.currentTime > 0) this.transcript.at(this.player.audio.currentTime);
  }

  #waiting() {
    return this.call.status === "queued" || this.call.status === "running";
  }

  #name() {
    return this.call.metadata.reference || this.call.recording.filename || t("call.untitled", { id: this.id.slice(-8) });
  }

  #drawHead() {
    const { call } = this;
    const { metadata } = call;
    const facts = [
      metadata.product_type && named("product", metadata.product_type), named("channel", metadata.channel),
      metadata.customer_type && named("customer", metadata.customer_type), metadata.agent_id && `${t("field.agent_id")} ${metadata.agent_id}`,
      moment(metadata.started_at ?? call.created_at), call.transcript && clock(call.transcript.duration), call.recording.filename,
      t("call.revision", { n: call.revision }),
    ];
    this.facts.show(call);
    fill(this.parts.head,
      h("a", { href: "/", class: "back" }, `← ${t("call.back")}`),
      h("div", { class: "title" }, h("h1", null, this.#name()), statusBadge(call.status, call.healing.state), stageMarks(call.stages)),
      h("p", { class: "faint" }, facts.filter(Boolean).join(" · ")),
      this.facts.node,
      h("div", { class: "actions" }, this.#downloads(),
        h("button", { type: "button", onclick: () => this.#reanalyse() }, t("call.reanalyse")),
        h("button", { type: "button", class: "danger quiet", onclick: () => this.#delete() }, t("call.delete"))));
  }

  #downloads() {
    const path = callPath(this.id);
    const files = [["call.recording", {}, `${path}/audio`, this.call.recording.filename ?? `${this.id}.audio`]];
    if (this.call.transcript) {
      files.unshift(...FORMATS.map((format) => ["call.transcript", { format }, `${path}/transcript.${format}`, `${this.id}.${format}`]));
    }
    if (this.call.revision > 0) files.unshift(["call.report", {}, `${path}/report`, `${this.id}.html`]);
    const closed = (event) => {
      if (event.key !== "Escape") return;
      event.currentTarget.open = false;
      event.currentTarget.querySelector("summary").focus();
    };
    return h("details", { class: "menu", onkeydown: closed }, h("summary", { class: "button" }, t("call.downloads")),
      h("ul", null, ...files.map(([text, parts, address, name]) => h("li", null, this.#link(t(text, parts), address, name)))));
  }

  #link(text, address, name) {
    if (key()) return h("button", { type: "button", onclick: () => download(address, name, language()).catch((error) => this.#refused(error)) }, text);
    const report = address.endsWith("/report");
    return h("a", report ? { href: address, target: "_blank", rel: "noopener" } : { href: address, download: name }, text);
  }

  #drawBanners() {
    const { progress, status, healing } = this.call;
    const works = status === "running" || healing.state === "running";
    fill(this.parts.progress, works && progress && progressBar(progress));
    const banners = bannersOf(this.call);
    if (this.arrived) {
      const { n, changed } = this.arrived;
      banners.unshift({ tone: "good", lines: [t("revision.arrived", { n }), changed && t("revision.changed", { n: changed })] });
    }
    const told = JSON.stringify(banners);
    if (told === this.banners) return; // else it would be read out again with each second of progress
    this.banners = told;
    fill(this.parts.banners, ...banners.map(bannerNode));
  }

  #drawSummary() {
    const { summary } = this.call;
    fill(this.parts.summary, h("h2", null, t("summary.title")), ...(summary ? [
      h("p", { class: "lead", lang: this.call.transcript?.language }, summary.sentence),
      h("dl", null, h("dt", null, t("summary.reason")), h("dd", { lang: this.call.transcript?.language }, summary.reason), h("dt", null, t("summary.actions")), h("dd", { lang: this.call.transcript?.language }, summary.actions)),
      h("p", { class: "faint" }, t("summary.model")),
    ] : [h("p", { class: "faint" }, t("summary.none"))]));
  }

  #moment(evidence) {
    this.transcript.follow(true);
    if (evidence.start !== null) this.player.play(evidence.start);
    this.transcript.quote(evidence.utterance_id, evidence.quote);
    if (matchMedia("(max-width: 60rem)").matches) this.transcript.box.scrollIntoView({ block: "nearest" }); // it stands above
  }

  async #reanalyse() {
    if (!(await confirmed(t("reanalyse.title"), t("reanalyse.body"), t("call.reanalyse")))) return;
    try {
      await reanalyse(this.id);
      announce(t("reanalyse.started"));
      this.load();
    } catch (error) {
      this.#refused(error);
    }
  }

  async #delete() {
    if (!(await confirmed(t("delete.title"), t("delete.body"), t("call.delete"), true))) return;
    try {
      await deleteCall(this.id);
      announce(t("delete.done"));
      this.leave();
    } catch (error) {
      this.#refused(error);
    }
  }

  #refused(error) {
    this.parts.banners.prepend(bannerNode({ tone: "danger", lines: [t("action.failed", { detail: said(error) })] }));
  }

  #message(text) {
    fill(this.parts.head, h("a", { href: "/", class: "back" }, `← ${t("call.back")}`), h("h1", null, text));
    fill(this.parts.banners);
    this.banners = null;
    this.node.classList.toggle("bare", text !== t("loading"));
  }
}
