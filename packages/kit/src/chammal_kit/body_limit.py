"""No request body is read past its limit."""

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem


def limit_body(request: Request, max_bytes: int) -> Request:
    """The same request, whose body raises a 413 Problem past `max_bytes`, whatever its Content-Length said."""
    _check_declared(request, max_bytes)
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise _too_large(max_bytes)
        return message

    return Request(request.scope, receive)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises as `limit_body` does, and ClientDisconnect."""
    _check_declared(request, max_bytes)
    pieces: list[bytes] = []
    received, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        received += len(pieces[-1])
        if received > max_bytes:
            raise _too_large(max_bytes)
        more = message.get("more_body", False)
    return b"".join(pieces)


def _check_declared(request: Request, max_bytes: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        413,
        ErrorCode.UPLOAD_TOO_LARGE,
        f"The request body is larger than {max_bytes:,} bytes, the most that is taken here.",
        headers={"Connection": "close"},
        max_bytes=max_bytes,
    )
