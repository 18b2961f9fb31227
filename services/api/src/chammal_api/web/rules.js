// What the rules check, by name: for the filter, for an upload, and for elements of a call in the user's language.

import { getRules } from "./api.js";
import { language } from "./language.js";

let told = { default: "", rule_sets: [] };
let known = new Map();

/** Once for the page; until then there are none. */
export async function loadRules() {
  if (known.size) return;
  told = await getRules();
  known = new Map(told.rule_sets.flatMap((set) => set.elements).map((element) => [element.id, element]));
}

export const ruleSets = () => told.rule_sets;
export const defaultRuleSet = () => told.default;
/** Of all rule sets, once each. */
export const ruleElements = () => [...known.values()];

/** `name` is what the check itself said, which holds in Korean and for elements that are no more. */
export function elementName(id, name) {
  return (language() === "en" && known.get(id)?.name_en) || name;
}
