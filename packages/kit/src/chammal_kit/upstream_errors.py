"""What can go wrong with an upstream. httpx2's exceptions become these once, here, and go no further.

UpstreamError
└── UpstreamRejected    the upstream's 4xx: this request is at fault
"""

import email.utils
import time
from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

import httpx2
from pydantic import ValidationError

from chammal_contracts.errors import ErrorCode, ProblemBody
from chammal_contracts.stages import Attempt, FailureType

E = TypeVar("E", bound=Exception)


class Evidence(Enum):
    """What an outcome says about the upstream's health."""

    FOR = "for"
    AGAINST = "against"
    NONE = "none"


class UpstreamError(Exception):
    """A call brought no usable answer. `attempts` holds every try, `seconds` the whole call."""

    def __init__(
        self,
        upstream: str,
        failure: FailureType,
        detail: str,
        *,
        http_status: int | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        evidence: Evidence = Evidence.AGAINST,
    ) -> None:
        super().__init__(upstream, failure, detail)
        self.upstream = upstream
        self.failure = failure
        self.detail = detail
        self.http_status = http_status
        self.retry_after = retry_after
        self.headers: Mapping[str, str] = headers or {}
        self.body = body
        """What the upstream said with an error status, at most 64 KiB."""
        self.evidence = evidence
        self.attempts: list[Attempt] = []
        self.seconds = 0.0

    @property
    def is_leaving(self) -> bool:
        """It shuts down in good order and took nothing: whoever listens next takes it."""
        problem = _read_problem(self.body) if self.http_status == 503 else None
        return problem is not None and problem.code is ErrorCode.SERVER_SHUTTING_DOWN

    def __str__(self) -> str:
        return f"{self.upstream}: {self.failure}: {self.detail}"


class UpstreamRejected(UpstreamError):
    """A 4xx that is the request's fault. The upstream works: never retried, never against the breaker."""


def unusable(upstream: str, detail: str, **context: int) -> UpstreamError:
    return UpstreamError(upstream, FailureType.INVALID_RESPONSE, detail, http_status=context.get("http_status"))


_TRANSPORT_FAILURES: tuple[tuple[type[httpx2.TransportError], FailureType], ...] = (
    (httpx2.ConnectTimeout, FailureType.CONNECT_TIMEOUT),
    (httpx2.PoolTimeout, FailureType.CONNECT_TIMEOUT),
    (httpx2.TimeoutException, FailureType.READ_TIMEOUT),
    (httpx2.ConnectError, FailureType.CONNECT_ERROR),
    (httpx2.UnsupportedProtocol, FailureType.CONNECT_ERROR),
)


def unsendable(upstream: str, detail: str) -> UpstreamRejected:
    """A header or a length in the request is wrong, as a caller may have sent it. Nobody was asked."""
    return UpstreamRejected(upstream, FailureType.REJECTED, detail, evidence=Evidence.NONE)


def from_transport(upstream: str, error: httpx2.TransportError, http_status: int | None = None) -> UpstreamError:
    if isinstance(error, httpx2.LocalProtocolError):
        return unsendable(upstream, str(error))
    failure = next((f for kind, f in _TRANSPORT_FAILURES if isinstance(error, kind)), FailureType.CONNECTION_LOST)
    return UpstreamError(upstream, failure, str(error) or type(error).__name__, http_status=http_status)


def from_status(upstream: str, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """For any status that is not 2xx."""
    failure, evidence = _classified(status, body)
    kind = UpstreamRejected if failure is FailureType.REJECTED else UpstreamError
    return kind(
        upstream,
        failure,
        f"answered {status}",
        http_status=status,
        retry_after=parse_retry_after(headers.get("retry-after")),
        headers=headers,
        body=body,
        evidence=evidence,
    )


_SPECIAL: dict[int, tuple[FailureType, Evidence]] = {
    401: (FailureType.MISCONFIGURED, Evidence.AGAINST),
    407: (FailureType.MISCONFIGURED, Evidence.AGAINST),
    421: (FailureType.MISCONFIGURED, Evidence.AGAINST),
    402: (FailureType.MISCONFIGURED, Evidence.NONE),  # which model a caller names may bring these two
    403: (FailureType.MISCONFIGURED, Evidence.NONE),
    408: (FailureType.HTTP_ERROR, Evidence.NONE),  # our sender was slow, which says nothing about the upstream
    425: (FailureType.HTTP_ERROR, Evidence.NONE),
    499: (FailureType.HTTP_ERROR, Evidence.NONE),  # it believes that we left
    429: (FailureType.RATE_LIMITED, Evidence.AGAINST),
}


def _classified(status: int, body: bytes) -> tuple[FailureType, Evidence]:
    if special := _SPECIAL.get(status):
        return special
    if status < 400:  # a redirect, which we never follow
        return FailureType.INVALID_RESPONSE, Evidence.AGAINST
    if status < 500:
        return FailureType.REJECTED, Evidence.FOR
    problem = _read_problem(body) if status in (503, 504) else None
    if status == 503:
        return FailureType.UNAVAILABLE, Evidence.NONE if problem and _is_well(problem) else Evidence.AGAINST
    if problem and problem.code is ErrorCode.DEADLINE_EXCEEDED:
        return FailureType.DEADLINE_EXCEEDED, Evidence.AGAINST
    return FailureType.HTTP_ERROR, Evidence.AGAINST


def _read_problem(body: bytes) -> ProblemBody | None:
    try:
        return ProblemBody.model_validate_json(body)
    except ValidationError:
        return None


def _is_well(problem: ProblemBody) -> bool:
    """It sheds load that is too much for it, lacks weights that a caller named, leaves in good order with another in
    its place, or was given nothing usable by models that answer, as a caller's text may make them: a breaker that
    opened on these would refuse what the upstream can do."""
    told = problem.model_extra or {}
    if problem.code is ErrorCode.MODEL_UNAVAILABLE:
        return "command" in told
    if problem.code is ErrorCode.BACKENDS_FAILED:
        attempts = told.get("attempts")
        return isinstance(attempts, list) and bool(attempts) and all(map(_is_unusable, attempts))
    return problem.code in (ErrorCode.OVERLOADED, ErrorCode.SERVER_SHUTTING_DOWN)


def _is_unusable(attempt: object) -> bool:
    return isinstance(attempt, dict) and attempt.get("error_type") == FailureType.INVALID_RESPONSE


def parse_retry_after(value: str | None) -> float | None:
    """Seconds, from either form that RFC 9110 allows; None when absent or unreadable."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def without_frames(error: E) -> E:
    """For an error that is kept after it was handled. Its frames hold whatever was read, and often whoever keeps it:
    such a circle stays until the next full collection."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
