"""Prometheus metrics and log lines of outbound calls, fed by what upstreams and breakers emit."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from chammal_contracts.stages import BreakerState, FailureType
from chammal_kit.breaker import BreakerRejection, BreakerTransition
from chammal_kit.hedge import Hedged, HedgeOutcome
from chammal_kit.logs import component_logger
from chammal_kit.retry import RetryPlanned, RetryRefused
from chammal_kit.upstream_events import AttemptEnded, UpstreamCreated, UpstreamEvent, UpstreamObserver

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

BREAKER_STATE = Gauge(
    "chammal_breaker_state", "1 for the state that the breaker is in, 0 for the others.", ["upstream", "state"]
)
BREAKER_TRANSITIONS = Counter(
    "chammal_breaker_transitions_total", "Changes of a breaker's state.", ["upstream", "from", "to"]
)
UPSTREAM_REQUESTS = Counter(
    "chammal_upstream_requests_total",
    "Tries to call an upstream, by outcome: ok, cancelled, or the type of the failure.",
    ["upstream", "outcome"],
)
UPSTREAM_SECONDS = Histogram(
    "chammal_upstream_seconds",
    "Seconds of one try, from asking the breaker to the end of the answer.",
    ["upstream"],
    buckets=SECONDS_BUCKETS,
)
UPSTREAM_RETRIES = Counter(
    "chammal_upstream_retries_total", "Retries, by the type of the failure before.", ["upstream", "error_type"]
)
UPSTREAM_SLOW = Counter(
    "chammal_upstream_slow_total",
    "Tries whose first byte took more than the share of its longest wait that the breaker calls slow.",
    ["upstream"],
)
RETRIES_REFUSED = Counter(
    "chammal_upstream_retries_refused_total",
    "Retries that were not made because the budget of second tries was spent.",
    ["upstream"],
)
HEDGES = Counter(
    "chammal_upstream_hedges_total",
    "Second tries beside a slow first one: which of the two won, or refused where none was sent.",
    ["upstream", "outcome"],
)
BULKHEAD_IN_FLIGHT = Gauge("chammal_bulkhead_in_flight", "Calls to an upstream that hold a slot.", ["upstream"])
BULKHEAD_WAITING = Gauge("chammal_bulkhead_waiting", "Calls to an upstream that wait for a slot.", ["upstream"])

_TRANSITIONS = (
    (BreakerState.CLOSED, BreakerState.OPEN),
    (BreakerState.OPEN, BreakerState.HALF_OPEN),
    (BreakerState.HALF_OPEN, BreakerState.OPEN),
    (BreakerState.HALF_OPEN, BreakerState.CLOSED),
)

log = component_logger("Breaker")


def measure(event: UpstreamEvent) -> None:
    match event:
        case AttemptEnded(upstream, failure, cancelled, seconds, slow):
            outcome = "cancelled" if cancelled else (failure or "ok")
            requests, histogram = _attempt_metrics(upstream, outcome)
            requests.inc()
            histogram.observe(seconds)
            if slow:
                UPSTREAM_SLOW.labels(upstream).inc()
        case RetryPlanned(upstream, failure):
            UPSTREAM_RETRIES.labels(upstream, failure).inc()
        case RetryRefused(upstream):
            RETRIES_REFUSED.labels(upstream).inc()
        case Hedged(upstream, outcome):
            HEDGES.labels(upstream, outcome).inc()
        case BreakerTransition(name, source, target):
            BREAKER_TRANSITIONS.labels(name, source, target).inc()
            _show_state(name, target)
        case UpstreamCreated():
            _initialise(event)
        case BreakerRejection():  # counted as an attempt with outcome breaker_open
            pass


@cache
def _attempt_metrics(upstream: str, outcome: str) -> tuple[Counter, Histogram]:
    """Looking labels up costs more than counting."""
    return UPSTREAM_REQUESTS.labels(upstream, outcome), UPSTREAM_SECONDS.labels(upstream)


def _show_state(name: str, current: BreakerState) -> None:
    for state in BreakerState:
        BREAKER_STATE.labels(name, state).set(state is current)


def _initialise(event: UpstreamCreated) -> None:
    """Every series is there from the start, so that rates and alerts see its first change."""
    name = event.upstream
    for outcome in ("ok", "cancelled", *FailureType):
        UPSTREAM_REQUESTS.labels(name, outcome)
    for source, target in _TRANSITIONS:
        BREAKER_TRANSITIONS.labels(name, source, target)
    UPSTREAM_SECONDS.labels(name)
    UPSTREAM_SLOW.labels(name)
    RETRIES_REFUSED.labels(name)
    for outcome in HedgeOutcome:
        HEDGES.labels(name, outcome)
    for failure in FailureType:
        UPSTREAM_RETRIES.labels(name, failure)
    _show_state(name, BreakerState.CLOSED)
    BULKHEAD_IN_FLIGHT.labels(name).set_function(event.in_flight)
    BULKHEAD_WAITING.labels(name).set_function(event.waiting)


def report(event: UpstreamEvent) -> None:
    match event:
        case BreakerTransition(name, source, BreakerState.OPEN, reason, wait=wait):
            log.error("%s: %s -> open (%s), next try in %.1f s", name, source, reason, wait)
        case BreakerTransition(name, source, target, reason):
            log.warning("%s: %s -> %s (%s)", name, source, target, reason)
        case RetryPlanned(upstream, failure, wait):
            log.warning("%s: %s, trying once more in %.2f s", upstream, failure, wait)


DEFAULT_OBSERVERS: tuple[UpstreamObserver, ...] = (measure, report)
