// The conversation: one button, and what both sides say, how it was said, and how long it took.

import { onRefused } from "./api.js";
import { bannerNode } from "./banners.js";
import { announce, fill, h } from "./dom.js";
import { openFrame } from "./frame.js";
import { Health } from "./health.js";
import { named, onLanguage, t } from "./language.js";
import { Mood } from "./mood.js";
import { Session } from "./session.js";
import { Timings } from "./timings.js";
import { Turns } from "./turns.js";

const WORKLETS = new URL("./worklets.js", import.meta.url);
const SPOKEN = ["", "ko", "en"];
const LOUD = 0.25; // of the meter's end, as the root of the level
const FALL = 0.85; // of the meter, a frame
const AWAY = new Set(["off", "connecting"]);

const turns = new Turns();
const timings = new Timings();
const mood = new Mood();
const health = new Health();
const views = [turns, timings, mood, health];

const button = h("button", { type: "button", id: "go", class: "go", "aria-describedby": "phase" });
const phase = h("p", { id: "phase", class: "phase" });
const meter = h("div", { class: "level", role: "meter", "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0" });
const over = h("div", { class: "banners", role: "alert" });
const line = h("input", { type: "text", name: "line", maxlength: "4000", autocomplete: "off", disabled: true });
const send = h("button", { type: "submit", disabled: true });
const form = h("form", { class: "line" }, line, send);
const spoken = h("select", { name: "spoken" });
const quieted = h("input", { type: "checkbox", name: "quieted" });
const instructions = h("textarea", { name: "instructions", rows: "3", maxlength: "8000" });
const texts = { hint: h("p", { class: "faint" }), more: h("summary"), spoken: h("span"), quieted: h("span"), instructions: h("span"), next: h("p", { class: "faint" }), title: h("h1", { class: "unseen" }), log: h("h2") };
let last = null;
let loud = 0;
let ending = null;

const session = new Session(WORKLETS, {
  told(event) {
    for (const view of views) view.told(event);
  },
  changed: drawPhase,
  level(value) {
    loud = Math.max(loud * FALL, Math.min(1, Math.sqrt(value) / Math.sqrt(LOUD)));
    meter.style.setProperty("--level", loud.toFixed(3));
    meter.setAttribute("aria-valuenow", String(Math.round(loud * 100)));
  },
  felt: (seconds) => timings.felt(seconds),
  troubled: (name, parts) => health.troubled(name, parts),
  ended(name, parts) {
    ending = { name, parts };
    if (name === "key") askKey(null);
    drawEnding();
  },
});

function drawPhase() {
  const now = session.phase;
  if (now === last) return;
  if (now === "off") {
    loud = 0;
    meter.style.setProperty("--level", 0);
  }
  button.dataset.phase = now;
  button.setAttribute("aria-pressed", String(now !== "off"));
  fill(button, t(now === "off" ? "talk.start" : "talk.stop"));
  fill(phase, named("talk.phase", now));
  const ready = !AWAY.has(now);
  line.disabled = send.disabled = !ready;
  if (ready && AWAY.has(last)) announce(t("talk.phase.listening"));
  last = now;
}

function drawEnding() {
  const { name, parts } = ending ?? {};
  const known = name && t(`talk.${name}`, parts);
  const text = known === `talk.${name}` ? t("talk.closed", parts) : known;
  fill(over, text && bannerNode({ tone: "danger", lines: [text, parts.reason] }));
}

function draw() {
  document.title = t("title.talk");
  for (const [name, node] of Object.entries(texts)) fill(node, t(`talk.text.${name}`));
  fill(spoken, ...SPOKEN.map((one) => h("option", { value: one, selected: one === spoken.value }, one ? named("spoken", one) : t("choice.auto"))));
  meter.setAttribute("aria-label", t("talk.level"));
  line.setAttribute("aria-label", t("talk.line"));
  line.placeholder = t("talk.line");
  fill(send, t("talk.send"));
  for (const view of views) view.draw();
  last = null;
  drawPhase();
  drawEnding();
}

function start() {
  for (const view of views) view.clear();
  ending = null;
  drawEnding();
  const asked = { language: spoken.value || null, quieted: quieted.checked, instructions: instructions.value.trim() };
  session.start(asked).catch((error) => health.troubled("microphone.failed", { reason: error.message }));
}

button.addEventListener("click", () => {
  if (session.on) session.stop();
  else start();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = line.value.trim();
  if (!text || line.disabled) return;
  line.value = "";
  session.write(text);
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && session.on && !document.querySelector("dialog")) session.hush();
});
addEventListener("pagehide", () => { if (session.on) session.stop(); });

fill(document.getElementById("talk"), texts.title,
  h("section", { class: "card desk" },
    h("div", { class: "desk-row" }, button, h("div", { class: "desk-state" }, phase, meter)),
    texts.hint,
    h("details", { class: "more" }, texts.more,
      h("label", { class: "field" }, texts.spoken, spoken),
      h("label", { class: "tick" }, quieted, texts.quieted),
      h("label", { class: "field" }, texts.instructions, instructions),
      texts.next)),
  over, health.node,
  h("div", { class: "talk-columns" },
    h("section", { class: "card both" }, texts.log, turns.node, form),
    h("div", { class: "side" }, timings.node, mood.node)));

const askKey = openFrame(() => { if (!session.on) start(); });
onRefused((error) => askKey(error.message));
onLanguage(draw);
draw();
