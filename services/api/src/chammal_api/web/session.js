// One conversation from pressing the button until it ends: microphone, socket and speaker, and who of both is heard.

import { json } from "./api.js";
import { Microphone, NoMicrophone } from "./microphone.js";
import { bytes, Socket } from "./realtime.js";
import { Speaker } from "./speaker.js";

const FRAME_MS = 40;
const SILENT = 5000; // until sound should run; without a loudspeaker Firefox lets it wait for ever, the microphone's too
const WAITS = [500, 1000, 2000, 4000, 8000];
const GONE = new Set([1001, 1006, 1011, 1012, 1013]); // closes after which another try may do
const REMEMBERED = 40; // items that a new connection is told

export class Session {
  /**
   * `told(event)` for each event of the protocol; `changed()` when the phase may be another; `level(rms)`;
   * `felt(seconds)` from the end of the person's speech to the first sound; `troubled(name, parts)` for what is amiss
   * (`null`: no more); `ended(name, parts)` when it is over and not by `stop()`.
   */
  constructor(worklets, listeners) {
    this.worklets = worklets;
    this.listeners = listeners;
    this.items = new Map(); // id → {role, text}: what was said, for a new connection
    this.silenced = new Set(); // items and responses whose sound is not wanted any more
    this.on = false;
    this.tries = 0;
    this.lost = 0;
    this.#forget();
  }

  get phase() {
    if (!this.on) return "off";
    if (!this.ready) return "connecting";
    if (this.hearing) return "hearing";
    if (this.sounding) return "speaking";
    return this.response || this.awaited ? "thinking" : "listening";
  }

  /** Called in the handler of a press, else no browser lets sound out. */
  async start({ language, quieted, instructions }) {
    this.on = true;
    this.config = { type: "realtime", audio: { input: { transcription: { language } } } };
    if (instructions) this.config.instructions = instructions;
    if (!isSecureContext) this.config.output_modalities = ["text"]; // neither microphone nor worklets
    this.#connect();
    this.listeners.changed();
    if (isSecureContext) await this.#open(quieted);
    else this.listeners.troubled("microphone.insecure");
  }

  async #open(quieted) {
    const context = (this.context = new AudioContext({ latencyHint: "interactive" }));
    context.addEventListener("statechange", () => {
      if (this.context === context && context.state !== "running") context.resume().catch(() => {}); // a telephone call took it
    });
    const silent = setTimeout(() => { if (this.context === context) this.listeners.troubled("silent"); }, SILENT);
    await Promise.all([context.resume(), context.audioWorklet.addModule(this.worklets)]).finally(() => clearTimeout(silent));
    if (this.context !== context) return; // it was ended meanwhile
    this.listeners.troubled("silent", null);
    this.speaker = new Speaker(this.context, (...moved) => this.#moved(...moved));
    await this.#listen(quieted);
  }

  stop() {
    this.on = false;
    clearTimeout(this.again);
    this.microphone?.close();
    this.speaker?.close();
    this.socket?.close();
    this.context?.close();
    this.context = this.microphone = this.speaker = this.socket = null;
    this.#forget();
    this.listeners.changed();
  }

  /** In place of speech. */
  async write(text) {
    await this.hush();
    this.#put(`typed_${crypto.randomUUID().replaceAll("-", "")}`, "user", text);
    this.socket.send({ type: "response.create" });
    this.#asked(performance.now());
  }

  /** The reply falls silent, and the mesh is told how much of it was heard. */
  async hush() {
    if (this.response) this.socket.send({ type: "response.cancel" });
    await this.#silence();
  }

