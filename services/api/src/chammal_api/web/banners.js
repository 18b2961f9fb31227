// What is not as it should be with a call, why, and what becomes of it.

import { STAGES } from "./badges.js";
import { clock, h } from "./dom.js";
import { moment, named, t } from "./language.js";

const LACKING = new Set(["degraded", "dummy", "skipped"]);

/** Banners for this call, the gravest first: `{tone, lines}` each. */
export function bannersOf(call) {
  const found = [];
  if (call.status === "failed") {
    found.push({ tone: "danger", lines: [t("banner.failed"), why(call.error?.detail), t("banner.failed.next")] });
  }
  if (call.status === "queued") found.push({ tone: "info", lines: [t("banner.queued")] });
  if (call.status === "running") found.push({ tone: "info", lines: [t("banner.running")] });
  if (call.status !== "failed") found.push(...lacking(call));
  if (call.healing.state === "healed") found.push({ tone: "good", lines: [t("heal.healed", { n: call.revision })] });
  return found;
}

function lacking(call) {
  const reports = STAGES.map((stage) => call.stages.find((one) => one.stage === stage)).filter((one) => one && LACKING.has(one.status));
  const found = [];
  for (const report of reports) {
    const told = t(`banner.${report.stage}.${report.status}`);
    const same = found.find((one) => one.status === report.status && one.why === reason(report));
    if (same) same.told.push(told);
    else found.push({ status: report.status, why: reason(report), told: [told] });
  }
  const banners = found.map(({ status, why: cause, told }) => ({ tone: status === "dummy" ? "danger" : "caution", lines: [told.join(" "), why(cause)] }));
  banners.push(...ofCheck(call, reports));
  if (call.status === "partial") banners.push({ tone: "info", lines: healing(call) });
  return banners;
}

/** Nothing where the stage before it has said as much. */
function ofCheck({ check }, reports) {
  const silent = reports.some((report) => report.stage === "stt" && report.status !== "degraded");
  if (!check || check.status === "complete" || (silent && check.status === "not_evaluated")) return [];
  return [{ tone: "caution", lines: [t(`banner.check.${check.status}`), why(check.reason)] }];
}

/** Of a stage's report, in the user's language where it is known. */
export function reason(report) {
  const type = report.error_type ? named("failure", report.error_type) : "";
  const known = type && !type.startsWith("failure.") ? type : "";
  return [known, report.error].filter(Boolean).join(": ");
}

export const why = (text) => (text ? t("why", { reason: text }) : null);

function healing({ healing: state }) {
  const missing = state.missing.map((stage) => named("stage", stage)).join(", ");
  const tried = state.attempts > 0 && t("heal.attempts", { n: state.attempts });
  if (state.state === "waiting") {
    return [t("heal.waiting", { missing }), state.since && t("heal.since", { time: moment(state.since) }), tried,
      state.next_at && t("heal.next", { time: moment(state.next_at) }), why(state.reason)];
  }
  if (state.state === "running") return [t("heal.running", { missing }), tried];
  if (state.state === "given_up") return [t("heal.given_up"), why(state.reason), tried];
  return [t("heal.none")];
}

export function bannerNode({ tone, lines }) {
  const [first, ...rest] = lines.filter(Boolean);
  return h("div", { class: `banner ${tone}` }, h("p", null, h("strong", null, first)), ...rest.map((line) => h("p", null, line)));
}

/** Of the stage that is running; without a bar's end while the length is unknown. */
export function progressBar(progress) {
  const { stage, done, total } = progress;
  const parts = { stage: named("stage", stage), done: clock(done), total: clock(total) };
  const text = t(total ? "banner.progress" : "banner.progress.open", parts);
  return h("div", { class: "progress" }, h("progress", { "aria-label": parts.stage, max: total || null, value: total ? Math.min(done, total) : null }),
    h("span", null, text));
}
