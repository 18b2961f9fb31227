import logging

import httpx2
import pytest
from prometheus_client import REGISTRY

from chammal_contracts.stages import BreakerState, FailureType
from chammal_kit.deadline import set_deadline
from chammal_kit.hedge import Hedged, HedgeOutcome
from chammal_kit.outbound_metrics import measure
from chammal_kit.retry import RetryRefused
from chammal_kit.upstream import Upstream, UpstreamError, UpstreamPolicy
from chammal_kit.upstream_events import AttemptEnded

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    set_deadline(None)
    return "asyncio"


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def answering(name: str, *statuses: int) -> Upstream:
    left = list(statuses)
    transport = httpx2.MockTransport(lambda _: httpx2.Response(left.pop(0)))
    policy = UpstreamPolicy.model_validate({"retry": {"wait_min": 0, "wait_max": 0}})
    return Upstream(name, "http://upstream", policy, transport=transport)


async def test_every_series_is_there_before_the_first_call() -> None:
    answering("m-new")
    for state in BreakerState:
        assert value("chammal_breaker_state", upstream="m-new", state=state) == float(state is BreakerState.CLOSED)
    for outcome in ("ok", "cancelled", *FailureType):
        assert value("chammal_upstream_requests_total", upstream="m-new", outcome=outcome) == 0
    moves = [("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")]
    for source, target in moves:
        labels = {"upstream": "m-new", "from": source, "to": target}
        assert value("chammal_breaker_transitions_total", **labels) == 0
    assert value("chammal_upstream_retries_total", upstream="m-new", error_type="unavailable") == 0
    assert value("chammal_upstream_retries_refused_total", upstream="m-new") == 0
    assert value("chammal_upstream_slow_total", upstream="m-new") == 0
    for outcome in ("won", "lost", "refused"):
        assert value("chammal_upstream_hedges_total", upstream="m-new", outcome=outcome) == 0
    assert value("chammal_upstream_seconds_count", upstream="m-new") == 0
    assert value("chammal_bulkhead_in_flight", upstream="m-new") == 0
    assert value("chammal_bulkhead_waiting", upstream="m-new") == 0


async def test_tries_retries_and_transitions_are_counted() -> None:
    subject = answering("m-busy", 503, 200, 503, 503, 500, 500, 500)
    await subject.request("GET", "/")
    for _ in range(5):
        with pytest.raises(UpstreamError):
            await subject.request("GET", "/")
    counts = {
        outcome: value("chammal_upstream_requests_total", upstream="m-busy", outcome=outcome)
        for outcome in ("ok", "unavailable", "http_error", "breaker_open")
    }
    assert counts == {"ok": 1, "unavailable": 3, "http_error": 3, "breaker_open": 1}
    assert value("chammal_upstream_retries_total", upstream="m-busy", error_type="unavailable") == 2
    assert value("chammal_breaker_transitions_total", **{"upstream": "m-busy", "from": "closed", "to": "open"}) == 1
    assert value("chammal_breaker_state", upstream="m-busy", state="open") == 1
    assert value("chammal_breaker_state", upstream="m-busy", state="closed") == 0


async def test_retries_beyond_the_budget_slow_calls_and_hedges_are_counted() -> None:
    for event in (
        RetryRefused("m-odd", FailureType.UNAVAILABLE),
        AttemptEnded("m-odd", None, cancelled=False, seconds=9.0, slow=True),
        AttemptEnded("m-odd", None, cancelled=False, seconds=0.1),
        Hedged("m-odd", HedgeOutcome.WON),
    ):
        measure(event)
    assert value("chammal_upstream_retries_refused_total", upstream="m-odd") == 1
    assert value("chammal_upstream_slow_total", upstream="m-odd") == 1
    assert value("chammal_upstream_hedges_total", upstream="m-odd", outcome="won") == 1


async def test_a_spent_budget_moves_its_metric() -> None:
    subject = answering("m-spent", *[503, 200] * 3, 503, 200)
    for _ in range(3):
        await subject.request("GET", "/")
    with pytest.raises(UpstreamError):
        await subject.request("GET", "/")
    assert value("chammal_upstream_retries_refused_total", upstream="m-spent") == 1
    assert value("chammal_upstream_retries_total", upstream="m-spent", error_type="unavailable") == 3


async def test_transitions_are_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    subject = answering("m-log", *[500] * 5, 200)
    for _ in range(5):
        with pytest.raises(UpstreamError):
            await subject.request("GET", "/")
    subject.breaker.health_ok()
    await subject.request("GET", "/")
    assert [(r.name, r.levelname, r.getMessage()) for r in caplog.records] == [
        ("chammal.Breaker", "ERROR", "m-log: closed -> open (failures_in_a_row), next try in 5.0 s"),
        ("chammal.Breaker", "WARNING", "m-log: open -> half_open (health_ok)"),
        ("chammal.Breaker", "WARNING", "m-log: half_open -> closed (probes_succeeded)"),
    ]


def test_every_metric_says_what_it_is() -> None:
    for family in REGISTRY.collect():
        if family.name.startswith(("chammal_breaker", "chammal_upstream", "chammal_bulkhead")):
            assert len(family.documentation) > 10
