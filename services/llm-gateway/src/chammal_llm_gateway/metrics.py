"""What the gateway counts. All series exist from the start, so that a rate is never missing its zero."""

from collections.abc import Iterable
from enum import StrEnum
from functools import cache

from prometheus_client import Counter, Histogram

from chammal_llm_gateway.answer import Usage
from chammal_llm_gateway.settings import BackendName

GENAI_BUCKETS = tuple(0.01 * 2**step for step in range(14))
"""0.01 s to 81.92 s, doubling: OpenTelemetry's advice for generative models."""


class Outcome(StrEnum):
    OK = "ok"
    FAILED = "failed"
    """No usable answer; the next backend was asked."""
    REFUSED = "refused"
    """Not sent: breaker open or bulkhead full."""
    REJECTED = "rejected"
    """The caller's fault."""
    CANCELLED = "cancelled"
    """The caller went away."""


class Direction(StrEnum):
    INPUT = "input"
    OUTPUT = "output"


REQUESTS = Counter("chammal_llm_requests_total", "Chat requests sent to a backend.", ["backend", "outcome"])
FIRST_TOKEN = Histogram(
    "chammal_llm_first_token_seconds",
    "Seconds from request to the first token of a stream.",
    ["backend"],
    buckets=GENAI_BUCKETS,
)
SECONDS = Histogram(
    "chammal_llm_request_seconds", "Seconds of a whole answer of a backend.", ["backend"], buckets=GENAI_BUCKETS
)
TOKENS = Counter("chammal_llm_tokens_total", "Tokens of answers whose backend reports usage.", ["backend", "direction"])
REPAIRS = Counter(
    "chammal_llm_repairs_total", "Answers sent back once because they broke their schema.", ["backend", "mended"]
)
FALLBACKS = Counter("chammal_llm_fallbacks_total", "Answers of a backend that was not the first choice.", ["backend"])


def expect(backends: Iterable[BackendName]) -> None:
    """Makes the series of these backends appear with zero."""
    for backend in backends:
        for outcome in Outcome:
            REQUESTS.labels(backend, outcome)
        for direction in Direction:
            TOKENS.labels(backend, direction)
        for mended in ("true", "false"):
            REPAIRS.labels(backend, mended)
        FIRST_TOKEN.labels(backend)
        SECONDS.labels(backend)
        FALLBACKS.labels(backend)


def count_answer(backend: BackendName, outcome: Outcome, seconds: float, usage: Usage | None) -> None:
    requests, took, sent, written = _series(backend, outcome)
    requests.inc()
    took.observe(seconds)
    if usage is not None:
        sent.inc(usage.input_tokens)
        written.inc(usage.output_tokens)


@cache
def _series(backend: BackendName, outcome: Outcome) -> tuple[Counter, Histogram, Counter, Counter]:
    """Looking labels up costs more than counting."""
    return (
        REQUESTS.labels(backend, outcome),
        SECONDS.labels(backend),
        TOKENS.labels(backend, Direction.INPUT),
        TOKENS.labels(backend, Direction.OUTPUT),
    )
