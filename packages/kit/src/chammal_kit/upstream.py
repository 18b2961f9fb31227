"""The one way out to another service: retry( breaker( bulkhead( time-out( call )))).

    async with aclosing(Upstream("stt", settings.stt_url, UpstreamPolicy())) as stt:
        reply = await stt.request("POST", "/v1/audio/transcriptions", files=…, parse=to_transcript)
        async with stt.stream("POST", "/v1/audio/speech", json=…) as answer:
            async for piece in answer: …

Both raise UpstreamError for whatever goes wrong. The caller's deadline bounds every call and is passed on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, overload

import httpx2
import pydantic_core
from pydantic import ValidationError

from chammal_contracts import headers as wire
from chammal_contracts.stages import Attempt, AttemptOutcome, BreakerState, FailureType
from chammal_kit.breaker import Breaker, BreakerOpen, CircuitBreaker, Permit
from chammal_kit.bulkhead import Bulkhead, BulkheadFull
from chammal_kit.deadline import current_deadline
from chammal_kit.hedge import Hedge, Hedged, HedgeOutcome, Latencies, race
from chammal_kit.http_transport import HttpTransport, MemoryRequest
from chammal_kit.outbound_metrics import DEFAULT_OBSERVERS
from chammal_kit.request_id import current_request_id
from chammal_kit.retry import Retrier
from chammal_kit.upstream_call import Body, Call, FilePart, Lease, Streaming, StreamReply, own_headers
from chammal_kit.upstream_errors import Evidence, UpstreamError, UpstreamRejected, unsendable, unusable
from chammal_kit.upstream_events import AttemptEnded, UpstreamCreated, UpstreamEvent, UpstreamObserver
from chammal_kit.upstream_exchange import Exchange
from chammal_kit.upstream_policy import Timeouts, UpstreamPolicy
from chammal_kit.upstream_reply import Reply

__all__ = [
    "Body", "FilePart", "Hedge", "Reply", "StreamReply", "Timeouts", "Upstream", "UpstreamError", "UpstreamPolicy",
    "UpstreamRejected",
]  # fmt: skip

T = TypeVar("T")

KEEP_ALIVE_SECONDS = 4.0
"""Shorter than the 5 s after which uvicorn closes an idle connection."""

_URLS_KEPT = 256
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Upstream:
    """One upstream with its connections, breaker, bulkhead and retry budget. Make it in lifespan, `aclose` it there."""

    def __init__(
        self,
        name: str,
        base_url: str,
        policy: UpstreamPolicy | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        breaker: Breaker | None = None,
        observers: Sequence[UpstreamObserver] = DEFAULT_OBSERVERS,
    ) -> None:
        self.name = name
        self.base_url = _without_user(base_url.rstrip("/"))
        self.policy = policy = policy or UpstreamPolicy()
        self._observers = tuple(observers)
        self._urls: dict[str, httpx2.URL] = {}
        self.own_headers = own_headers(headers)
        self._headers = {
            "host": httpx2.URL(self.base_url).netloc.decode(),
            "accept": "*/*",
            "user-agent": "chammal",
            "accept-encoding": "identity",
            **self.own_headers,
        }
        self._transport = transport or _connect(self.base_url, policy)
        self.breaker: Breaker = breaker or CircuitBreaker(name, policy.breaker, observers=self._observers)
        self.bulkhead = Bulkhead(name, policy.concurrency, policy.queue, policy.queue_seconds)
        self._retrier = Retrier(
            policy.retry, may_go=lambda: self.breaker.state is not BreakerState.OPEN, observe=self._emit
        )
        self._latencies = Latencies()
        self._emit(UpstreamCreated(name, lambda: self.bulkhead.in_flight, lambda: self.bulkhead.waiting))

    async def aclose(self) -> None:
        await self._transport.aclose()

    @overload
    async def request(
        self, method: str, path: str, *, json: Any = ..., body: Body | None = ...,
        files: Sequence[tuple[str, FilePart]] = ..., form: Mapping[str, str | list[str]] | None = ...,
        headers: Mapping[str, str] | None = ..., timeouts: Timeouts | None = ..., repeatable: bool = ...,
        hedge: Hedge | None = ..., parse: None = None,
    ) -> Reply[None]: ...  # fmt: skip
    @overload
    async def request(
        self, method: str, path: str, *, json: Any = ..., body: Body | None = ...,
        files: Sequence[tuple[str, FilePart]] = ..., form: Mapping[str, str | list[str]] | None = ...,
        headers: Mapping[str, str] | None = ..., timeouts: Timeouts | None = ..., repeatable: bool = ...,
        hedge: Hedge | None = ..., parse: Callable[[Reply[None]], T],
    ) -> Reply[T]: ...  # fmt: skip
    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Body | None = None,
        files: Sequence[tuple[str, FilePart]] = (),
        form: Mapping[str, str | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        repeatable: bool = True,
        hedge: Hedge | None = None,
        parse: Callable[[Reply[None]], Any] | None = None,
    ) -> Reply[Any]:
        """The whole answer. Where `parse` raises ValueError the answer is unusable, which counts as a failure.

        With `hedge` a slow first try is given a second beside it, out of the budget of retries.
        """
        call = self._call(method, path, json, body, files, form, headers, timeouts, repeatable)
        if hedge is None:
            reply = await self._retrying(call, lambda: self._fetch(call, parse))
        elif call.repeatable and not files:  # two would read the same file at once
            reply = await self._retrying(call, lambda: self._hedged(call, parse, hedge))
        else:
            raise ValueError("what cannot be sent twice cannot be hedged")
        reply.attempts = call.attempts
        reply.seconds = asyncio.get_running_loop().time() - call.started
        return reply

    def stream(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Body | None = None,
        files: Sequence[tuple[str, FilePart]] = (),
        form: Mapping[str, str | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        repeatable: bool = True,
        max_bytes: int | None = None,
    ) -> "Streaming":
        """`async with` gives a StreamReply as soon as a 2xx status is here; only before that is there a retry.

        `max_bytes` is for answers that nobody keeps, and so may be larger than the policy's.
        """

        async def start() -> StreamReply:
            call = self._call(method, path, json, body, files, form, headers, timeouts, repeatable)
            call.max_bytes = max_bytes or self.policy.max_response_bytes
            return StreamReply(await self._retrying(call, lambda: self._open(call)), call, self.name)

        return Streaming(start)

    async def probe(
        self, path: str, *, timeouts: Timeouts | None = None, parse: Callable[[Reply[None]], Any] | None = None
    ) -> Reply[None]:
        """A health check past breaker and bulkhead. One that passes, and that `parse` can read, lets an open breaker
        probe at once."""
        call = self._call("GET", path, None, None, (), None, None, timeouts, False)
        exchange = Exchange(self.name, call.timeouts, call.deadline, call.max_bytes)
        try:
            await exchange.send(self._transport, self._build(call, exchange))
            body = await exchange.read()
        finally:
            await exchange.close()
        reply: Reply[None] = Reply(self.name, 200, {}, body, None)
        if parse is not None:
            self._parse(reply, parse)
        self.breaker.health_ok()
        reply.seconds = asyncio.get_running_loop().time() - call.started
        return reply

    def _call(
        self, method: str, path: str, json: Any, body: Body | None, files: Sequence[tuple[str, FilePart]],
        form: Mapping[str, str | list[str]] | None, headers: Mapping[str, str] | None, timeouts: Timeouts | None,
        repeatable: bool,
    ) -> Call:  # fmt: skip
        if not path.startswith("/"):
            raise ValueError(f"a path begins with a slash: {path!r}")
        timeouts = timeouts or self.policy.timeouts
        deadline = current_deadline()
        total = timeouts.total if deadline is None else min(timeouts.total, deadline.remaining())
        sent = {**self._headers, **own_headers(headers)} if headers else self._headers.copy()
        if json is not None:
            body = pydantic_core.to_json(json, inf_nan_mode="null")
            sent["content-type"] = "application/json"
        if request_id := current_request_id():
            sent[wire.REQUEST_ID] = request_id
        started = asyncio.get_running_loop().time()
        return Call(
            method,
            self._urls.get(path) or self._parse_url(path),
            sent,
            body,
            files,
            form or {},
            timeouts,
            started,
            started + total,
            repeatable and (body is None or isinstance(body, bytes) or callable(body)),
            self.policy.max_response_bytes,
        )

    def _parse_url(self, path: str) -> httpx2.URL:
        """Parsing an address costs as much as a tenth of a call."""
        url = httpx2.URL(self.base_url + path)
        if len(self._urls) < _URLS_KEPT:
            self._urls[path] = url
        return url

    def _build(self, call: Call, exchange: Exchange) -> httpx2.Request:
        remaining = call.deadline - asyncio.get_running_loop().time()
        headers = {**call.headers, wire.DEADLINE: f"{max(remaining, 0.0):.3f}"}
        body = call.body
        if call.files:
            return httpx2.Request(call.method, call.url, headers=headers, files=call.files, data=call.form)
        if body is None or isinstance(body, bytes):
            if body or call.method in _WITH_BODY:
                headers["content-length"] = str(len(body or b""))
            return MemoryRequest(call.method, call.url, headers, body or b"")
        source = body() if callable(body) else body
        return httpx2.Request(call.method, call.url, headers=headers, content=exchange.pace(source))

    async def _retrying(self, call: Call, attempt: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await self._retrier.run(
                attempt, repeatable=lambda: call.repeatable, remaining=lambda: call.deadline - loop.time()
            )
        except UpstreamError as error:
            error.attempts = call.attempts
            error.seconds = loop.time() - call.started
            raise

    async def _open(self, call: Call) -> "Lease":
        """Past breaker and bulkhead, up to a 2xx status. Whoever gets the lease must finish it."""
        started = asyncio.get_running_loop().time()
        if started >= call.deadline:
            late = UpstreamError(
                self.name, FailureType.DEADLINE_EXCEEDED, "no time left to call", evidence=Evidence.NONE
            )
            raise self._refused(call, started, late)
        permit = await self._enter(call, started)
        exchange = Exchange(self.name, call.timeouts, call.deadline, call.max_bytes)
        share = self.policy.breaker.slow_share
        lease = Lease(permit, self.bulkhead, exchange, share, partial(self._record, call, started))
        try:
            await exchange.send(self._transport, self._request(call, exchange))
        except BaseException as error:
            await lease.finish(error)
            raise
        return lease

    async def _enter(self, call: Call, started: float) -> Permit:
        """Asks the breaker again where it may have opened during the wait: those who queued were let in before that."""
        permit = self._admit(call, started)
        try:
            await self.bulkhead.acquire(call.deadline - started)
        except BulkheadFull as error:
            permit.cancel()
            raise self._refused(call, started, _refusal(self.name, FailureType.BULKHEAD_FULL, error)) from None
        except BaseException:
            permit.cancel()
            raise
        if self.breaker.state is BreakerState.CLOSED:
            return permit
        permit.cancel()
        try:
            return self._admit(call, started)
        except UpstreamError:
            self.bulkhead.release()
            raise

    def _admit(self, call: Call, started: float) -> Permit:
        try:
            return self.breaker.admit()
        except BreakerOpen as error:
            raise self._refused(call, started, _refusal(self.name, FailureType.BREAKER_OPEN, error)) from None

    def _request(self, call: Call, exchange: Exchange) -> httpx2.Request:
        try:
            return self._build(call, exchange)
        except UnicodeEncodeError:
            raise unsendable(self.name, "a header is not ASCII") from None

    async def _fetch(self, call: Call, parse: Callable[[Reply[None]], Any] | None) -> Reply[Any]:
        lease = await self._open(call)
        try:
            exchange = lease.exchange
            body = await exchange.read()
            reply: Reply[Any] = Reply(self.name, exchange.status, exchange.headers, body, None)
            if parse is not None:
                reply.value = self._parse(reply, parse)
        except BaseException as error:
            await lease.finish(error)
            raise
        await lease.finish(None)
        return reply

    async def _hedged(self, call: Call, parse: Callable[[Reply[None]], Any] | None, hedge: Hedge) -> Reply[Any]:
        loop = asyncio.get_running_loop()
        endpoint = (call.method, call.url.path)
        wait = self._latencies.p95(endpoint) if hedge.seconds is None else hedge.seconds
        started = loop.time()
        if wait is None or call.attempts:  # two tries are enough
            reply = await self._fetch(call, parse)
        else:
            reply = await self._race(call, parse, wait)
        self._latencies.note(endpoint, loop.time() - started)
        return reply

    async def _race(self, call: Call, parse: Callable[[Reply[None]], Any] | None, wait: float) -> Reply[Any]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        outcome = HedgeOutcome.LOST
        try:
            raced = await race(lambda: self._fetch(call, parse), wait, lambda: self._may_hedge(call))
            if raced.second_won:
                outcome = HedgeOutcome.WON
        finally:
            if call.hedged_at is not None:
                self._emit(Hedged(self.name, outcome))
        if raced.superseded:
            since = started if raced.second_won else call.hedged_at or started
            seconds = loop.time() - since
            call.attempts.append(Attempt(backend=self.name, outcome=AttemptOutcome.SUPERSEDED, seconds=seconds))
        return raced.value

    def _may_hedge(self, call: Call) -> bool:
        free = self.bulkhead.in_flight < self.bulkhead.concurrency
        if self.breaker.state is BreakerState.CLOSED and free and self._retrier.budget.take():
            call.hedged_at = asyncio.get_running_loop().time()
            call.repeatable = False
            return True
        self._emit(Hedged(self.name, HedgeOutcome.REFUSED))
        return False

    def _parse(self, reply: Reply[None], parse: Callable[[Reply[None]], T]) -> T:
        try:
            return parse(reply)
        except (ValueError, RecursionError) as error:  # pydantic's ValidationError is a ValueError
            raise unusable(self.name, f"unusable answer: {_told(error)}", http_status=reply.status) from None

    def _refused(self, call: Call, started: float, error: UpstreamError) -> UpstreamError:
        self._record(call, started, error, AttemptOutcome.REFUSED)
        return error

    def _record(
        self, call: Call, started: float, error: BaseException | None, outcome: AttemptOutcome, slow: bool = False
    ) -> None:
        seconds = asyncio.get_running_loop().time() - started
        failure = error.failure if isinstance(error, UpstreamError) else None
        cancelled = error is not None and failure is None
        if not cancelled:
            status = error.http_status if isinstance(error, UpstreamError) else None
            call.attempts.append(
                Attempt(backend=self.name, outcome=outcome, error_type=failure, http_status=status, seconds=seconds)
            )
        self._emit(AttemptEnded(self.name, failure, cancelled, seconds, slow and not cancelled))

    def _emit(self, event: UpstreamEvent) -> None:
        for observe in self._observers:
            observe(event)


def _without_user(url: str) -> str:
    """Addresses are shown in /ready, and no request carries the password of one."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def _refusal(name: str, failure: FailureType, error: BreakerOpen | BulkheadFull) -> UpstreamError:
    return UpstreamError(name, failure, str(error), retry_after=error.retry_after, evidence=Evidence.NONE)


def _connect(base_url: str, policy: UpstreamPolicy) -> httpx2.AsyncBaseTransport:
    """The bulkhead bounds the connections, so the pool need not: a request never queues twice."""
    if not base_url.startswith("https:"):
        return HttpTransport(keep_alive=KEEP_ALIVE_SECONDS)
    limits = httpx2.Limits(
        max_connections=None, max_keepalive_connections=policy.concurrency, keepalive_expiry=KEEP_ALIVE_SECONDS
    )
    return httpx2.AsyncHTTPTransport(trust_env=False, limits=limits)


def _told(error: Exception) -> str:
    """Without what was in the answer: it may be what somebody said on the telephone."""
    if not isinstance(error, ValidationError):
        return str(error)
    faults = error.errors(include_input=False, include_context=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:5])
