"""The app that every service starts from."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chammal_contracts import headers as wire
from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Health
from chammal_kit.deadline import Deadline, set_deadline
from chammal_kit.draining import install_draining
from chammal_kit.logs import component_logger
from chammal_kit.metrics import HTTP_REQUESTS, HTTP_SECONDS, metrics_endpoint
from chammal_kit.problems import Problem, install_problem_handlers
from chammal_kit.request_id import enter_request

log = component_logger("HTTP")

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]

_HANDSHAKES = frozenset({"websocket.accept", "websocket.http.response.start"})
_PROBES = frozenset({"/health", "/ready", "/metrics"})


def create_app(*, service: str, distribution: str, lifespan: Lifespan, routers: Sequence[APIRouter]) -> FastAPI:
    """An app with /health, /metrics, request ids, deadlines, access metrics and problem+json errors.

    `distribution` is the installed package whose version /health and the OpenAPI document name.
    """
    app = FastAPI(
        title=f"Chammal {service}",
        version=version(distribution),
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    health = Health(service=service, version=app.version)

    @app.get("/health", tags=["operations"])
    async def get_health() -> Health:
        """The process is up."""
        return health

    app.add_route("/metrics", metrics_endpoint, include_in_schema=False)
    for router in routers:
        app.include_router(router)
    install_problem_handlers(app)
    install_draining(app)
    app.add_middleware(RequestContext)
    return app


class RequestContext:
    """Sets the request id and the deadline, and counts the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        sent_id = headers.get(wire.REQUEST_ID)
        request_id = enter_request(sent_id.encode("latin-1") if sent_id else None)
        if scope["type"] == "websocket":
            set_deadline(None)
            await self.app(scope, receive, _naming(request_id, send))
            return
        started = time.perf_counter()
        status = 499  # the client went away before an answer began

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[wire.REQUEST_ID] = request_id
            await send(message)

        try:
            problem = _take_deadline(headers.get(wire.DEADLINE))
            if problem is None:
                await self.app(scope, receive, send_with_id)
            else:
                await problem.response()(scope, receive, send_with_id)
        except Exception:  # the outermost middleware answers it with 500
            status = 500
            raise
        finally:
            _record(scope, status, time.perf_counter() - started)


def _naming(request_id: str, send: Send) -> Send:
    async def send_with_id(message: Message) -> None:
        if message["type"] in _HANDSHAKES:
            MutableHeaders(scope=message)[wire.REQUEST_ID] = request_id
        await send(message)

    return send_with_id


def _take_deadline(header: str | None) -> Problem | None:
    if header is None:
        set_deadline(None)
        return None
    try:
        deadline = Deadline.from_header(header)
    except ValueError:
        return Problem(400, ErrorCode.INVALID_REQUEST, f"{wire.DEADLINE} must be a number of seconds, such as 12.5.")
    if deadline.expired:
        return Problem(504, ErrorCode.DEADLINE_EXCEEDED, "The caller's deadline had passed when the request arrived.")
    set_deadline(deadline)
    return None


def _record(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unmatched")
    HTTP_REQUESTS.labels(scope["method"], route, status).inc()
    HTTP_SECONDS.labels(route).observe(seconds)
    if route not in _PROBES:
        log.info("%s %s %d in %.3f s", scope["method"], scope["path"], status, seconds)
