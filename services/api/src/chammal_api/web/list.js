// The list of calls: what was asked for, newest first, kept up to date by events.

import { listCalls } from "./api.js";
import { resultBadges, said, stageMarks, statusBadge } from "./badges.js";
import { arrange, clock, debounce, fill, h } from "./dom.js";
import { Filters } from "./filters.js";
import { moment, named, t } from "./language.js";
import { loadRules } from "./rules.js";
import { Uploads } from "./uploads.js";

const SETTLE = 700;

export class ListView {
  constructor(node) {
    this.node = node;
    this.uploads = new Uploads();
    this.filters = new Filters(() => this.load());
    this.rows = new Map();
    this.progress = new Map();
    this.next = null;
    this.asked = null;
    this.refresh = debounce(() => this.#refresh(), SETTLE);
    this.body = h("tbody");
    this.body.addEventListener("click", (event) => this.#clicked(event));
    this.message = h("p", { class: "message", role: "status" });
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.#more() });
    this.draw();
  }

  draw() {
    this.uploads.draw();
    this.filters.draw();
    fill(this.more, t("list.more"));
    const columns = ["call", "product", "agent", "when", "stages", "result"];
    const head = h("thead", null, h("tr", null, ...columns.map((one) => h("th", { scope: "col" }, t(`column.${one}`)))));
    const table = h("table", { class: "calls" }, h("caption", { class: "unseen" }, t("list.title")), head, this.body);
    fill(this.node, h("h1", { class: "unseen" }, t("title.list")), this.uploads.node, h("section", { class: "card" }, h("h2", { class: "large" }, t("list.title")), this.filters.node, table, this.message, this.more));
    for (const row of this.rows.values()) drawRow(row);
    if (this.asked) this.#say();
  }

  open() {
    document.title = t("title.list");
    const other = this.filters.read();
    if (other || !this.asked) this.load();
    else this.refresh();
  }

  async load() {
    this.asked?.abort();
    const asked = (this.asked = new AbortController());
    fill(this.message, t("loading"));
    try {
      const page = await listCalls(this.filters.query, null, asked.signal);
      this.#replace(page);
      this.#say();
      if (!this.ruled) await this.#rules().catch(() => {}); // then there is nothing to choose from
    } catch (error) {
      if (error.name !== "AbortError") this.#failed(error);
    }
  }

  async #rules() {
    await loadRules();
    this.ruled = true;
    this.filters.drawRules();
    this.uploads.fields.drawRules();
  }

  told(event) {
    this.uploads.told(event);
    if (event.status === "running" && event.progress) this.progress.set(event.id, event.progress);
    else this.progress.delete(event.id);
    const row = this.rows.get(event.id);
    if (row && !event.deleted) {
      const ended = event.revision !== row.call.revision || event.status !== row.call.status;
      Object.assign(row.call, { status: event.status, stages: event.stages, healing: event.healing, revision: event.revision });
      row.progress = this.progress.get(event.id);
      drawRow(row);
      if (!ended) return;
    }
    this.refresh();
  }

  /** The first page anew; what was loaded beyond it stays. */
  async #refresh() {
    if (this.node.hidden) return;
    try {
      const page = await listCalls(this.filters.query, null, this.asked?.signal);
      const beyond = [...this.rows.values()].slice(page.calls.length).map((row) => row.call);
      const fresh = new Set(page.calls.map((call) => call.id));
      const more = page.next !== null && this.rows.size > page.calls.length;
      const calls = more ? [...page.calls, ...beyond.filter((call) => !fresh.has(call.id))] : page.calls;
      this.#put(calls);
      if (!more) this.next = page.next;
      this.#say();
    } catch (error) {
      if (error.name !== "AbortError") this.#failed(error);
    }
  }

  async #more() {
    const page = await listCalls(this.filters.query, this.next, this.asked?.signal).catch((error) => this.#failed(error));
    if (!page) return;
    const known = [...this.rows.values()].map((row) => row.call);
    this.next = page.next;
    this.#put([...known, ...page.calls.filter((call) => !this.rows.has(call.id))]);
    this.#say();
  }

  #replace(page) {
    this.next = page.next;
    this.#put(page.calls);
  }

  #put(calls) {
    const rows = new Map();
    for (const call of calls) {
      const row = this.rows.get(call.id) ?? { node: h("tr") };
      row.call = call;
      row.progress = call.status === "running" && this.progress.get(call.id);
      drawRow(row);
      rows.set(call.id, row);
    }
    this.rows = rows;
    arrange(this.body, [...rows.values()].map((row) => row.node));
  }

  #say() {
    const none = t(this.filters.any ? "list.none" : "list.empty");
    const text = this.rows.size ? t("list.shown", { n: this.rows.size }) : none;
    if (this.message.textContent !== text) fill(this.message, text); // else it would be read out with each change
    this.more.hidden = this.next === null;
  }

  #failed(error) {
    fill(this.message, t("list.failed", { detail: said(error) }));
  }

  /** The whole row leads to its call; the link in it is for the keyboard. */
  #clicked(event) {
    if (event.target.closest("a") || !getSelection().isCollapsed) return;
    event.target.closest("tr")?.querySelector("a")?.click();
  }
}

function drawRow(row) {
  const { call } = row;
  const title = call.reference || call.filename || t("call.untitled", { id: call.id.slice(-8) });
  const shown = JSON.stringify([call, row.progress, t("list.title")]);
  if (row.shown === shown) return;
  row.shown = shown;
  const focused = row.node.contains(document.activeElement);
  fill(row.node,
    h("td", null, h("a", { href: `/calls/${encodeURIComponent(call.id)}` }, title),
      call.reference && call.filename && h("p", { class: "faint" }, call.filename),
      call.sentence && h("p", { class: "sentence" }, call.sentence),
      call.snippet && h("p", { class: "snippet" }, call.snippet)),
    h("td", { "data-label": t("column.product") }, call.product_type ? named("product", call.product_type) : "–"),
    h("td", { "data-label": t("column.agent") }, call.agent_id ?? "–"),
    h("td", { "data-label": t("column.when") }, moment(call.started_at ?? call.created_at), call.duration !== null && h("p", { class: "faint" }, clock(call.duration))),
    h("td", { "data-label": t("column.stages") }, statusBadge(call.status, call.healing), stageMarks(call.stages),
      row.progress && h("progress", { max: row.progress.total, value: row.progress.total && row.progress.done, "aria-label": named("stage", row.progress.stage) })),
    h("td", { "data-label": t("column.result") }, resultBadges(call)));
  if (focused) row.node.querySelector("a").focus();
}
