"""A service on its way out: it finishes what it has begun, and takes nothing new."""

import asyncio

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Check, Readiness
from chammal_kit.problems import Problem

REASON = "draining"
RETRY_AFTER_SECONDS = 1
"""Another replica takes it at once; the next process of this one is there in some seconds."""
_ALWAYS_SERVED = frozenset({"/health", "/metrics"})


class Draining:
    def __init__(self) -> None:
        self.begun = False
        self.in_flight = 0
        """Requests and WebSockets that are being answered; probes are not counted."""
        self._nobody = asyncio.Event()
        self._nobody.set()

    def begin(self) -> None:
        self.begun = True

    def enter(self) -> None:
        self.in_flight += 1
        self._nobody.clear()

    def leave(self) -> None:
        self.in_flight -= 1
        if not self.in_flight:
            self._nobody.set()

    async def until_nobody(self) -> None:
        await self._nobody.wait()


def install_draining(app: FastAPI) -> None:
    """`app.state.draining` is what the server begins."""
    app.state.draining = draining = Draining()
    app.add_middleware(Gate, draining=draining)


class Gate:
    """Counts what is in flight and, once draining has begun, refuses requests. Routes refuse WebSockets themselves."""

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self.app = app
        self.draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        draining = self.draining
        if scope["type"] == "lifespan" or scope["path"] in _ALWAYS_SERVED:
            await self.app(scope, receive, send)
            return
        if scope["path"] == "/ready":
            await (_not_ready() if draining.begun else self.app)(scope, receive, send)
            return
        if draining.begun and scope["type"] == "http":
            await _refusal()(scope, receive, send)
            return
        draining.enter()
        try:
            await self.app(scope, receive, send)
        finally:
            draining.leave()


def _not_ready() -> Response:
    body = Readiness(ready=False, checks=[Check(name="server", ready=False, reason=REASON)])
    return Response(
        body.model_dump_json(), 503, {"Retry-After": str(RETRY_AFTER_SECONDS)}, media_type="application/json"
    )


def _refusal() -> Response:
    """The connection is closed with it, so that the caller's next request goes to whoever listens then."""
    return Problem(
        503,
        ErrorCode.SERVER_SHUTTING_DOWN,
        "The service is shutting down. Send it again.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS), "Connection": "close"},
    ).response()
