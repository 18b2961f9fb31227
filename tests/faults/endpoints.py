"""Each endpoint as a caller meets it: one request, and all that came of it."""

import json
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import Any
from uuid import uuid4

import httpx2
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.faults.matrix import Endpoint
from tests.faults.service import HTTP, ROOT

CALLER_SECONDS = 30
"""Longer than anything may take: who waits for this has met a hang."""
RECORDING = ROOT.parent / "shared" / "audio" / "en_jfk.flac"
SPEECH_SECONDS = 2
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@dataclass
class Seen:
    """`status` is HTTP's; of a live session it is the close code, or the HTTP status that refused it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    """JSON where it is JSON; else the number of bytes."""
    cut: bool = False
    """The answer broke off after it had begun, and the caller could see that."""
    hung: bool = False
    unreadable: bool = False
    """It says that it is JSON, and is none."""
    seconds: float = 0.0
    request_id: str = ""
    padding: int = 0
    error_event: dict[str, Any] | None = None
    """What a stream or a live session said of its own failure."""


def call(endpoint: Endpoint, url: str, agent_url: str | None = None, *, padding: int = 0) -> Seen:
    """`padding`: so many bytes more in a recording that is uploaded."""
    seen = Seen(request_id=f"cell-{uuid4().hex[:12]}", padding=padding)
    started = time.monotonic()
    _DRIVERS[endpoint](url, seen, agent_url)
    seen.seconds = time.monotonic() - started
    return seen


def recording(padding: int = 0) -> bytes:
    """Speech, short, so that recognising it costs little; behind it a chunk that says nothing."""
    return _short_speech() + (b"junk" + padding.to_bytes(4, "little") + bytes(padding) if padding else b"")


@cache
def _short_speech() -> bytes:
    import av  # only to make the sample; what is tested decodes in its own process

    samples = bytearray()
    with av.open(str(RECORDING)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
        for frame in container.decode(audio=0):
            for piece in resampler.resample(frame):
                samples += piece.to_ndarray().tobytes()
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(bytes(samples[: SPEECH_SECONDS * 16_000 * 2]))
    return file.getvalue()


def _send(seen: Seen, method: str, url: str, **what: Any) -> None:
    try:
        asked = HTTP.stream(method, url, headers={"X-Request-Id": seen.request_id}, timeout=CALLER_SECONDS, **what)
        with asked as answer:
            seen.status = answer.status_code
            seen.headers = {name.lower(): value for name, value in answer.headers.items()}
            body = _read(seen, answer)
    except httpx2.TimeoutException:
        seen.hung = True
        return
    except httpx2.TransportError:
        seen.cut = True
        return
    _understand(seen, body)


def _read(seen: Seen, answer: httpx2.Response) -> bytes:
    body, give_up = bytearray(), time.monotonic() + CALLER_SECONDS
    try:
        for piece in answer.iter_raw():
            body += piece[: (1 << 20) - len(body)]
            if time.monotonic() > give_up:
                seen.hung = True
                break
    except httpx2.TransportError:
        seen.cut = True
    return bytes(body)


def _understand(seen: Seen, body: bytes) -> None:
    media_type = seen.headers.get("content-type", "")
    if "json" in media_type:
        try:
            seen.body = json.loads(body) if body and not seen.cut else None
        except ValueError:
            seen.body, seen.unreadable = body[:80], True
        return
    seen.body = len(body)
    if "event-stream" not in media_type:
        return
    events = [line[6:] for line in body.decode("utf-8", "replace").splitlines() if line.startswith("data: ")]
    ends = {"[DONE]"} | {e for e in events if "transcript.text.done" in e}
    for event in events:
        if event != "[DONE]" and '"error"' in event:
            seen.error_event = json.loads(event)
    seen.cut = seen.cut or not (events and events[-1] in ends)


def _transcribe(**fields: str) -> "Driver":
    def drive(url: str, seen: Seen, agent_url: str | None) -> None:
        form = {"language": "en", "incomplete_elements_check": "true", **fields}
        if agent_url:
            form["agent_url"] = agent_url
        _send(seen, "POST", f"{url}/transcribe", files={"file": recording(seen.padding)}, data=form)

    return drive


def _transcriptions(**fields: str) -> "Driver":
    def drive(url: str, seen: Seen, _: str | None) -> None:
        form = {"model": "whisper-1", "language": "en", **fields}
        _send(seen, "POST", f"{url}/v1/audio/transcriptions", files={"file": recording(seen.padding)}, data=form)

    return drive


def _post(path: str, body: dict[str, Any]) -> "Driver":
    return lambda url, seen, _: _send(seen, "POST", url + path, json=body)


def _get(path: str) -> "Driver":
    return lambda url, seen, _: _send(seen, "GET", url + path)


def _chat(**more: Any) -> "Driver":
    messages = [{"role": "user", "content": "One true word."}]
    return _post("/v1/chat/completions", {"model": "default", "max_tokens": 8, "messages": messages, **more})


def _live(url: str, seen: Seen, _: str | None) -> None:
    with (
        _closing(seen),
        connect(
            "ws" + url.removeprefix("http") + "/v1/stream",
            additional_headers={"X-Request-Id": seen.request_id},
            open_timeout=CALLER_SECONDS,
            proxy=None,
        ) as socket,
    ):
        with suppress(ConnectionClosed):  # what it said before it closed is still to be read
            socket.send(json.dumps({"type": "start", "sample_rate": 16_000, "language": "en"}))
            samples = recording()[44:]
            for place in range(0, len(samples), 6400):
                socket.send(samples[place : place + 6400])
            socket.send(json.dumps({"type": "finish"}))
        while True:
            event = json.loads(socket.recv(timeout=CALLER_SECONDS))
            if event["type"] == "error":
                seen.error_event = event
            seen.body = event["type"]


@contextmanager
def _closing(seen: Seen) -> Iterator[None]:
    try:
        yield
    except ConnectionClosed as closed:
        seen.status = closed.rcvd.code if closed.rcvd else 0
        seen.cut = closed.rcvd is None
    except InvalidStatus as refused:
        seen.status = refused.response.status_code
        seen.headers = {name.lower(): value for name, value in refused.response.headers.raw_items()}
        seen.body = json.loads(refused.response.body or b"null")
    except TimeoutError:
        seen.hung = True


Driver = Callable[[str, Seen, str | None], None]
_DRIVERS: dict[Endpoint, Driver] = {
    Endpoint.TRANSCRIBE: _transcribe(),
    Endpoint.TRANSCRIBE_OR_ERROR: _transcribe(on_failure="error"),
    Endpoint.TRANSCRIPTIONS: _transcriptions(),
    Endpoint.TRANSCRIPTIONS_STREAM: _transcriptions(stream="true"),
    Endpoint.SPEECH: _post("/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "Yes."}),
    Endpoint.CHAT: _chat(),
    Endpoint.CHAT_STREAM: _chat(stream=True),
    Endpoint.MODELS: _get("/v1/models"),
    Endpoint.LIVE: _live,
    Endpoint.READY: _get("/ready"),
    Endpoint.FAILURES: _get("/v1/failures"),
    Endpoint.HEALTH: _get("/health"),
    Endpoint.GATEWAY_CHAT: _chat(),
    Endpoint.GATEWAY_STREAM: _chat(stream=True),
    Endpoint.GATEWAY_JSON: _chat(
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
    ),
    Endpoint.GATEWAY_MODELS: _get("/v1/models"),
    Endpoint.GATEWAY_READY: _get("/ready"),
}
