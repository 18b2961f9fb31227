// Korean or English: the browser's, until the user chooses.

import { english } from "./english.js";
import { korean } from "./korean.js";

const CHOSEN = "chammal.language";
const TABLES = { ko: korean, en: english };

function remembered() {
  try {
    return localStorage.getItem(CHOSEN);
  } catch {
    return null; // storage is forbidden
  }
}

function ofBrowser() {
  return (navigator.languages ?? [navigator.language]).some((one) => one.toLowerCase().startsWith("ko")) ? "ko" : "en";
}

let current = TABLES[remembered()] ? remembered() : ofBrowser();
const listeners = new Set();

export const language = () => current;

export function choose(wanted) {
  current = wanted;
  try {
    localStorage.setItem(CHOSEN, wanted);
  } catch {
    // it holds for this page
  }
  for (const listener of listeners) listener();
}

export function onLanguage(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The text of this name, with its {parts} put in. */
export function t(name, parts = {}) {
  const text = TABLES[current][name] ?? name;
  return text.replace(/\{(\w+)\}/g, (_, part) => String(parts[part] ?? ""));
}

/** The text for a value of an enumeration; the value itself where there is none. */
export function named(kind, value) {
  return TABLES[current][`${kind}.${value}`] ?? String(value ?? "");
}

export function moment(value) {
  if (!value) return "";
  const date = new Date(value);
  return date.toLocaleString(current === "ko" ? "ko-KR" : "en-GB", { dateStyle: "medium", timeStyle: "short" });
}

export function percent(share) {
  return `${Math.round(share * 100)} %`;
}