  #put(id, role, text) {
    const content = [{ type: role === "user" ? "input_text" : "output_text", text }];
    this.socket.send({ type: "conversation.item.create", item: { type: "message", id, role, content } });
  }

  async #listen(quieted) {
    this.microphone = new Microphone(this.context, (pcm, level) => this.#heard(pcm, level), () => this.listeners.troubled("microphone.lost"));
    try {
      await this.microphone.open(quieted);
    } catch (error) {
      if (!(error instanceof NoMicrophone)) throw error;
      this.listeners.troubled(`microphone.${error.why}`);
    }
  }

  #forget() {
    this.ready = this.awaited = false;
    this.hearing = null; // the item that the person speaks
    this.response = null; // the id of the one that is being made
    this.latest = null; // the item whose sound came last
    this.sounding = null; // the item that is heard, or is about to be
    this.sent = 0; // milliseconds of audio
    this.spokenUntil = null; // by the page's clock
  }

  #connect() {
    this.socket = new Socket((event) => this.#told(event), (close) => this.#closed(close));
  }

  #heard(pcm, level) {
    this.listeners.level(level);
    if (!this.ready) return;
    if (this.socket.append(pcm)) {
      this.sent += FRAME_MS;
      this.began = performance.now() - this.sent;
    } else {
      this.lost += FRAME_MS;
      this.listeners.troubled("slow", { seconds: (this.lost / 1000).toFixed(1) });
    }
  }

  #told(event) {
    this.#does[event.type]?.(event);
    this.listeners.told(event);
    this.listeners.changed();
  }

  #does = {
    "session.created": () => {
      this.socket.send({ type: "session.update", session: this.config });
      for (const [id, { role, text }] of [...this.items].slice(-REMEMBERED)) this.#put(id, role, text);
    },
    "session.updated": () => {
      this.ready = true;
      this.tries = 0;
      this.listeners.troubled("connection", null);
    },
    "input_audio_buffer.speech_started": ({ item_id }) => {
      this.hearing = item_id;
      this.#silence();
    },
    "input_audio_buffer.speech_stopped": ({ audio_end_ms }) => {
      this.hearing = null;
      this.#asked(this.began + audio_end_ms);
    },
    "conversation.item.input_audio_transcription.completed": ({ item_id, transcript }) => {
      this.items.set(item_id, { role: "user", text: transcript });
      this.#settled(item_id, Boolean(transcript));
    },
    "conversation.item.input_audio_transcription.failed": ({ item_id }) => this.#settled(item_id, false),
    "conversation.item.done": ({ item }) => this.#remember(item),
    "conversation.item.retrieved": ({ item }) => this.#remember(item),
    "conversation.item.truncated": ({ item_id }) => this.socket.send({ type: "conversation.item.retrieve", item_id }),
    "response.created": ({ response }) => {
      this.response = response.id;
      this.awaited = false;
    },
    "response.output_audio.delta": ({ response_id, item_id, delta }) => {
      this.latest = item_id;
      if (this.silenced.has(response_id)) this.silenced.add(item_id);
      if (this.silenced.has(item_id) || !this.speaker) return;
      this.sounding = item_id;
      this.speaker.play(item_id, bytes(delta));
    },
    "response.output_audio.done": ({ item_id }) => { if (!this.silenced.has(item_id)) this.speaker?.end(item_id); },
    "response.done": () => { this.response = null; },
    error: () => { this.awaited = false; },
  };

  /** Speech that stt lost in the middle has no end of its own. */
  #settled(item, answered) {
    if (this.hearing === item) this.hearing = null;
    if (!answered) this.awaited = false;
  }

  #asked(when) {
    this.awaited = true;
    this.spokenUntil = when;
  }

  #remember(item) {
    const text = item.content.map((part) => part.transcript ?? part.text ?? "").join(" ").trim();
    if (text && item.role !== "system") this.items.set(item.id, { role: item.role, text });
  }

  #moved(item, finished, began) {
    if (this.silenced.has(item)) return;
    if (this.spokenUntil !== null && began > this.spokenUntil) {
      this.listeners.felt((began - this.spokenUntil) / 1000);
      this.spokenUntil = null;
    }
    this.sounding = finished ? null : item;
    this.listeners.changed();
  }

  async #silence() {
    if (!this.speaker) return;
    for (const id of [this.response, this.latest]) if (id) this.silenced.add(id); // what is on its way is not wanted either
    const cleared = await this.speaker.clear();
    this.sounding = null;
    if (cleared && this.on) {
      this.silenced.add(cleared.item);
      this.socket.send({ type: "conversation.item.truncate", item_id: cleared.item, content_index: 0, audio_end_ms: cleared.heard });
    }
    this.listeners.changed();
  }

  async #closed({ code, reason, opened }) {
    if (!this.on) return;
    this.speaker?.clear();
    this.#forget();
    const again = this.tries < WAITS.length && GONE.has(code) && (opened || this.tries > 0);
    if (again) {
      this.again = setTimeout(() => this.#connect(), WAITS[this.tries] * (0.5 + Math.random() / 2));
      this.tries += 1;
      this.listeners.troubled("connection", { reason });
      this.listeners.changed();
      return;
    }
    this.stop();
    this.listeners.ended(...(opened ? [`closed.${code}`, { code, reason }] : await unopened()));
  }
}

/** Why the socket did not open: browsers do not say, so the same door is asked by a request. */
async function unopened() {
  try {
    await json("/v1/models");
  } catch (error) {
    return error.status === 401 ? ["key", {}] : ["unreachable", { reason: error.message }];
  }
  return ["refused", {}];
}
