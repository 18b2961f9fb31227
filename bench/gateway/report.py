"""The tables, and the bars."""

import math
import os
import statistics
from collections.abc import Sequence

from bench.gateway.cost import Cost, percentile
from bench.gateway.outage import HEAL_SECONDS, RETRY_AFTER, Outage
from bench.gateway.stub import EVENT_SECONDS, EVENTS
from bench.stt.machine import description
from bench.stt.table import Bar, ratio, spread, table

LIBRARIES = ("fastapi", "uvicorn", "uvloop", "aiohttp", "pydantic")


def document(
    names: dict[str, str], costs: dict[str, Cost], outages: dict[str, Outage], rounds: int, notes: Sequence[str]
) -> str:
    direct = costs["stub"]
    parts = [
        "# One hop through the gateway or the api, beside litellm's proxy and Portkey",
        f"`python -m bench.gateway --rounds {rounds}`. {description(os.cpu_count() or 1, LIBRARIES)}",
        "One worker each, no keys, plain HTTP on loopback, the same stub behind all: 80-byte question, 1 KB answer. "
        "Medians of the rounds (lowest–highest), taken in turns; ratios are medians of the rounds' ratios. Client and "
        "stub share the cores with the sides, so rates are lower bounds; processor time is the sturdy figure.",
        "## Whole answers",
        table(
            ("", "processor µs/call", "litellm takes ×", "Portkey takes ×", "added p50 ms", "added p99 ms",
             "calls/s, 16 clients", "calls per core and second, 16 clients"),
            [_whole(name, costs[key], direct, costs) for key, name in names.items()],
        ),
        f"The stub alone: p50 {_middle(direct.p50):.2f} ms, p99 {_middle(direct.p99):.2f} ms, "
        f"{_middle(direct.rate):,.0f} calls/s. Added is to the stub alone, with one client.",
        "## Streams",
        table(
            ("", f"processor µs/stream of {EVENTS} events", "litellm takes ×", "Portkey takes ×",
             "first event added p50 ms", "first event added p99 ms"),
            [_stream(name, costs[key], direct, costs) for key, name in names.items()],
        ),
        f"The stub sends an event each {EVENT_SECONDS * 1e3:g} ms; alone its first is there after "
        f"{_middle(direct.first_p50):.2f} ms (p99 {_middle(direct.first_p99):.2f} ms).",
        f"## An upstream that answers 503 with Retry-After: {RETRY_AFTER}",
        table(
            ("", "how often it was asked", "opens", "reject p50 ms", "reject p99 ms",
             "Retry-After to callers", "first 200 after healing or wait, s", "calls it took of the upstream",
             "failures after that"),
            [_outage(name, outages[key]) for key, name in names.items()],
        ),
        "Where nothing opens, the reject is the failed call itself. The upstream heals while the wait that it "
        "asked for still runs; who opened is counted from the end of that wait, who did not from the healing.",
        "## Bars",
        "\n".join(bar.line() for bar in _bars(names, costs, outages)),
        *(f"- {note}" for note in notes),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _whole(name: str, cost: Cost, direct: Cost, costs: dict[str, Cost]) -> tuple[str, ...]:
    return (
        name,
        spread(cost.micros, 0),
        *_ratios(cost, costs, "micros"),
        spread([value - _middle(direct.p50) for value in cost.p50]),
        spread([value - _middle(direct.p99) for value in cost.p99]),
        spread(cost.rate, 0),
        spread(cost.per_core, 0),
    )


def _stream(name: str, cost: Cost, direct: Cost, costs: dict[str, Cost]) -> tuple[str, ...]:
    if cost.no_streams:
        return (name, cost.no_streams, "–", "–", "–", "–")
    return (
        name,
        spread(cost.stream_micros, 0),
        *_ratios(cost, costs, "stream_micros"),
        spread([value - _middle(direct.first_p50) for value in cost.first_p50]),
        spread([value - _middle(direct.first_p99) for value in cost.first_p99]),
    )


def _ratios(cost: Cost, costs: dict[str, Cost], what: str) -> list[str]:
    """How many times less than the peers'."""
    own = getattr(cost, what)
    peers = [getattr(costs[key], what) if key in costs else [] for key in ("litellm", "portkey")]
    return [f"{ratio(peer, own):.2f}" if peer else "–" for peer in peers]


def _outage(name: str, outage: Outage) -> tuple[str, ...]:
    late = [value for value in outage.recovered if math.isfinite(value)]
    return (
        name,
        f"{spread(outage.reached, 0)} by {outage.calls} calls",
        "yes" if outage.opened else "never",
        f"{statistics.median(outage.rejected):.2f}",
        f"{percentile(outage.rejected, 0.99):.2f}",
        ", ".join(sorted(outage.retry_after)),
        spread(late) if len(late) == len(outage.recovered) else f"not within {HEAL_SECONDS:g}",
        spread(outage.probes, 0),
        str(outage.relapses) if late else "–",
    )


def _bars(names: dict[str, str], costs: dict[str, Cost], outages: dict[str, Outage]) -> list[Bar]:
    bars = []
    for key in ("gateway", "api"):
        if key not in names:
            continue
        name, own, outage = names[key], costs[key].micros, outages[key]
        for peer, limit in (("litellm", 10.0), ("portkey", 1.5)):
            less = ratio(costs[peer].micros, own) if peer in costs else None
            bars.append(Bar(f"{name}: times less processor time than {peer}", less, limit, at_least=True))
        rejecting = percentile(outage.rejected, 0.99) if outage.opened else None
        bars += [
            Bar(f"{name}: calls until open", max(outage.reached), 5),
            Bar(f"{name}: ms to reject, p99", rejecting, 5),
            Bar(f"{name}: calls of the healed upstream until a 200", max(outage.probes), 1),
            Bar(f"{name}: seconds from the end of the wait to a 200", max(outage.recovered), 1),
        ]
    return bars


def _middle(values: Sequence[float]) -> float:
    return statistics.median(values)
