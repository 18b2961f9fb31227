// What the rules check, by name: for the filter, and for elements of a call in the user's language.

import { getRules } from "./api.js";
import { language } from "./language.js";

let known = new Map();

/** Elements of all rule sets, once each. */
export async function loadElements() {
  if (!known.size) {
    const { rule_sets: sets } = await getRules();
    known = new Map(sets.flatMap((set) => set.elements).map((element) => [element.id, element]));
  }
  return [...known.values()];
}

/** `name` is what the check itself said, which holds in Korean and for elements that are no more. */
export function elementName(id, name) {
  return (language() === "en" && known.get(id)?.name_en) || name;
}
