"""Errors that answer a request: RFC 9457 problem+json with a stable code and what to do."""

import errno
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from chammal_contracts.errors import PROBLEM_MEDIA_TYPE, ErrorCode, OpenAIError, ProblemBody
from chammal_kit.logs import component_logger
from chammal_kit.openapi import describe_errors
from chammal_kit.request_id import current_request_id
from chammal_kit.security_headers import add_security_headers

log = component_logger("Validation")

_CODES_BY_STATUS = {404: ErrorCode.NOT_FOUND, 405: ErrorCode.METHOD_NOT_ALLOWED, 413: ErrorCode.UPLOAD_TOO_LARGE}


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BROKEN_DISK = frozenset({errno.EROFS, errno.EIO, errno.ESTALE})
"""The kernel makes a disk read-only when it finds a fault of it; a folder of another machine goes stale."""
_ADVICE = {
    404: "There is nothing at this address. GET /openapi.json lists what there is.",
    405: "This address does not take that method. GET /openapi.json lists those it takes.",
}


class Problem(Exception):
    """Raise it anywhere below a route. `extensions` become further members of the body."""

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        logged: str | None = None,
        **extensions: Any,
    ) -> None:
        """`logged` stands for the detail in the log, where that repeats what somebody said."""
        super().__init__(detail)
        self.logged = logged or detail
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions

    def body(self) -> ProblemBody:
        return ProblemBody(
            type=f"urn:chammal:problem:{self.code}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            code=self.code,
            request_id=current_request_id(),
            error=OpenAIError(message=self.detail, type=_openai_type(self.status), code=self.code),
            **self.extensions,
        )

    def response(self) -> Response:
        return Response(
            self.body().model_dump_json(),
            status_code=self.status,
            headers=self.headers,
            media_type=PROBLEM_MEDIA_TYPE,
        )


def _openai_type(status: int) -> str:
    return "invalid_request_error" if status < 500 else "server_error"


def install_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_client_gone)
    app.add_exception_handler(OSError, _on_os_error)
    app.add_exception_handler(Exception, _on_unhandled)
    describe_errors(app)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101
    if error.status == HTTPStatus.INSUFFICIENT_STORAGE:
        log.error("%s %s: no room on the disk: %s", request.method, request.url.path, error.logged)
    if error.status < 500:
        log.warning("%s %s: %d %s: %s", request.method, request.url.path, error.status, error.code, error.logged)
    return error.response()


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    fields = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{f['field']}: {f['message']}" for f in fields)
    return await _on_problem(request, Problem(422, ErrorCode.INVALID_REQUEST, detail, fields=fields))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = _CODES_BY_STATUS.get(error.status_code, ErrorCode.INVALID_REQUEST)
    if error.status_code >= 500:
        code = ErrorCode.INTERNAL_ERROR
    detail = _ADVICE.get(error.status_code, str(error.detail))
    headers = {**(error.headers or {}), "Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return await _on_problem(request, Problem(error.status_code, code, detail, headers=headers))


def _allowed(request: Request) -> str:
    """All methods of the address (RFC 9110, 10.2.1): Starlette tells those of the first route that has it."""
    found: set[str] = set()
    for route in request.app.router.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(found))


async def _on_client_gone(request: Request, error: Exception) -> Response:
    """Nobody reads it; the status is for the log and the metrics, where it is no failure of ours."""
    return Response(status_code=499)


async def _on_os_error(request: Request, error: Exception) -> Response:
    """A full or broken disk is a state of the machine, and whoever sent something for it can be told."""
    if getattr(error, "errno", None) in _BROKEN_DISK:
        log.error("%s %s: the disk cannot be used: %s", request.method, request.url.path, error)
        detail = "The service's disk cannot be read or written. An operator must look at it. Nothing is half kept."
        return Problem(503, ErrorCode.STORAGE_UNAVAILABLE, detail, headers={"Retry-After": "30"}).response()
    if getattr(error, "errno", None) not in _NO_ROOM:
        raise error
    log.error("%s %s: no room on the disk: %s", request.method, request.url.path, error)
    detail = "The service has no room on its disk for what was sent. An operator must make some."
    return Problem(507, ErrorCode.STORAGE_FULL, detail, headers={"Retry-After": "30"}).response()


async def _on_unhandled(request: Request, error: Exception) -> Response:
    """The boundary of the process: Starlette re-raises after this, and uvicorn logs the traceback."""
    response = Problem(
        500, ErrorCode.INTERNAL_ERROR, "The service met an error of its own; its log has the cause."
    ).response()
    add_security_headers(response.raw_headers)  # no middleware of ours comes after this
    return response
