"""The answers that the proxy makes up: each wrong in one way, for whichever of our services was asked."""

import json
import os
from collections.abc import Iterator
from http import HTTPStatus

from chammal.faults.fault import Fault, FaultKind

HUGE_BYTES = 1 << 30
_PIECE = b"a" * (64 << 10)
_SPEECH = "/audio/speech"

_RIGHT_SHAPES = {
    "id": "x", "object": "x", "created": 1, "model": "x", "text": "x", "language": "ko", "duration": 1.0,
    "segments": [], "words": [], "summary": "x",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "x"},
            "delta": {"content": "x"},
            "finish_reason": "stop",
            "logprobs": {"content": [{"token": "x", "logprob": -1.0}]},
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    "data": [{"id": "x", "object": "model", "created": 1, "owned_by": "x"}],
}  # fmt: skip
"""Everything that an answer of stt, a language model or a list of models needs, in one object."""


def false_answer(fault: Fault, path: str, *, streamed: bool) -> Iterator[bytes]:
    """The bytes of a whole HTTP answer. `streamed`: server-sent events were asked for."""
    kind = fault.kind
    if kind is FaultKind.GARBAGE:
        return iter([os.urandom(512)])
    if kind is FaultKind.STATUS:
        return iter([_status(fault)])
    media_type = "text/event-stream" if streamed else "audio/mpeg" if path.endswith(_SPEECH) else "application/json"
    if kind is FaultKind.EMPTY_BODY:
        return iter([_answer(b"", media_type)])
    if kind is FaultKind.WRONG_CONTENT_TYPE:
        return iter([_answer(b"<!doctype html><title>It works</title>", "text/html")])
    if kind is FaultKind.HUGE_BODY:
        return _huge(media_type, streamed)
    text = _json(kind)
    if path.endswith(_SPEECH):
        media_type = "application/json"  # no audio can be wrong in these ways
    return iter([_answer(b"data: " + text + b"\n\n" if streamed else text, media_type)])


def _json(kind: FaultKind) -> bytes:
    if kind is FaultKind.INVALID_JSON:
        return b'{"text": "x", "choices": [{"message": {"content": '
    if kind is FaultKind.NAN:
        return json.dumps(_with_nan(_RIGHT_SHAPES)).encode()
    return b'{"unexpected": true}'


def _with_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _with_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_nan(each) for each in value]
    return float("nan") if isinstance(value, int | float) else value


def _status(fault: Fault) -> bytes:
    status = fault.status or 500
    message = f"fault injected: {status}"
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = json.dumps({"error": {"message": message, "type": kind, "code": status}}).encode()
    extra = f"retry-after: {fault.retry_after:g}\r\n" if fault.retry_after is not None else ""
    return _answer(body, "application/json", status, extra)


def _answer(body: bytes, media_type: str, status: int = 200, extra: str = "") -> bytes:
    return _head(media_type, f"content-length: {len(body)}\r\n{extra}", status) + body


def _head(media_type: str, fields: str, status: int = 200) -> bytes:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\ncontent-type: {media_type}\r\n{fields}connection: close\r\n\r\n".encode()


def _huge(media_type: str, streamed: bool) -> Iterator[bytes]:
    yield _head(media_type, "transfer-encoding: chunked\r\n")
    yield _chunk(b'data: {"text": "' if streamed else b'{"text": "')
    piece = _chunk(_PIECE)
    for _ in range(HUGE_BYTES // len(_PIECE)):
        yield piece
    yield b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
