// In the audio thread: what the microphone hears leaves as 24 kHz pcm16, and what the mesh says is played, with word of
// how much of it. One file without imports, since not every browser takes those in a worklet.

const RATE = 24_000;
const FRAME = RATE / 25; // samples of a message: 40 ms
const CROSSINGS = 14; // of the sinc, to either side
const PASSED = 0.92; // of the lower of both bands
const START = RATE * 0.06; // samples that must be there before sound begins
const PIECE = 64; // samples that are resampled at once
const FADE_SECONDS = 0.005;
const TELL_SECONDS = 0.1;

const divisor = (one, other) => (other ? divisor(other, one % other) : one);

function kernel(offset, cutoff, half) {
  const taps = Float32Array.from({ length: 2 * half }, (_, at) => {
    const away = at - half + 1 - offset;
    const phase = Math.PI * cutoff * away;
    const sinc = phase === 0 ? 1 : Math.sin(phase) / phase;
    return sinc * (0.5 + 0.5 * Math.cos((Math.PI * away) / half)); // Hann
  });
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}

/** Between two rates, without an end: windowed sinc, one kernel for each place between two samples. */
class Resampler {
  constructor(from, to) {
    const common = divisor(from, to);
    this.up = to / common;
    this.down = from / common;
    const cutoff = Math.min(1, to / from) * (from === to ? 1 : PASSED);
    this.half = Math.ceil(CROSSINGS / cutoff);
    this.kernels = Array.from({ length: this.up }, (_, at) => kernel(at / this.up, cutoff, this.half));
    this.held = new Float32Array(this.half - 1);
    this.phase = 0;
  }

  take(samples) {
    const all = new Float32Array(this.held.length + samples.length);
    all.set(this.held);
    all.set(samples, this.held.length);
    const found = [];
    let at = this.half - 1;
    for (; at + this.half < all.length; ) {
      const taps = this.kernels[this.phase];
      const first = at - this.half + 1;
      let sum = 0;
      for (let tap = 0; tap < taps.length; tap += 1) sum += taps[tap] * all[first + tap];
      found.push(sum);
      this.phase += this.down;
      at += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    this.held = all.slice(at - this.half + 1);
    return found;
  }
}

/** Posts `{pcm, level}`: 40 ms, and their root mean square from 0 to 1. */
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.#begin();
  }

  process([input]) {
    if (input.length) for (const sample of this.resampler.take(input[0])) this.#add(sample);
    return true;
  }

  #begin() {
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }

  #add(sample) {
    this.frame[this.filled] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
    this.filled += 1;
    this.energy += sample * sample;
    if (this.filled < FRAME) return;
    this.port.postMessage({ pcm: this.frame.buffer, level: Math.sqrt(this.energy / FRAME) }, [this.frame.buffer]);
    this.#begin();
  }
}

/**
 * Takes `{item, pcm}` in order, `{item, end}` when no more of it comes, and `{clear}`.
 * Posts `{item, played}` in milliseconds while it sounds, with `finished` or, as the answer to `clear`, `cleared`.
 */
class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.telling = 0;
    this.#empty();
    this.port.onmessage = ({ data }) => this.#told(data);
  }

  process(_, [[output]]) {
    if (this.#ready()) this.#render(output);
    if (this.fading !== null) this.#fade(output);
    return true;
  }

  #empty() {
    this.resampler = new Resampler(RATE, sampleRate);
    this.queue = []; // {item, samples} and {item, end}
    this.waiting = 0; // samples in the queue
    this.rendered = []; // at the rate of the device, not yet out
    this.item = null; // that sounds
    this.played = 0; // samples of it
    this.sounding = false;
    this.fading = null;
  }

  #told({ item, pcm, end, clear }) {
    if (this.fading !== null && !clear) this.#empty();
    if (clear) {
      this.#tell({ cleared: true });
      this.fading = this.sounding ? Math.round(FADE_SECONDS * sampleRate) : 0;
    } else if (end) this.queue.push({ item, end: true });
    else {
      const samples = Float32Array.from(new Int16Array(pcm), (sample) => sample / 32768);
      this.queue.push({ item, samples });
      this.waiting += samples.length;
    }
  }

  /** A little is gathered first, and again whenever nothing is left. */
  #ready() {
    if (!this.sounding && this.queue.length) this.sounding = this.waiting >= START || this.queue.at(-1).end === true;
    return this.sounding;
  }

  #render(output) {
    while (this.rendered.length < output.length && this.queue.length) this.#next();
    const some = this.rendered.splice(0, output.length);
    output.set(some);
    if (!this.queue.length && !this.rendered.length) this.sounding = false;
    this.telling += output.length / sampleRate;
    if (this.telling >= TELL_SECONDS && this.item !== null) this.#tell({});
  }

  #next() {
    const [first] = this.queue;
    if (first.item !== this.item) {
      this.item = first.item;
      this.played = 0;
    }
    if (first.end) {
      this.queue.shift();
      this.#tell({ finished: true });
      this.item = null;
      return;
    }
    const piece = first.samples.subarray(0, PIECE);
    first.samples = first.samples.subarray(PIECE);
    if (!first.samples.length) this.queue.shift();
    this.waiting -= piece.length;
    this.played += piece.length;
    this.rendered.push(...this.resampler.take(piece));
  }

  #fade(output) {
    const whole = FADE_SECONDS * sampleRate;
    for (let at = 0; at < output.length; at += 1) {
      output[at] *= Math.max(0, this.fading) / whole;
      this.fading -= 1;
    }
    if (this.fading <= 0) this.#empty();
  }

  #tell(more) {
    this.telling = 0;
    this.port.postMessage({ item: this.item, played: (this.played * 1000) / RATE, ...more });
  }
}

registerProcessor("capture", Capture);
registerProcessor("playback", Playback);
