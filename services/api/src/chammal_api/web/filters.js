// What is asked of the list. It stands in the page's address, so that a view can be kept and shared.

import { HEALINGS, PRODUCTS, STATUSES, VERDICTS } from "./badges.js";
import { debounce, fill, h } from "./dom.js";
import { named, t } from "./language.js";
import { elementName, ruleElements } from "./rules.js";

const NAMES = ["q", "status", "healing", "verdict", "element", "needs_human", "product_type", "from", "to"];

export class Filters {
  constructor(changed) {
    this.changed = changed;
    this.node = h("search", { class: "filters" });
    this.values = {};
    this.later = debounce(() => this.#set(), 300);
    this.read();
  }

  /** Takes the values from the address; tells whether they are others than before. */
  read() {
    const query = new URLSearchParams(location.search);
    const values = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
    const other = JSON.stringify(values) !== JSON.stringify(this.values);
    this.values = values;
    this.draw();
    return other;
  }

  /** As the api asks for them: days become moments of this time zone, and the last day is meant whole. */
  get query() {
    const midnight = (day, later) => {
      const [year, month, date] = day.split("-").map(Number);
      return new Date(year, month - 1, date + later).toISOString();
    };
    const { from, to, ...rest } = this.values;
    return { ...rest, from: from && midnight(from, 0), to: to && midnight(to, 1) };
  }

  get any() {
    return NAMES.some((name) => this.values[name]);
  }

  draw() {
    const focused = document.activeElement?.getAttribute?.("name");
    const within = this.node.contains(document.activeElement);
    this.node.setAttribute("aria-label", t("filter.title"));
    const search = h("input", { type: "search", name: "q", value: this.values.q, maxlength: 200, oninput: this.later });
    fill(this.node,
      this.#labelled("q", search, "wide"),
      this.#select("status", choices("status", STATUSES)),
      this.#select("healing", choices("healing", HEALINGS)),
      this.#select("verdict", choices("verdict", VERDICTS)),
      this.#select("element", elements()),
      this.#select("needs_human", choices("human", ["true"])),
      this.#select("product_type", choices("product", PRODUCTS)),
      this.#labelled("from", h("input", { type: "date", name: "from", value: this.values.from, onchange: () => this.#set() })),
      this.#labelled("to", h("input", { type: "date", name: "to", value: this.values.to, onchange: () => this.#set() })),
      h("button", { type: "button", onclick: () => this.#clear() }, t("filter.clear")));
    if (within && focused) this.node.querySelector(`[name="${focused}"]`)?.focus();
  }

  /** The rules are known; what is being typed beside them stays. */
  drawRules() {
    fill(this.node.querySelector("[name=element]"), ...this.#options("element", elements()));
  }

  #labelled(name, field, also = "") {
    return h("label", { class: `field ${also}` }, h("span", null, t(`filter.${name}`)), field);
  }

  #select(name, offered) {
    return this.#labelled(name, h("select", { name, onchange: () => this.#set() }, ...this.#options(name, offered)));
  }

  /** One of the address that is not offered is shown as it stands there. */
  #options(name, offered) {
    const value = this.values[name];
    const all = !value || offered.some(([one]) => one === value) ? offered : [...offered, [value, value]];
    return [h("option", { value: "" }, t("filter.all")),
      ...all.map(([one, text]) => h("option", { value: one, selected: one === value }, text))];
  }

  #clear() {
    for (const field of this.node.querySelectorAll("[name]")) field.value = "";
    this.#set();
  }

  #set() {
    for (const name of NAMES) this.values[name] = this.node.querySelector(`[name=${name}]`).value.trim();
    const query = new URLSearchParams(Object.entries(this.values).filter(([, value]) => value));
    history.replaceState(null, "", query.size ? `/?${query}` : "/");
    this.changed();
  }
}

const choices = (kind, values) => values.map((one) => [one, named(kind, one)]);
const elements = () => ruleElements().map(({ id, name }) => [id, `${id} ${elementName(id, name)}`]);
