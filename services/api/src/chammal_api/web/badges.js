// Small marks: a verdict, a stage's health, a status. Each says in words what its colour says.

import { h } from "./dom.js";
import { named, t } from "./language.js";

export const STAGES = ["stt", "analysis", "summary"];
export const VERDICTS = ["위반의심", "미충족", "부분충족", "판정불가", "충족", "해당없음"];
export const STATUSES = ["queued", "running", "complete", "partial", "failed"];
export const HEALINGS = ["waiting", "running", "healed", "given_up"];
export const PRODUCTS = ["예금성", "대출성", "투자성", "보장성"];

const TONES = {
  위반의심: "danger", 미충족: "warning", 부분충족: "caution", 판정불가: "open", 충족: "good", 해당없음: "muted",
  queued: "muted", running: "info", complete: "good", partial: "caution", failed: "danger",
  ok: "good", degraded: "caution", dummy: "danger", skipped: "muted", pending: "open",
};
const MARKS = { ok: "✓", degraded: "≈", dummy: "✕", skipped: "–", pending: "…" };

export const badge = (tone, ...content) => h("span", { class: `badge ${tone}` }, ...content);
export const verdictBadge = (verdict) => badge(TONES[verdict] ?? "open", named("verdict", verdict));

export function statusBadge(status, healing) {
  const shown = badge(TONES[status] ?? "open", named("status", status));
  const also = healing && healing !== "none" ? badge("info", named("healing", healing)) : null;
  return h("span", { class: "badges" }, shown, also);
}

/** One mark for each of the stages; `reports` as in the contract. None before the first has ended. */
export function stageMarks(reports, stages = STAGES) {
  if (!reports.length) return null;
  return h("ul", { class: "stages" }, ...stages.map((stage) => {
    const status = reports.find((report) => report.stage === stage)?.status ?? "pending";
    const text = `${named("stage", stage)}: ${named("report", status)}`;
    return h("li", { class: `mark ${TONES[status] ?? "open"}`, title: text },
      h("span", { "aria-hidden": "true" }, `${MARKS[status] ?? "?"} ${named("stage", stage)}`),
      h("span", { class: "unseen" }, text));
  }));
}

export function resultBadges(row) {
  const suspected = row.suspected.length;
  const unmet = row.unmet.length;
  const judged = row.score !== null || suspected + unmet > 0;
  return h("span", { class: "badges" },
    row.score !== null && h("span", { class: "score" }, t("row.score", { score: Math.round(row.score) })),
    suspected > 0 && withTitle(badge("danger", t("row.suspected", { n: suspected })), row.suspected),
    unmet > 0 && withTitle(badge("warning", t("row.unmet", { n: unmet })), row.unmet),
    row.needs_human && badge("human", t("row.human")),
    !judged && h("span", { class: "faint" }, t("row.nothing")),
    judged && !suspected && !unmet && badge("good", t("row.clean")));
}

function withTitle(node, ids) {
  node.title = ids.join(", ");
  return node;
}

/** What an ApiError says, in the user's language where it is known. */
export function said(error) {
  const known = error.code ? t(`problem.${error.code}`, { detail: error.message }) : "";
  return known && known !== `problem.${error.code}` ? known : error.message || String(error);
}
