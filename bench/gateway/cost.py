"""What a call costs the process between the caller and the upstream."""

import asyncio
import statistics
import time
from dataclasses import dataclass, field

from bench.gateway.sides import Side
from bench.gateway.wire import STREAMED, Connection
from bench.stt.machine import processor_seconds

CLIENTS = 16
STREAM_SHARE = 20
"""A stream costs as much as so many whole answers, about."""


@dataclass
class Cost:
    """One value a round."""

    micros: list[float] = field(default_factory=list)
    """Processor time a call."""
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    """Milliseconds of a call with one client."""
    rate: list[float] = field(default_factory=list)
    """Calls a second with 16 clients."""
    per_core: list[float] = field(default_factory=list)
    """Calls for each second of processor time with 16 clients."""
    stream_micros: list[float] = field(default_factory=list)
    first_p50: list[float] = field(default_factory=list)
    first_p99: list[float] = field(default_factory=list)
    """Milliseconds to the first byte of a stream's first event."""
    no_streams: str = ""
    """Why none was measured."""


async def warm_up(side: Side) -> None:
    """Just-in-time compilers need thousands of calls."""
    await _calls(side, side.warm)


async def measure(side: Side, cost: Cost) -> None:
    await _calls(side, max(20, side.calls // 10))
    before = processor_seconds(side.pid)
    taken = await _calls(side, side.calls)
    cost.micros.append((processor_seconds(side.pid) - before) / side.calls * 1e6)
    cost.p50.append(statistics.median(taken) * 1e3)
    cost.p99.append(percentile(taken, 0.99) * 1e3)
    each = side.calls * 2 // CLIENTS
    before, started = processor_seconds(side.pid), time.perf_counter()
    await asyncio.gather(*(_calls(side, each) for _ in range(CLIENTS)))
    cost.rate.append(each * CLIENTS / (time.perf_counter() - started))
    cost.per_core.append(each * CLIENTS / max(processor_seconds(side.pid) - before, 0.01))
    try:
        await _measure_streams(side, cost)
    except RuntimeError as error:
        cost.no_streams = str(error)


async def _measure_streams(side: Side, cost: Cost) -> None:
    streams = max(10, side.calls // STREAM_SHARE)
    before = processor_seconds(side.pid)
    first = await _streams(side, streams)
    cost.stream_micros.append((processor_seconds(side.pid) - before) / streams * 1e6)
    cost.first_p50.append(statistics.median(first) * 1e3)
    cost.first_p99.append(percentile(first, 0.99) * 1e3)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def _calls(side: Side, calls: int) -> list[float]:
    """Seconds of each call, one after another over one connection."""
    connection = await Connection.open(side.port, side.extra)
    taken = [(await connection.chat()).seconds for _ in range(calls)]
    connection.close()
    return taken


async def _streams(side: Side, streams: int) -> list[float]:
    """Seconds to the first event of each."""
    connection = await Connection.open(side.port, side.extra)
    taken = []
    for _ in range(streams):
        answer = await connection.chat(STREAMED)
        if not answer.body.rstrip().endswith(b"[DONE]"):
            raise RuntimeError(f"{side.name} broke off a stream: {answer.body[-300:]!r}")
        taken.append(answer.first)
    connection.close()
    return taken
