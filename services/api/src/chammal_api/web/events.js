// Server-sent events by fetch, since EventSource cannot send a key. One connection serves the whole page, and none is
// held while the tab is hidden: browsers open only six to an origin.

import { request } from "./api.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15_000;
const LONGEST_SILENCE = 60_000;

/** `changed(event)` for each event; `joined()` when connected, from when on nothing is missed; `lost()` when not. */
export function follow(path, { changed, joined, lost }) {
  let running = null;
  const start = () => {
    if (running || document.hidden) return;
    running = new AbortController();
    listen(path, running.signal, { changed, joined, lost });
  };
  const stop = () => { running?.abort(); running = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  start();
  return { restart() { stop(); start(); } };
}

async function listen(path, signal, { changed, joined, lost }) {
  let wait = FIRST_WAIT;
  while (!signal.aborted) {
    const once = new AbortController();
    const end = () => once.abort();
    signal.addEventListener("abort", end);
    try {
      const response = await request(path, { signal: once.signal, headers: { Accept: "text/event-stream" } });
      wait = FIRST_WAIT;
      joined();
      await read(response.body, changed, end);
    } catch (error) {
      if (signal.aborted) return;
      lost();
      if (error.status === 401 || error.status === 403) return;
    } finally {
      signal.removeEventListener("abort", end);
    }
    if (signal.aborted) return;
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

async function read(body, changed, end) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const silence = setTimeout(end, LONGEST_SILENCE);
    const { done, value } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const events = (text + value).replaceAll("\r\n", "\n").split("\n\n");
    text = events.pop();
    for (const event of events) {
      const of = (field) => event.split("\n").filter((line) => line.startsWith(`${field}:`)).map((line) => line.slice(field.length + 1).trim());
      const data = of("data");
      if (data.length) changed({ ...JSON.parse(data.join("\n")), deleted: of("event")[0] === "deleted" });
    }
  }
}
