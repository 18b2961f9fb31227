"""Metrics, documentation and the details of readiness on a port of their own, and off the public one."""

from fastapi import FastAPI
from starlette.datastructures import State
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Readiness
from chammal_kit.door import INSIDE
from chammal_kit.problems import Problem

READY = "/ready"
INTERNAL = frozenset({"/metrics", "/docs", "/docs/oauth2-redirect", "/openapi.json"})
_OPERATIONS = INTERNAL | {READY, "/health"}


class PublicPort:
    """The app without what is for operators. /ready says yes or no, and not why."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    @property
    def state(self) -> State:
        return self.app.state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in INTERNAL:
            await _not_here()(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == READY:
            await _bare_readiness(self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)


class OperationsPort:
    """What is for operators, and nothing else of the app."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        here = scope["type"] == "http" and scope["path"] in _OPERATIONS
        scope[INSIDE] = True
        await (self.app if here else _not_here())(scope, receive, send)


async def _bare_readiness(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    status = 503

    async def keep_status(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    await app(scope, receive, keep_status)
    body = Readiness(ready=status == 200).model_dump_json()
    await Response(body, status, media_type="application/json")(scope, receive, send)


def _not_here() -> Response:
    return Problem(404, ErrorCode.NOT_FOUND, "There is nothing at this address on this port.").response()
