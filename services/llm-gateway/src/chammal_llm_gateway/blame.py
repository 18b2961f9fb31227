"""Whose fault a failed call is: the backend's, so that the next is asked, or the caller's, who is told."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import FailureType
from chammal_kit.problems import Problem
from chammal_kit.upstream import UpstreamError, UpstreamRejected
from chammal_llm_gateway import metrics
from chammal_llm_gateway.answer import InvalidAnswer, error_kinds, error_message
from chammal_llm_gateway.backend import BackendFailed, Untranslatable, failed_attempt
from chammal_llm_gateway.metrics import Outcome
from chammal_llm_gateway.settings import BackendName
from chammal_llm_gateway.trail import Trail

CALLER_FAULTS = frozenset({400, 413, 422})
"""What another backend would refuse too. 401, 402, 403 and 404 are the fault of how this backend is set up."""
TOO_LONG_KINDS = frozenset({"context_length_exceeded", "exceed_context_size_error", "request_too_large"})
TOO_LONG_WORDS = ("context length", "prompt is too long")
"""vLLM and Anthropic name no code for it; their messages have these words."""


@contextmanager
def blaming(backend: BackendName, trail: Trail) -> Iterator[None]:
    """Raises Problem for a caller's fault and BackendFailed for everything else that a backend can do wrong."""
    started = time.perf_counter()
    try:
        yield
    except UpstreamRejected as error:
        if error.http_status in CALLER_FAULTS:
            trail.attempts += error.attempts
            metrics.REQUESTS.labels(backend, Outcome.REJECTED).inc()
            raise _callers_fault(backend, error, error.http_status, trail) from None
        raise _failed(backend, error, started) from error
    except UpstreamError as error:
        raise _failed(backend, error, started) from error
    except Untranslatable as error:
        raise _seen_here(backend, FailureType.REJECTED, f"it cannot do {error}", started) from None
    except InvalidAnswer as error:
        failure = FailureType.INVALID_RESPONSE
        raise _seen_here(backend, failure, "its answer cannot be used", started, str(error)) from None


def _failed(backend: BackendName, error: UpstreamError, started: float) -> BackendFailed:
    said = error_message(error.body) if error.body else ""
    attempts = error.attempts or [
        failed_attempt(backend, error.failure, time.perf_counter() - started, error.http_status)
    ]
    return BackendFailed(backend, error.failure, error.detail, attempts, error.retry_after, said)


def _seen_here(
    backend: BackendName, failure: FailureType, reason: str, started: float, said: str = ""
) -> BackendFailed:
    attempts = [failed_attempt(backend, failure, time.perf_counter() - started)]
    return BackendFailed(backend, failure, reason, attempts, said=said)


def _callers_fault(backend: BackendName, error: UpstreamRejected, status: int, trail: Trail) -> Problem:
    message = error_message(error.body) or error.detail
    too_long = error_kinds(error.body) & TOO_LONG_KINDS or any(words in message for words in TOO_LONG_WORDS)
    code = ErrorCode.INPUT_TOO_LONG if too_long else ErrorCode.INVALID_REQUEST
    return Problem(
        status,
        code,
        f"{backend} refused the request: {message}",
        headers=trail.headers(backend),
        logged=f"{backend} refused it",
    )
