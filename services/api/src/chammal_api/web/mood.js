// How the last turn sounded, and what that was read from.

import { fill, h } from "./dom.js";
import { named, percent, t } from "./language.js";

export class Mood {
  constructor() {
    this.node = h("section", { class: "card" });
    this.clear();
  }

  clear() {
    this.voice = null;
    this.draw();
  }

  told(event) {
    if (event.type !== "conversation.item.input_audio_transcription.completed") return;
    this.voice = event.chammal?.voice ?? null;
    this.draw();
  }

  draw() {
    const { voice } = this;
    if (!voice) {
      fill(this.node, h("h2", null, t("talk.mood")), h("p", { class: "faint" }, t("talk.mood.none")));
      return;
    }
    const { f0_hz, rms, syllables_per_second: rate } = voice.measured;
    const all = Object.entries(voice.probabilities).sort(([, one], [, other]) => other - one);
    fill(this.node, h("h2", null, t("talk.mood")), h("p", { class: "mood" }, named("mood", voice.emotion)),
      h("dl", { class: "timings" }, ...all.flatMap(([mood, share]) => [h("dt", null, named("mood", mood)), bar(share)])),
      h("p", { class: "faint" }, [voice.f0_measured && t("talk.mood.pitch", { n: Math.round(f0_hz) }), t("talk.mood.loud", { n: rms.toFixed(3) }),
        rate !== null && t("talk.mood.rate", { n: rate.toFixed(1) })].filter(Boolean).join(" · ")),
      !voice.f0_measured && h("p", { class: "faint" }, t("talk.mood.unpitched")),
      h("p", { class: "faint" }, t(voice.baseline ? "talk.mood.adapted" : "talk.mood.unadapted", { n: voice.baseline })));
  }
}

function bar(share) {
  const shown = h("span", { class: "bar", "aria-hidden": "true" });
  shown.style.setProperty("--share", share);
  return h("dd", null, shown, percent(share));
}
