"""The recording of a call, whole or in part (RFC 9110, section 14).

A browser may play it, and must not take it for a page. One range is answered with 206. Several at once, and what is no
range of bytes, are answered with the whole, which the RFC allows and every player understands.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from chammal_contracts.calls import Recording
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

_PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=[ \t]*(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))[ \t]*", re.ASCII | re.IGNORECASE)
_PLAYED = {
    "audio/wav": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mpeg": "audio/mpeg",
    "audio/mp3": "audio/mpeg",
    "audio/mp4": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/aac": "audio/aac",
    "audio/ogg": "audio/ogg",
    "audio/opus": "audio/ogg",
    "audio/webm": "audio/webm",
    "video/webm": "audio/webm",
    "audio/flac": "audio/flac",
    "audio/x-flac": "audio/flac",
}
"""Sent types that are passed on, and as what. Any other is bytes: the sender may have called it text/html."""
UNKNOWN_TYPE = "application/octet-stream"
AUDIO_TYPES = tuple(sorted({*_PLAYED.values(), UNKNOWN_TYPE}))


_MARKS: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (4, b"ftyp", "audio/mp4"),
    (0, b"\x1aE\xdf\xa3", "audio/webm"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
)
HEAD_BYTES = 12


def recognised(head: bytes) -> str | None:
    """The type of what begins like this; senders name it badly, or not at all."""
    return next((kind for at, mark, kind in _MARKS if head[at:HEAD_BYTES].startswith(mark)), None)


@dataclass(frozen=True)
class Part:
    """Bytes from `start` up to but not including `end`."""

    start: int
    end: int


def media_type_of(recording: Recording) -> str:
    told = (recording.media_type or "").partition(";")[0].strip().lower()
    return _PLAYED.get(told, UNKNOWN_TYPE)


def wanted_part(headers: Headers, size: int, etag: str) -> Part | None:
    """None: the whole. Raises Problem 416 for a part that lies behind the end."""
    told = _RANGE.fullmatch(headers.get("range", "").strip())
    if told is None or headers.get("if-range", etag) != etag:
        return None
    first, last, suffix = (int(number) if number is not None else None for number in told.groups())
    if first is not None and last is not None and last < first:
        return None
    start = max(0, size - suffix) if suffix is not None else first or 0
    if start >= size or suffix == 0:
        raise Problem(
            416,
            ErrorCode.RANGE_NOT_SATISFIABLE,
            f"The recording has {size} bytes, and no such part.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return Part(start, size if last is None else min(last + 1, size))


def audio_response(method: str, headers: Headers, recording: Recording, file: BinaryIO, name: str) -> Response:
    """`name` is that of the file for whoever saves it. The response closes the file, as a Problem does."""
    etag = f'"{recording.sha256}"'
    try:
        part = wanted_part(headers, recording.bytes, etag)
    except Problem:
        file.close()
        raise
    whole = Part(0, recording.bytes)
    start, end = (part or whole).start, (part or whole).end
    told = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(end - start),
        "ETag": etag,
    }
    if part is not None:
        told["Content-Range"] = f"bytes {start}-{end - 1}/{recording.bytes}"
    status = 200 if part is None else 206
    if method == "HEAD":
        file.close()
        return Response(status_code=status, headers=told, media_type=media_type_of(recording))
    return _FileResponse(file, start, end, status, told, media_type_of(recording))


class _FileResponse(StreamingResponse):
    def __init__(
        self, file: BinaryIO, start: int, end: int, status: int, headers: dict[str, str], media_type: str
    ) -> None:
        super().__init__(_pieces(file, start, end), status, headers, media_type)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Closes the file whoever ends it: a generator that was never begun has no `finally`."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


async def _pieces(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    await to_thread.run_sync(file.seek, start)
    while start < end:
        piece = await to_thread.run_sync(file.read, min(_PIECE_BYTES, end - start))
        if not piece:
            raise OSError("the recording is shorter than it was")
        start += len(piece)
        yield piece
