// The socket of a conversation: OpenAI's Realtime protocol. The key goes in the list of subprotocols, never in an address.

import { key } from "./api.js";

const PATH = "/v1/realtime";
const FULL = 512 * 1024; // bytes that wait to be sent: about 8 s of audio

export const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
export const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer;

export class Socket {
  /** `told(event)` for each event; `closed({code, reason, opened})` once. */
  constructor(told, closed) {
    const secret = key();
    this.socket = new WebSocket(new URL(PATH, location.href).href.replace(/^http/, "ws"),
      secret ? ["chammal.live", `chammal.key.${secret}`] : ["chammal.live"]);
    this.opened = false;
    this.socket.addEventListener("open", () => { this.opened = true; });
    this.socket.addEventListener("message", ({ data }) => told(JSON.parse(data)));
    this.socket.addEventListener("close", ({ code, reason }) => closed({ code, reason, opened: this.opened }));
  }

  send(event) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(event));
  }

  /** Whether it was sent: nothing is kept for a connection that cannot take it. */
  append(pcm) {
    if (this.socket.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > FULL) return false;
    this.send({ type: "input_audio_buffer.append", audio: base64(pcm) });
    return true;
  }

  close() {
    this.socket.close(1000);
  }
}
