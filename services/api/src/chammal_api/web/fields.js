// What is said of a call when it is sent: it holds for every file that is added after.

import { PRODUCTS } from "./badges.js";
import { fill, h } from "./dom.js";
import { language, named, t } from "./language.js";
import { defaultRuleSet, ruleSets } from "./rules.js";

const OFTEN = 5;

export class Fields {
  constructor() {
    this.node = h("fieldset", { class: "fields" });
    this.more = h("details");
    this.fields = new Map();
  }

  /** Again in the language of now; what was chosen and typed stays. */
  draw() {
    const kept = this.#values();
    this.fields.clear();
    const labelled = this.#labelled();
    fill(this.more, h("summary", null, t("upload.more")), h("div", { class: "row" }, ...labelled.splice(OFTEN)));
    fill(this.node, h("legend", null, t("upload.details")), h("div", { class: "row" }, ...labelled), this.more);
    for (const [name, value] of kept) this.fields.get(name).value = value;
  }

  /** The rule sets are known. */
  drawRules() {
    const field = this.fields.get("rule_set");
    const chosen = field.value;
    fill(field, ...ruleOptions());
    field.value = chosen;
  }

  /** As the api takes it; what is not known is left out. */
  get metadata() {
    const given = Object.fromEntries(this.#values().map(([name, value]) => [name, value.trim()]).filter(([, value]) => value));
    if (given.started_at) given.started_at = new Date(given.started_at).toISOString();
    return given;
  }

  #values() {
    return [...this.fields].map(([name, field]) => [name, field.value]);
  }

  #labelled() {
    return [
      this.#choice("product_type", "product", PRODUCTS, "none"),
      this.#choice("channel", "channel", ["phone", "face_to_face", "video"]),
      this.#field("started_at", h("input", { type: "datetime-local" })),
      this.#text("agent_id", 128),
      this.#text("reference", 256),
      this.#choice("customer_type", "customer", ["일반", "전문"], "unknown"),
      this.#choice("language", "spoken", ["ko", "en"], "auto"),
      this.#choice("channels", "channels", ["split", "mix"], "auto"),
      this.#choice("priority", "priority", ["batch", "interactive"]),
      this.#field("rule_set", h("select", null, ...ruleOptions())),
      this.#text("hotwords", 1000, "text", "wide"),
      this.#text("webhook_url", 2048, "url", "wide"),
      this.#text("agent_url", 2048, "url", "wide"),
      this.#choice("agent_request_format", "format", ["prompt_based", "text_only"]),
    ];
  }

  #choice(name, kind, values, none) {
    return this.#field(name, h("select", null, none && h("option", { value: "" }, t(`choice.${none}`)),
      ...values.map((one) => h("option", { value: one }, named(kind, one)))));
  }

  #text(name, maxlength, type = "text", also = "") {
    return this.#field(name, h("input", { type, maxlength, autocomplete: "off", spellcheck: "false" }), also);
  }

  #field(name, field, also = "") {
    field.name = name;
    this.fields.set(name, field);
    return h("label", { class: `field ${also}` }, h("span", null, t(`field.${name}`)), field);
  }
}

function ruleOptions() {
  const title = (set) => (language() === "en" && set.title_en) || set.title || set.name;
  const inForce = ruleSets().find((set) => set.name === defaultRuleSet());
  return [h("option", { value: "" }, inForce ? t("choice.default", { name: title(inForce) }) : t("choice.auto")),
    ...ruleSets().filter((set) => set !== inForce).map((set) => h("option", { value: set.name }, title(set)))];
}
