"""The app that every service starts from."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chammal_contracts import headers as wire
from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Health
from chammal_kit.body_limit import BodyLimit
from chammal_kit.deadline import Deadline, set_deadline
from chammal_kit.door import ANY_KEY, ANYONE, OPERATORS, Access, Door, guarded, path_of
from chammal_kit.draining import install_draining
from chammal_kit.keys import KeyRing, KeyScope, stored
from chammal_kit.logs import component_logger
from chammal_kit.metrics import count_request, metrics_endpoint
from chammal_kit.origins import ANY, Origins
from chammal_kit.problems import Problem, install_problem_handlers
from chammal_kit.request_id import enter_request
from chammal_kit.security_headers import SWAGGER_POLICY, add_security_headers
from chammal_kit.settings import ServiceSettings

log = component_logger("HTTP")

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]

_HANDSHAKES = frozenset({"websocket.accept", "websocket.http.response.start"})
_PROBES = frozenset({"/health", "/ready", "/metrics"})
_OWN: dict[str, Access] = {
    "/health": ANYONE,
    "/ready": ANYONE,
    "/openapi.json": ANYONE,
    "/docs": ANYONE,
    "/metrics": OPERATORS,
}
_PREFLIGHT_SECONDS = 600
_BODY_BYTES = 64 * 1024
"""For bodies that FastAPI reads. Routes that take more read them themselves, with a limit of their own."""
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""Of OpenTelemetry, which nobody sets up here: FastAPI looks for its providers at every request."""


def create_app(
    *,
    service: str,
    distribution: str,
    lifespan: Lifespan,
    routers: Sequence[APIRouter],
    settings: ServiceSettings | None = None,
    door: Door | None = None,
    access: Mapping[str, Access] | None = None,
    first: Sequence[BaseRoute] = (),
) -> FastAPI:
    """An app with /health, /metrics, request ids, deadlines, access metrics, problem+json errors, and a door.

    `distribution` is the installed package whose version /health and the OpenAPI document name. `access` says for each
    path who may enter; without it every route needs the internal key, if there is one. `first` are matched before all
    others.
    """
    settings = settings or ServiceSettings()
    door = door or _internal_door(settings)
    app = FastAPI(
        title=f"Chammal {service}",
        version=version(distribution),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    health = Health(service=service, version=app.version)

    @app.get("/health", tags=["operations"])
    async def get_health() -> Health:
        """The process is up."""
        return health

    app.add_route("/metrics", metrics_endpoint, include_in_schema=False)
    if settings.docs:
        app.add_route("/docs", _swagger, include_in_schema=False)
    routes = [*first, *app.router.routes, *(_bounded(route) for router in routers for route in router.routes)]
    app.router.routes[:] = guarded(routes, door, {**(access or dict.fromkeys(map(path_of, routes), ANY_KEY)), **_OWN})
    app.state.door = door
    install_problem_handlers(app)
    install_draining(app)
    app.add_middleware(Origins, origins=settings.origins, hosts=settings.hosts if door.keys is None else (ANY,))
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=("GET", "POST", "PUT", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "X-API-Key", *wire.FROM_CALLERS),
            expose_headers=("Retry-After", "RateLimit", "RateLimit-Policy", *wire.TO_CALLERS),
            max_age=_PREFLIGHT_SECONDS,
        )
    app.add_middleware(RequestContext, longest=settings.deadline_seconds)
    return app


def _bounded(route: BaseRoute) -> BaseRoute:
    if type(route) is not APIRoute or route.body_field is None:
        return route
    bounded = copy.copy(route)
    bounded.app = BodyLimit(route.app, _BODY_BYTES)
    return bounded


def _internal_door(settings: ServiceSettings) -> Door:
    if settings.internal_key is None:
        return Door()
    return Door(KeyRing(stored(settings.internal_key.get_secret_value(), "internal", [KeyScope.ADMIN]).line()))


async def _swagger(request: Request) -> HTMLResponse:
    page = get_swagger_ui_html(openapi_url="/openapi.json", title=request.app.title, swagger_favicon_url="data:,")
    page.headers["Content-Security-Policy"] = SWAGGER_POLICY
    return page


class RequestContext:
    """Sets the request id and the deadline, and counts the answer."""

    def __init__(self, app: ASGIApp, longest: float | None = None) -> None:
        self.app = app
        self._longest = longest

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
                add_security_headers(message["headers"])
            await send(message)

        try:
            problem = _take_deadline(scope["path"], headers.get(wire.DEADLINE), self._longest)
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


def _take_deadline(path: str, header: str | None, longest: float | None) -> Problem | None:
    """The answer of a probe is kept for others, so no caller's patience may decide it."""
    if path in _PROBES:
        set_deadline(None)
        return None
    if header is None:
        set_deadline(None if longest is None else Deadline.after(longest))
        return None
    try:
        deadline = Deadline.from_header(header)
    except ValueError:
        return Problem(400, ErrorCode.INVALID_REQUEST, f"{wire.DEADLINE} must be a number of seconds, such as 12.5.")
    if deadline.expired:
        return Problem(504, ErrorCode.DEADLINE_EXCEEDED, "The caller's deadline had passed when the request arrived.")
    set_deadline(deadline if longest is None else min(deadline, Deadline.after(longest), key=lambda one: one.at))
    return None


def _record(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unmatched")
    count_request(scope["method"], route, status, seconds)
    if scope["path"] not in _PROBES:
        log.info("%s %s %d in %.3f s", scope["method"], scope["path"], status, seconds)
