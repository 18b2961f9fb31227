// The check: each element with its verdict, how sure it is, and the moments that it rests on.

import { badge, verdictBadge, VERDICTS } from "./badges.js";
import { clock, fill, h } from "./dom.js";
import { named, percent, t } from "./language.js";
import { elementName } from "./rules.js";

export class Elements {
  /** `chosen(evidence)` when the user picks one. */
  constructor(chosen) {
    this.chosen = chosen;
    this.only = null;
    this.head = h("div", { class: "check-head" });
    this.filter = h("div", { class: "chips", role: "group" });
    this.list = h("ul", { class: "elements" });
    this.node = h("div", null, this.head, this.filter, this.list);
  }

  /** `before` holds the verdicts of the revision that was shown until now, by element; `spoken` is the call's language. */
  show(check, before, waiting, spoken) {
    this.check = check;
    this.spoken = spoken;
    this.before = before;
    this.waiting = waiting;
    this.#draw();
  }

  #draw() {
    const { check } = this;
    if (!check) {
      fill(this.head, h("p", { class: "faint" }, t(this.waiting ? "check.pending" : "check.none")));
      fill(this.filter);
      fill(this.list);
      return;
    }
    const scored = check.score === null ? t("check.unscored") : t("check.score.of", { score: Math.round(check.score) });
    fill(this.head,
      h("p", { class: "total" }, h("span", { class: "unseen" }, `${t("check.score")}: `), h("strong", null, scored)),
      h("p", { class: "faint" }, t("check.law")),
      h("p", { class: "faint" }, t("check.rules", { name: check.rule_set, version: check.rule_set_version }), check.model && ` · ${check.model}`));
    this.#drawFilter();
    const shown = check.elements.filter((element) => !this.only || element.verdict === this.only);
    shown.sort((one, other) => VERDICTS.indexOf(one.verdict) - VERDICTS.indexOf(other.verdict));
    fill(this.list, ...shown.map((element) => this.#element(element)));
  }

  #drawFilter() {
    this.filter.setAttribute("aria-label", t("check.filter"));
    const count = (verdict) => this.check.elements.filter((element) => element.verdict === verdict).length;
    const chip = (verdict, text) => h("button", {
      type: "button", "aria-pressed": String(this.only === verdict), "data-verdict": verdict ?? "all",
      onclick: () => this.#choose(verdict),
    }, text);
    fill(this.filter, chip(null, `${t("check.all")} ${this.check.elements.length}`),
      ...VERDICTS.filter((verdict) => count(verdict)).map((verdict) => chip(verdict, `${named("verdict", verdict)} ${count(verdict)}`)));
  }

  #choose(verdict) {
    this.only = this.only === verdict ? null : verdict;
    this.#draw();
    this.filter.querySelector(`[data-verdict="${this.only ?? "all"}"]`)?.focus();
  }

  #element(element) {
    const was = this.before?.get(element.id);
    const name = elementName(element.id, element.name);
    const changed = was !== undefined && was !== element.verdict;
    return h("li", { class: changed ? "element changed" : "element", "data-element": element.id },
      h("div", { class: "element-head" },
        verdictBadge(element.verdict),
        h("h3", { lang: name === element.name ? "ko" : "en" }, name),
        h("span", { class: "faint" }, t("check.confidence", { share: percent(element.confidence) }))),
      h("p", { class: "faint", lang: "ko" }, `${element.id} · ${element.article}`),
      h("p", { class: "badges" },
        changed && badge("info", t("check.changed", { verdict: named("verdict", was) })),
        element.needs_human && badge("human", t("check.human")),
        element.needs_legal_review && badge("muted", t("check.legal")),
        badge("muted", t("check.severity", { severity: named("severity", element.severity) })),
        badge("muted", t("check.judge", { judge: named("judge", element.judge) }))),
      element.reason && h("p", { class: "reason" }, element.reason),
      element.evidence.length > 0 && h("ul", { class: "evidence" }, ...element.evidence.map((one) => h("li", null, this.#evidence(one)))));
  }

  #evidence(evidence) {
    const [time, speaker] = [clock(evidence.start), named("speaker", evidence.speaker)];
    return h("button", {
      type: "button", "aria-label": t("check.evidence", { time, speaker, quote: evidence.quote }),
      onclick: () => this.chosen(evidence),
    }, h("span", { class: "time" }, time || "–"), h("span", { class: "speaker" }, speaker), h("q", { lang: this.spoken }, evidence.quote));
  }
}
