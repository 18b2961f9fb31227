"""What the gateway needs of a backend, and the one exception by which it goes on to the next."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from chammal_contracts.stages import Attempt, AttemptOutcome, FailureType
from chammal_kit.proof import Proof
from chammal_kit.upstream import Upstream
from chammal_llm_gateway.answer import Chunk, Completion
from chammal_llm_gateway.names import ModelNames
from chammal_llm_gateway.request import ChatRequest
from chammal_llm_gateway.settings import BackendName


@dataclass(frozen=True, slots=True)
class Answered:
    completion: Completion
    attempts: list[Attempt]


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that the backend has begun. The attempt that is still running is not among `attempts`."""

    chunks: AsyncIterator[Chunk]
    attempts: list[Attempt]


class Backend(Protocol):
    """Raises UpstreamError and Untranslatable."""

    @property
    def name(self) -> BackendName: ...
    @property
    def names(self) -> ModelNames: ...
    @property
    def upstream(self) -> Upstream: ...
    @property
    def proof(self) -> Proof:
        """Renewed with each answer, and each first token of a stream."""

    async def complete(self, request: ChatRequest, model: str) -> Answered: ...

    def stream(self, request: ChatRequest, model: str) -> AbstractAsyncContextManager[Opened]: ...

    async def ask_one_token(self, model: str) -> None:
        """Returns where the backend generates anything at all, be it a blank."""


class Untranslatable(ValueError):
    """The request uses what this backend's protocol, or our translation into it, does not have."""


class BackendFailed(Exception):
    """This backend gave no usable answer."""

    def __init__(
        self,
        backend: BackendName,
        failure: FailureType,
        reason: str,
        attempts: list[Attempt],
        retry_after: float | None = None,
        said: str = "",
    ) -> None:
        super().__init__(backend, failure, reason)
        self.backend = backend
        self.failure = failure
        self.reason = reason
        self.attempts = attempts
        """At least one."""
        self.retry_after = retry_after
        """Seconds, where known."""
        self.said = said
        """The backend's own words: for the caller alone, since they may repeat what was asked or answered."""

    @property
    def told(self) -> str:
        return f"{self.reason}: {self.said}" if self.said else self.reason


def failed_attempt(
    backend: BackendName, failure: FailureType, seconds: float, http_status: int | None = None
) -> Attempt:
    """An attempt whose failure the transport did not see or did not record."""
    return Attempt(
        backend=backend, outcome=AttemptOutcome.FAILED, error_type=failure, http_status=http_status, seconds=seconds
    )
