"""No request body is read past its limit."""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class BodyLimit:
    """The same for routes whose body FastAPI reads, which takes every other exception for a 400."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem: Problem | None = None

        async def receive_limited() -> Message:
            nonlocal problem
            try:
                return await limited.receive()
            except Problem as too_large:
                problem = too_large
                raise HTTPException(too_large.status) from None

        async def send_unless_too_large(message: Message) -> None:
            if problem is None:
                await send(message)

        limited = limit_body(Request(scope, receive), self.max_bytes)
        await self.app(scope, receive_limited, send_unless_too_large)
        if problem is not None:
            raise problem


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        413,
        ErrorCode.UPLOAD_TOO_LARGE,
        f"The request body is larger than {max_bytes:,} bytes, the most that is taken here.",
        headers={"Connection": "close"},
        max_bytes=max_bytes,
    )
