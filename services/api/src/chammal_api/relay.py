"""Passes a request through to a service and its answer back, byte for byte, once that is known to be an answer."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from chammal_api.clients.failure import callers_problem, describe, retry_after_header, status_for, words_for_the_caller
from chammal_api.clients.stt import patience
from chammal_api.passage import SHAPES, passable
from chammal_api.tally import Tally
from chammal_contracts import headers as wire
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import Attempt, Stage, StageReport, StageStatus
from chammal_kit.body_limit import limit_body, read_body
from chammal_kit.disconnect import unless_disconnected
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_kit.upstream import Body, Timeouts, Upstream, UpstreamError, UpstreamRejected

log = component_logger("Relay")

MAX_ANSWER_BYTES = 1 << 30
"""Nothing of it is kept, and the events of a recording of hours repeat much of its text."""
_TO_SERVICE = ("content-type", "content-length", "accept")
_TO_CALLER = (
    "content-type",
    "content-length",
    "content-disposition",
    "cache-control",
    "retry-after",
    wire.BACKEND.lower(),
    wire.ATTEMPTS.lower(),
    wire.DEGRADED.lower(),
)


async def relay_json(
    request: Request, upstream: Upstream, stage: Stage | None, max_bytes: int, tally: Tally
) -> Response:
    """For bodies that fit into memory, so that a call may be repeated."""
    body = await read_body(request, max_bytes)
    body_read = asyncio.Event()
    body_read.set()
    return Relay(request, upstream, body, body_read, stage, tally)


async def relay_upload(request: Request, upstream: Upstream, stage: Stage, max_bytes: int, tally: Tally) -> Response:
    """For uploads: they pass through as they arrive, whatever their size, and so cannot be repeated."""
    body_read = asyncio.Event()
    body = _noting_end(limit_body(request, max_bytes).stream(), body_read)
    declared = request.headers.get("content-length", "")
    timeouts = patience(upstream.policy.timeouts, int(declared) if declared.isdigit() else None)
    return Relay(request, upstream, body, body_read, stage, tally, timeouts)


async def _noting_end(body: AsyncIterator[bytes], end: asyncio.Event) -> AsyncIterator[bytes]:
    async for piece in body:
        yield piece
    end.set()


class Relay(Response):
    """An answer that is fetched while it is sent."""

    def __init__(
        self,
        request: Request,
        upstream: Upstream,
        body: Body,
        body_read: asyncio.Event,
        stage: Stage | None,
        tally: Tally,
        timeouts: Timeouts | None = None,
    ) -> None:
        super().__init__()
        self._timeouts = timeouts
        self._path = request.scope["path"]
        self._forwarded = {name: request.headers[name] for name in _TO_SERVICE if name in request.headers}
        self._upstream = upstream
        self._body = body
        self._body_read = body_read
        self._stage = stage
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_after_body() -> Message:
            await self._body_read.wait()
            return await receive()

        try:
            await unless_disconnected(receive_after_body, self._fetch(send))
        except ClientDisconnect:
            log.info("the caller left before %s had answered", self._upstream.name)

    async def _fetch(self, send: Send) -> None:
        started = asyncio.get_running_loop().time()
        answering = False
        attempts: list[Attempt] = []
        try:
            async with self._upstream.stream(
                "POST",
                self._path,
                body=self._body,
                headers=self._forwarded,
                timeouts=self._timeouts,
                max_bytes=MAX_ANSWER_BYTES,
            ) as answer:
                attempts = answer.attempts
                status = StageStatus.DEGRADED if wire.DEGRADED in answer.headers else StageStatus.OK
                shape = SHAPES[self._path]
                async with aclosing(passable(answer, shape, self._upstream.policy.max_response_bytes)) as pieces:
                    async for piece in pieces:
                        if not answering:
                            await send(_start(answer.status, answer.headers))
                            answering = True
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except UpstreamRejected as error:
            if error.http_status is None:  # it was never sent
                raise callers_problem(error) from error
            await send(_start(error.http_status, error.headers, len(error.body)))
            await send({"type": "http.response.body", "body": error.body})
        except UpstreamError as error:
            self._count(StageStatus.DUMMY, started)
            log.log(_level(error), "%s brought no whole answer: %s", self._path, describe(error))
            if not answering:
                error.attempts = error.attempts or attempts
                raise _problem(error) from error
            # returning with the answer unfinished makes the server cut the connection, which the caller can see
        else:
            self._count(status, started)

    def _count(self, status: StageStatus, started: float) -> None:
        if self._stage is not None:
            seconds = asyncio.get_running_loop().time() - started
            self._tally.count([StageReport(stage=self._stage, status=status, seconds=seconds)])


def _start(status: int, headers: Mapping[str, str], length: int | None = None) -> Message:
    kept = {name: headers[name] for name in _TO_CALLER if name in headers}
    if length is not None:
        kept["content-length"] = str(length)
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in kept.items()],
    }


def _level(error: UpstreamError) -> int:
    """A service that sheds load is not at fault, and there may be a hundred such answers a second."""
    told = words_for_the_caller(error)
    return logging.INFO if told is not None and told.code is ErrorCode.OVERLOADED else logging.ERROR


def _problem(error: UpstreamError) -> Problem:
    """In the service's own words where it has some: they may say what to do."""
    told = words_for_the_caller(error)
    attempts = {"attempts": [attempt.model_dump(mode="json") for attempt in error.attempts]}
    return Problem(
        (error.http_status if told else None) or status_for(error.failure),
        told.code if told else ErrorCode.STAGE_FAILED,
        describe(error),
        headers=retry_after_header(error.retry_after),
        **(attempts | ((told.model_extra or {}) if told else {})),
    )
