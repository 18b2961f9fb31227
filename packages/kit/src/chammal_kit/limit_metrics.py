"""What a limiter does, for Prometheus."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge

from chammal_kit.limiter import Limiter, LimitPolicy, ShedReason

LIMIT = Gauge("chammal_limit", "Requests that are let in at once, as learned from how long work waits.", ["limit"])
IN_FLIGHT = Gauge("chammal_limit_in_flight", "Requests that are in.", ["limit"])
SHED = Counter("chammal_limit_shed_total", "Requests refused at the door, by why.", ["limit", "reason"])


def counted_limiter(name: str, policy: LimitPolicy) -> Limiter:
    limiter = Limiter(name, policy, on_shed=_count(name))
    LIMIT.labels(name).set_function(lambda: limiter.limit)
    IN_FLIGHT.labels(name).set_function(lambda: limiter.in_flight)
    return limiter


def _count(name: str) -> Callable[[ShedReason], None]:
    counters = {reason: SHED.labels(name, reason) for reason in ShedReason}
    return lambda reason: counters[reason].inc()
