"""What can go wrong with an upstream. httpx2's exceptions become these once, here, and go no further.

UpstreamError
└── UpstreamRejected    the upstream's 4xx: this request is at fault
"""

import email.utils
import time
from collections.abc import Mapping
from enum import Enum

import httpx2
from pydantic import ValidationError

from chammal_contracts.errors import ErrorCode, ProblemBody
from chammal_contracts.stages import Attempt, FailureType


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

    def __str__(self) -> str:
        return f"{self.upstream}: {self.failure}: {self.detail}"


class UpstreamRejected(UpstreamError):
    """4xx other than 408 and 429. The upstream works: never retried, never against the breaker."""


def unusable(upstream: str, detail: str, **context: int) -> UpstreamError:
    return UpstreamError(upstream, FailureType.INVALID_RESPONSE, detail, http_status=context.get("http_status"))


_TRANSPORT_FAILURES: tuple[tuple[type[httpx2.TransportError], FailureType], ...] = (
    (httpx2.ConnectTimeout, FailureType.CONNECT_TIMEOUT),
    (httpx2.PoolTimeout, FailureType.CONNECT_TIMEOUT),
    (httpx2.TimeoutException, FailureType.READ_TIMEOUT),
    (httpx2.ConnectError, FailureType.CONNECT_ERROR),
    (httpx2.LocalProtocolError, FailureType.INVALID_RESPONSE),
    (httpx2.UnsupportedProtocol, FailureType.CONNECT_ERROR),
)


def from_transport(upstream: str, error: httpx2.TransportError, http_status: int | None = None) -> UpstreamError:
    failure = next((f for kind, f in _TRANSPORT_FAILURES if isinstance(error, kind)), FailureType.CONNECTION_LOST)
    return UpstreamError(upstream, failure, str(error) or type(error).__name__, http_status=http_status)


def from_status(upstream: str, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """For any status that is not 2xx."""
    kind: type[UpstreamError] = UpstreamError
    failure, evidence = FailureType.HTTP_ERROR, Evidence.AGAINST
    if status == 429:
        failure = FailureType.RATE_LIMITED
    elif status == 503:
        failure = FailureType.UNAVAILABLE
        if _is_well(body):
            evidence = Evidence.NONE
    elif status == 408:  # our sender was slow, which says nothing about the upstream
        evidence = Evidence.NONE
    elif 400 <= status < 500:
        kind, failure, evidence = UpstreamRejected, FailureType.REJECTED, Evidence.FOR
    elif status < 400:  # a redirect, which we never follow
        failure = FailureType.INVALID_RESPONSE
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


def _is_well(body: bytes) -> bool:
    """It sheds load that is too much for it, or lacks weights that a caller named, and says so: a breaker that opened
    on either would refuse what the upstream can do."""
    try:
        problem = ProblemBody.model_validate_json(body)
    except ValidationError:
        return False
    if problem.code is ErrorCode.MODEL_UNAVAILABLE:
        return "command" in (problem.model_extra or {})
    return problem.code is ErrorCode.OVERLOADED


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
