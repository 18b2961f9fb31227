"""What of a service's answer may pass on to a caller: looked at as far as it takes to know that it is an answer.

JSON is read to its end and checked; of audio and text the first piece is awaited, and of events the first whole one.
So whatever goes wrong before that has a status of its own, and only what breaks off later has to be cut.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from chammal_contracts.stages import FailureType
from chammal_kit.upstream import StreamReply, UpstreamError
from chammal_kit.upstream_reply import read_json

_JSON, _EVENTS = "application/json", "text/event-stream"
_FIRST_EVENT_BYTES = 4 << 20
_LONGEST_MARK = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """Of the answers of one endpoint."""

    media_types: tuple[str, ...]
    """Beginnings."""
    json_member: str | None = None
    """What its JSON must have."""
    event_members: tuple[str, ...] = ()
    """One of which its first event must have."""
    event_ends: tuple[bytes, ...] = ()
    """One of which says that the events have come to their end."""
    may_be_empty: tuple[str, ...] = ()


SHAPES = {
    "/v1/audio/transcriptions": Shape(
        (_JSON, _EVENTS, "text/plain", "text/vtt", "application/x-subrip"),
        json_member="text",
        event_members=("type", "text"),
        event_ends=(b"event: transcript.text.done", b"event: error"),
        may_be_empty=("application/x-subrip",),
    ),
    "/v1/audio/speech": Shape(
        ("audio/", _EVENTS),
        event_members=("type",),
        event_ends=(b"speech.audio.done", b'"error"'),
    ),
    "/v1/chat/completions": Shape(
        (_JSON, _EVENTS),
        json_member="choices",
        event_members=("choices", "error"),
        event_ends=(b"data: [DONE]", b'"error"'),
    ),
}


async def passable(answer: StreamReply, shape: Shape, max_json_bytes: int) -> AsyncGenerator[bytes, None]:
    """At least one piece, and the first only when the answer has begun well. Raises UpstreamError."""
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type.startswith(shape.media_types):
        raise answer.unusable(f"answered with {media_type[:60] or 'no content type'}")
    if media_type == _JSON:
        yield await _whole(answer, shape, max_json_bytes)
    elif media_type == _EVENTS:
        async for piece in _events(answer, shape):
            yield piece
    else:
        first = await anext(answer, b"")
        if not first and media_type not in shape.may_be_empty:
            raise answer.unusable("the answer is empty")
        yield first
        async for piece in answer:
            yield piece


async def _whole(answer: StreamReply, shape: Shape, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in answer:
        size += len(piece)
        if size > max_bytes:
            raise _too_large(answer, max_bytes)
        pieces.append(piece)
    body = b"".join(pieces)
    _check(answer, body, (shape.json_member,) if shape.json_member else ())
    return body


async def _events(answer: StreamReply, shape: Shape) -> AsyncGenerator[bytes, None]:
    first = b""
    async for piece in answer:
        first += piece
        if b"\n\n" in first:
            break
        if len(first) > _FIRST_EVENT_BYTES:
            raise _too_large(answer, _FIRST_EVENT_BYTES)
    else:
        raise answer.unusable("the stream ended before its first event")
    event, _, _ = first.partition(b"\n\n")
    lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
    if lines and lines != [b"[DONE]"]:
        _check(answer, b"\n".join(lines), shape.event_members)
    yield first
    ended = _ends(first, shape)
    tail = first[-_LONGEST_MARK:]
    async for piece in answer:
        yield piece
        ended = ended or _ends(tail + piece, shape)
        tail = (tail + piece)[-_LONGEST_MARK:]
    if not ended:
        raise answer.unusable("the stream ended before its end")


def _ends(data: bytes, shape: Shape) -> bool:
    return any(mark in data for mark in shape.event_ends)


def _check(answer: StreamReply, body: bytes, members: Sequence[str]) -> None:
    try:
        read = read_json(body)
    except ValueError as error:
        raise answer.unusable(f"not usable JSON: {error}") from None
    if not isinstance(read, dict) or (members and not any(name in read for name in members)):
        raise answer.unusable(f"an answer of another shape: it has no {' or '.join(members)}")


def _too_large(answer: StreamReply, size: int) -> UpstreamError:
    error = answer.unusable(f"more than {size} bytes")
    error.failure = FailureType.RESPONSE_TOO_LARGE
    return error
