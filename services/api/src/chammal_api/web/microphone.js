// What the microphone hears, as 24 kHz pcm16 in pieces of 40 ms. No MediaRecorder: its later pieces cannot be decoded alone.

/** Why there is no microphone: a name of `talk.microphone.*`. */
export class NoMicrophone extends Error {
  constructor(why) {
    super(why);
    this.why = why;
  }
}

const WHY = { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "missing", NotReadableError: "taken" };

/** The level is a part of the mood, so nothing evens it out; noise is left in unless the user says otherwise. */
const asked = (quieted) => ({ channelCount: 1, echoCancellation: true, noiseSuppression: quieted, autoGainControl: false });

export class Microphone {
  /** `heard(pcm, level)` with an ArrayBuffer and the root mean square; `lost()` when the device goes away. */
  constructor(context, heard, lost) {
    this.context = context;
    this.heard = heard;
    this.lost = lost;
    this.stream = null;
    this.ended = false;
  }

  /** Throws NoMicrophone. */
  async open(quieted) {
    if (!navigator.mediaDevices?.getUserMedia) throw new NoMicrophone("missing");
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: asked(quieted) });
    } catch (error) {
      throw new NoMicrophone(WHY[error.name] ?? "failed");
    }
    if (this.ended) return void stop(stream);
    this.stream = stream;
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.lost());
    this.source = this.context.createMediaStreamSource(stream);
    this.node = new AudioWorkletNode(this.context, "capture", { channelCount: 1, channelCountMode: "explicit" });
    this.node.port.onmessage = ({ data }) => this.heard(data.pcm, data.level);
    this.source.connect(this.node).connect(this.context.destination); // it says nothing; some browsers run no other node
  }

  close() {
    this.ended = true;
    if (!this.stream) return;
    stop(this.stream);
    this.source.disconnect();
    this.node.disconnect();
    this.node.port.onmessage = null;
    this.stream = null;
  }
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
