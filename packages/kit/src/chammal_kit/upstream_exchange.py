"""One request and its answer over a transport, within its time-outs and byte cap."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from typing import cast

import httpx2

from chammal_contracts.stages import FailureType
from chammal_kit.http_transport import Answer
from chammal_kit.upstream_errors import Evidence, UpstreamError, from_status, from_transport, unusable
from chammal_kit.upstream_policy import Timeouts

ERROR_BODY_BYTES = 64 * 1024
_CREDENTIALS = ("authorization", "x-api-key")
_FAIR_SHARE = 0.9
_PROMPT_SECONDS = 0.05


class Exchange:
    """Send, then take chunks until None, then close. Every failure is an UpstreamError; `deadline` is loop time."""

    __slots__ = (
        "_chunks", "_deadline", "_given_at", "_limits", "_loop", "_max_bytes", "_name", "_received", "_response",
        "_sending", "_sent_at", "_source_pending", "_timeouts", "_waited",
    )  # fmt: skip

    def __init__(self, name: str, timeouts: Timeouts, deadline: float, max_bytes: int) -> None:
        self._name = name
        self._timeouts = timeouts
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._loop = asyncio.get_running_loop()
        self._sent_at = self._given_at = self._loop.time()
        self._source_pending = False
        self._sending = False
        self._received = 0
        self._waited = 0.0
        self._response: httpx2.Response | None = None
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._limits: dict[str, float | None] = {}

    @property
    def status(self) -> int:
        return self._response.status_code if self._response else 0

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers if self._response else {}

    def slow(self, share: float) -> bool:
        """Whether the first byte took more than `share` of the time that it may take."""
        if self._response is None:
            self._note_wait()
        return self._waited > share * self._timeouts.first_byte

    async def send(self, transport: httpx2.AsyncBaseTransport, request: httpx2.Request) -> None:
        """Returns when a 2xx status and headers are here."""
        timeouts = self._timeouts
        self._limits = {
            "connect": timeouts.connect,
            "pool": timeouts.connect,
            "write": timeouts.idle,
            "read": timeouts.first_byte,
        }
        request.extensions["timeout"] = self._limits
        try:
            async with asyncio.timeout_at(self._deadline) as scope:
                self._response = await transport.handle_async_request(request)
        except TimeoutError:
            if scope.expired():
                raise self._late() from None
            raise
        except httpx2.TransportError as error:
            raise self._interrupted(error) from error
        self._note_wait()
        # httpx2 takes a read time-out per connection read and keeps it for the whole body; ours are finer
        self._limits["read"] = None
        self._chunks = cast("AsyncGenerator[bytes, None]", aiter(cast("AsyncIterable[bytes]", self._response.stream)))
        if not 200 <= self.status < 300:
            raise self._refused(without_credentials(await self._error_body(), request.headers))
        self._check_headers()

    async def chunk(self) -> bytes | None:
        """The next piece, or None at the end."""
        now = self._loop.time()
        if now >= self._deadline:
            # whoever comes back late for the next piece is to blame, unless the pieces themselves came too slowly
            raise self._late(Evidence.NONE if now - self._given_at > _PROMPT_SECONDS else None)
        limit = now + self._timeouts.idle if self._received else self._sent_at + self._timeouts.first_byte
        here = self._chunks.here() if isinstance(self._chunks, Answer) else None
        chunk = await self._next(limit) if here is None else here or None
        if chunk is not None:
            given_at = self._loop.time()
            if not self._received:  # a consumer's own time does not count
                self._waited += given_at - now
            self._received += len(chunk)
            if self._received > self._max_bytes:
                raise self._too_large()
            self._given_at = given_at
        return chunk

    async def _next(self, limit: float) -> bytes | None:
        assert self._chunks is not None  # noqa: S101
        try:
            async with asyncio.timeout_at(min(limit, self._deadline)):
                return await anext(self._chunks, None)
        except TimeoutError:
            raise self._late() if self._deadline <= limit else self._silent() from None
        except httpx2.TransportError as error:
            raise from_transport(self._name, error, self.status) from error

    async def read(self) -> bytes:
        first = await self.chunk()
        if first is None:
            return b""
        pieces = [first]
        try:
            while (piece := await self.chunk()) is not None:
                pieces.append(piece)
            return first if len(pieces) == 1 else b"".join(pieces)
        finally:
            pieces.clear()  # whoever keeps the error keeps this frame

    async def close(self) -> None:
        """Gives the connection back, or ends it where something is still to be read. Safe to repeat."""
        response, self._response = self._response, None
        if response is None:
            return
        if self._chunks is not None:
            await self._chunks.aclose()
        await cast("httpx2.AsyncByteStream", response.stream).aclose()

    async def pace(self, source: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
        """The body on its way out, with note taken of whom we wait for: a slow caller is not a slow upstream."""
        self._source_pending = self._sending = True
        async for piece in source:
            self._source_pending = False
            yield piece
            self._source_pending = True
        self._source_pending = self._sending = False
        self._sent_at = self._loop.time()

    def _note_wait(self) -> None:
        if not self._sending:  # else the caller may be the slow one
            self._waited = self._loop.time() - self._sent_at

    def _refused(self, body: bytes) -> UpstreamError:
        """An upstream that kept to a deadline of ours is blamed no more than one that we gave up on."""
        error = from_status(self._name, self.status, self.headers, body)
        if error.failure is FailureType.DEADLINE_EXCEEDED:
            error.evidence = self._blame()
        return error

    def _check_headers(self) -> None:
        encoding = self.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise unusable(self._name, f"sent {encoding[:20]}, which nobody asked for", http_status=self.status)
        length = self.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > self._max_bytes:
            raise self._too_large()

    async def _error_body(self) -> bytes:
        body = b""
        try:
            while len(body) < ERROR_BODY_BYTES and (piece := await self.chunk()) is not None:
                body += piece
        except UpstreamError:  # the status says enough
            pass
        return body[:ERROR_BODY_BYTES]

    def _interrupted(self, error: httpx2.TransportError) -> UpstreamError:
        """A server that hangs up on a body it does not want (413) is not a broken one, and looks the same."""
        failed = from_transport(self._name, error)
        if self._sending and failed.failure is FailureType.CONNECTION_LOST:
            failed.evidence = Evidence.NONE
        return failed

    def _late(self, evidence: Evidence | None = None) -> UpstreamError:
        """The deadline passed. An upstream is blamed only if it had the time that its policy grants, so that
        impatient or slow callers cannot open its breaker."""
        return UpstreamError(
            self._name,
            FailureType.DEADLINE_EXCEEDED,
            "no complete answer before the deadline",
            http_status=self.status or None,
            evidence=evidence or self._blame(),
        )

    def _blame(self) -> Evidence:
        fair = _FAIR_SHARE * min(self._timeouts.first_byte, self._timeouts.total)
        blamed = self._loop.time() - self._sent_at >= fair and not self._source_pending
        return Evidence.AGAINST if blamed else Evidence.NONE

    def _silent(self) -> UpstreamError:
        detail = "went silent" if self._received else "sent no first byte in time"
        return UpstreamError(self._name, FailureType.READ_TIMEOUT, detail, http_status=self.status or None)

    def _too_large(self) -> UpstreamError:
        detail = f"more than {self._max_bytes} bytes"
        return UpstreamError(self._name, FailureType.RESPONSE_TOO_LARGE, detail, http_status=self.status)


def without_credentials(body: bytes, sent: Mapping[str, str]) -> bytes:
    """What an upstream says of an error goes to callers and into logs, and some repeat the key that they were shown."""
    for name in _CREDENTIALS:
        shown = sent.get(name, "").rpartition(" ")[2].encode("latin-1", "ignore")
        if shown:
            body = body.replace(shown, b"***")
    return body
