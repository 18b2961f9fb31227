"""One call while it is under way: what it holds, and the answer that streams out of it."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO

import httpx2

from chammal_contracts.stages import Attempt, AttemptOutcome
from chammal_kit.breaker import Permit
from chammal_kit.bulkhead import Bulkhead
from chammal_kit.upstream_errors import Evidence, UpstreamError, unusable
from chammal_kit.upstream_exchange import Exchange
from chammal_kit.upstream_policy import Timeouts

Body = bytes | AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]]
"""A callable makes the body anew for a retry; a bare iterable is sent once and never repeated."""
FilePart = tuple[str, bytes | IO[bytes], str]
"""File name, content, media type. A file object is read while it is sent, so it never is in memory whole."""


_NOT_PASSED_ON = frozenset(
    {"host", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect", "accept-encoding"}
)


@dataclass(slots=True)
class Call:
    """What stays the same over the attempts of one call."""

    method: str
    url: httpx2.URL
    headers: dict[str, str]
    body: Body | None
    files: Sequence[tuple[str, FilePart]]
    form: Mapping[str, str | list[str]]
    timeouts: Timeouts
    started: float
    deadline: float
    """Both in loop time."""
    repeatable: bool
    max_bytes: int
    hedged_at: float | None = None
    """When a second try was sent beside the first, in loop time."""
    attempts: list[Attempt] = field(default_factory=list)


class Lease:
    """What one attempt holds: a permit, a slot and an exchange. Finishing gives all back, once."""

    __slots__ = ("_bulkhead", "_finished", "_permit", "_record", "_slow_share", "exchange")

    def __init__(
        self,
        permit: Permit,
        bulkhead: Bulkhead,
        exchange: Exchange,
        slow_share: float,
        record: Callable[[BaseException | None, AttemptOutcome, bool], None],
    ) -> None:
        self._permit = permit
        self._bulkhead = bulkhead
        self._slow_share = slow_share
        self._record = record
        self._finished = False
        self.exchange = exchange

    async def finish(self, error: BaseException | None) -> None:
        if self._finished:
            return
        self._finished = True
        slow = self.exchange.slow(self._slow_share)
        if error is None or (isinstance(error, UpstreamError) and error.evidence is Evidence.FOR):
            self._permit.succeed(slow=slow)
        elif isinstance(error, UpstreamError) and error.evidence is Evidence.AGAINST:
            self._permit.fail(error.retry_after, slow=slow)
        else:
            self._permit.cancel()
        self._record(error, AttemptOutcome.OK if error is None else AttemptOutcome.FAILED, slow)
        try:
            await self.exchange.close()
        finally:
            self._bulkhead.release()


class StreamReply:
    """A 2xx answer that is still coming. Iterate it for its raw bytes.

    Whether it was a good one is settled when its block is left: only there is it known what was made of it.
    """

    def __init__(self, lease: Lease, call: Call, upstream: str) -> None:
        self._lease = lease
        self._call = call
        self._upstream = upstream
        self._reading = self._ended = False
        self._abandoning: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_at(call.deadline, self._abandon)
        self.status = lease.exchange.status
        self.headers = lease.exchange.headers

    @property
    def attempts(self) -> list[Attempt]:
        return self._call.attempts

    def __aiter__(self) -> "StreamReply":
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        self._reading = True
        try:
            chunk = await self._lease.exchange.chunk()
        except BaseException as error:
            if isinstance(error, UpstreamError):
                error.attempts = self._call.attempts
                error.seconds = asyncio.get_running_loop().time() - self._call.started
            await self.finish(error)
            raise
        finally:
            self._reading = False
        if chunk is None:
            self._ended = True
            raise StopAsyncIteration
        return chunk

    async def finish(self, error: BaseException | None) -> None:
        """What leaving the block does. Only the first end counts."""
        self._timer.cancel()
        await self._lease.finish(error)

    def _abandon(self) -> None:
        """A consumer that never comes back, such as a stalled client, must not keep the slot for ever."""
        if not self._reading:
            self._abandoning = asyncio.ensure_future(self.finish(None if self._ended else asyncio.CancelledError()))

    def unusable(self, detail: str) -> UpstreamError:
        """To be raised where the bytes make no sense: `raise answer.unusable("not an event")` counts as a failure."""
        return unusable(self._upstream, detail, http_status=self.status)


class Streaming:
    """Leaving the block normally before the end means that the answer was good as far as it was wanted."""

    def __init__(self, start: Callable[[], Awaitable[StreamReply]]) -> None:
        self._start = start
        self._reply: StreamReply | None = None

    async def __aenter__(self) -> StreamReply:
        self._reply = await self._start()
        return self._reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reply is not None:
            await self._reply.finish(error)


def own_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Without what belongs to one connection, so that a caller's headers may be passed on as they came."""
    if not headers:
        return {}
    return {name: value for key, value in headers.items() if (name := key.lower()) not in _NOT_PASSED_ON}
