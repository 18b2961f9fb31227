"""One request, and all that came of it."""

import json
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import Any

import httpx2

from tests.faults.service import HTTP, ROOT

CALLER_SECONDS = 30
"""Longer than anything may take: who waits for this has met a hang."""
RECORDING = ROOT.parent / "shared" / "audio" / "en_jfk.flac"
SPEECH_SECONDS = 2


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
    call_id: str | None = None
    """Of a recorded call that was sent, or begun anew: it is to be deleted."""


@dataclass(frozen=True)
class Given:
    """What a request may name."""

    agent_url: str | None = None
    webhook_url: str | None = None
    file_url: str | None = None
    stored: Callable[[], str] = str
    """The id of a recorded call that has ended, which nobody has touched."""


Driver = Callable[[str, Seen, Given], None]
"""Fills in what is seen of the service at an address."""


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


def send(seen: Seen, method: str, url: str, **what: Any) -> None:
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
    ends = {"[DONE]"} | {e for e in events if "transcript.text.done" in e or '"healing"' in e}
    for event in events:
        if event != "[DONE]" and '"error"' in event and '"healing"' not in event:
            seen.error_event = json.loads(event)
    seen.cut = seen.cut or not (events and events[-1] in ends)
