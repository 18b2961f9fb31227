// Requests to this origin. The key lives in this tab alone and travels in a header, never in an address.

const KEY = "chammal.key";

export class ApiError extends Error {
  constructor(status, code, detail, retryAfter = null) {
    super(detail);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

let refused = () => {};
/** Called with the error when an answer was 401 to the key of now. */
export function onRefused(listener) {
  refused = listener;
}

export function key() {
  return sessionStorage.getItem(KEY);
}

export function setKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

function keyHeaders() {
  const value = key();
  return value ? { "X-API-Key": value } : {};
}

/** Throws ApiError; status 0 where nothing answered. */
export async function request(path, options = {}) {
  let response;
  const used = key();
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, ...keyHeaders() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", String(error.message ?? error));
  }
  if (response.ok) return response;
  throw noted(await problemOf(response), used);
}

export async function json(path, options) {
  return await (await request(path, options)).json();
}

function noted(error, used) {
  if (error.status === 401 && used === key()) refused(error);
  return error;
}

async function problemOf(response) {
  return problem(response.status, await response.text(), response.headers.get("Retry-After"));
}

function problem(status, text, retryAfter) {
  const seconds = Number.parseFloat(retryAfter ?? "");
  const wait = Number.isFinite(seconds) ? seconds : null;
  try {
    const body = JSON.parse(text);
    return new ApiError(status, body.code ?? "", body.detail ?? "", wait);
  } catch {
    return new ApiError(status, "", `HTTP ${status}`, wait);
  }
}

export const callPath = (id) => `/v1/calls/${encodeURIComponent(id)}`;

export async function listCalls(filters, cursor, signal) {
  const query = new URLSearchParams({ limit: "50" });
  for (const [name, value] of Object.entries(filters)) if (value) query.set(name, value);
  if (cursor) query.set("cursor", cursor);
  return await json(`/v1/calls?${query}`, { signal });
}

export const getCall = (id, signal) => json(callPath(id), { signal });
export const deleteCall = (id) => request(callPath(id), { method: "DELETE" });
export const reanalyse = (id) => request(`${callPath(id)}/reanalyse`, { method: "POST" });
export const getRules = () => json("/v1/rules");

/** `progressed(sent, total)` in bytes. The same `idempotencyKey` makes trying again safe. */
export function sendCall(file, metadata, idempotencyKey, progressed, signal) {
  const form = new FormData();
  form.append("metadata", JSON.stringify(metadata));
  form.append("file", file, file.name);
  const used = key();
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", "/v1/calls");
    sending.setRequestHeader("Idempotency-Key", idempotencyKey);
    for (const [name, value] of Object.entries(keyHeaders())) sending.setRequestHeader(name, value);
    sending.upload.onprogress = (event) => progressed(event.loaded, event.lengthComputable ? event.total : file.size);
    sending.onload = () => {
      if (sending.status >= 200 && sending.status < 300) resolve(JSON.parse(sending.responseText));
      else reject(noted(problem(sending.status, sending.responseText, sending.getResponseHeader("Retry-After")), used));
    };
    sending.onerror = () => reject(new ApiError(0, "unreachable", ""));
    sending.onabort = () => reject(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => sending.abort());
    sending.send(form);
  });
}

/** Keeps an answer as a file of the user's: links cannot carry a key. */
export async function download(path, name, language) {
  const blob = await (await request(path, { headers: { "Accept-Language": language } })).blob();
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
