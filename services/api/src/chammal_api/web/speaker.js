// Plays what the mesh says, and knows how much of it was heard.

export class Speaker {
  /** `moved(item, finished, began)` while an item sounds; it began to, in the air, at this `performance.now()`. */
  constructor(context, moved) {
    this.context = context;
    this.moved = moved;
    this.item = null;
    this.clearing = null;
    this.node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.node.port.onmessage = ({ data }) => this.#told(data);
    this.node.connect(context.destination);
  }

  /** `pcm`: an ArrayBuffer of 24 kHz pcm16. */
  play(item, pcm) {
    this.node.port.postMessage({ item, pcm }, [pcm]);
  }

  /** No more of this item comes. */
  end(item) {
    this.node.port.postMessage({ item, end: true });
  }

  /** Falls silent within some milliseconds. Resolves to `{item, heard}` in milliseconds, or null when nothing sounded. */
  clear() {
    if (this.context.state !== "running") return Promise.resolve(null);
    this.clearing ??= new Promise((resolve) => { this.cleared = resolve; });
    this.node.port.postMessage({ clear: true });
    return this.clearing;
  }

  close() {
    this.node.disconnect();
    this.node.port.onmessage = null;
    this.cleared?.(null);
  }

  #told({ item, played, finished = false, cleared = false }) {
    const heard = played - this.#latency();
    if (cleared) {
      this.cleared?.(item === null ? null : { item, heard: Math.max(0, Math.floor(heard)) });
      this.clearing = null;
    } else if (item !== null) this.moved(item, finished, performance.now() - heard);
  }

  /** Milliseconds from the audio thread to the air. */
  #latency() {
    return ((this.context.outputLatency || 0) + (this.context.baseLatency || 0)) * 1000;
  }
}
