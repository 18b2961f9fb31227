"""What callers get while the upstream answers 503, and after it has healed."""

import asyncio
import math
import time
from dataclasses import dataclass, field

from bench.gateway.sides import Side
from bench.gateway.wire import WHOLE, Answer, Connection

RETRY_AFTER = 3
CALLS = 20
REJECTS = 200
PATIENCE_SECONDS = 20.0
REJECT_SECONDS = 1.0
HEAL_SECONDS = 10.0
POLL_SECONDS = 0.005
AFTER = 20


@dataclass
class Outage:
    """One value an outage, but for `rejected`."""

    calls: int = 0
    """Of one outage, before those that only measure the reject; fewer than 20 where each takes long."""
    reached: list[int] = field(default_factory=list)
    """How often the upstream was asked by these."""
    rejected: list[float] = field(default_factory=list)
    """Milliseconds of each failed call that did not reach the upstream; where none did not, of each failed call."""
    opened: bool = True
    retry_after: set[str] = field(default_factory=set)
    """What the failed calls said."""
    recovered: list[float] = field(default_factory=list)
    """Seconds to the first 200, from the healing or the end of the wait that was asked for, whichever is later."""
    probes: list[int] = field(default_factory=list)
    """How often the healed upstream was asked until a caller had its first 200."""
    relapses: int = 0
    """Calls after that which failed."""


async def measure(side: Side, stub: int, outage: Outage) -> None:
    upstream, caller = await Connection.open(stub), await Connection.open(side.port, side.extra)
    await caller.chat()
    await upstream.ask("PUT", f"/down/{RETRY_AFTER}")
    try:
        wait_over = await _fail(upstream, caller, outage)
    finally:
        await upstream.ask("PUT", "/up")
    healed = time.perf_counter()
    before = await _hits(upstream)
    give_up = wait_over + HEAL_SECONDS
    while (answer := await _call(caller)).status != 200 and time.perf_counter() < give_up:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    late = time.perf_counter() - (max(healed, wait_over) if outage.opened else healed)
    outage.probes.append(await _hits(upstream) - before)
    if answer.status == 200:
        outage.recovered.append(late)
        outage.relapses += sum([(await _call(caller)).status != 200 for _ in range(AFTER)])
    else:
        outage.recovered.append(math.inf)
    upstream.close()
    caller.close()


async def _fail(upstream: Connection, caller: Connection, outage: Outage) -> float:
    """Calls until the upstream is no longer asked. Returns when its wait is over."""
    begun = hits = await _hits(upstream)
    started = last_hit = time.perf_counter()
    reaching, rejecting = [], []
    outage.calls = 0
    while outage.calls < CALLS and time.perf_counter() < started + PATIENCE_SECONDS:
        seconds = await _failed_call(caller, outage)
        outage.calls += 1
        reached = (now := await _hits(upstream)) > hits
        if reached:
            hits, last_hit = now, time.perf_counter()
        (reaching if reached else rejecting).append(seconds * 1e3)
    outage.reached.append(hits - begun)
    outage.opened = outage.opened and bool(rejecting)
    outage.rejected += rejecting or reaching
    stop = time.perf_counter() + REJECT_SECONDS
    for _ in range(REJECTS if rejecting else 0):
        if time.perf_counter() > stop:
            break
        outage.rejected.append(await _failed_call(caller, outage) * 1e3)
    return last_hit + RETRY_AFTER


async def _failed_call(caller: Connection, outage: Outage) -> float:
    """Its seconds."""
    answer = await _call(caller)
    if answer.status < 500 and answer.status != 429:
        raise RuntimeError(f"answered {answer.status} for an upstream that is down")
    outage.retry_after.add(answer.headers.get("retry-after", "none"))
    return answer.seconds


async def _call(caller: Connection) -> Answer:
    return await caller.ask("POST", "/v1/chat/completions", WHOLE)


async def _hits(upstream: Connection) -> int:
    return int((await upstream.ask("GET", "/hits")).body)
