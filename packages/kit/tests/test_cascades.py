"""What an outage makes of the load: never much more than was offered. Time stands still until told."""

import asyncio
from dataclasses import dataclass, field

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chammal_contracts.stages import BreakerState, FailureType
from chammal_kit.breaker import Breaker, BreakerPolicy, CircuitBreaker, NoBreaker
from chammal_kit.deadline import set_deadline
from chammal_kit.retry_budget import RetryBudget
from chammal_kit.upstream import Upstream, UpstreamError, UpstreamPolicy

pytestmark = pytest.mark.anyio

FLOOR, WINDOW = 3, 10
NO_WAIT = {"wait_min": 0, "wait_max": 0}


@pytest.fixture
def anyio_backend() -> str:
    set_deadline(None)
    return "asyncio"


@dataclass
class World:
    """An upstream that fails each `one_in`th request, its callers, and a clock."""

    one_in: int = 1
    breaker: bool = True
    status: int = 503
    now: float = 1000.0
    offered: int = 0
    sent: int = 0
    refusals: list[FailureType] = field(default_factory=list)

    def __post_init__(self) -> None:
        policy = UpstreamPolicy.model_validate({"concurrency": 1000, "retry": NO_WAIT})
        breaker: Breaker = NoBreaker("llm")
        if self.breaker:
            breaker = CircuitBreaker("llm", policy.breaker, clock=self.clock, jitter=lambda: 0.0)
        transport = httpx2.MockTransport(self.answer)
        self.upstream = Upstream("llm", "http://llm", policy, transport=transport, breaker=breaker, observers=())
        self.upstream._retrier.budget = RetryBudget(policy.retry.budget, clock=self.clock)
        self.began = self.now

    def clock(self) -> float:
        return self.now

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.sent += 1
        status = self.status if self.sent % self.one_in == 0 else 200
        await asyncio.sleep(0)
        return httpx2.Response(status)

    async def offer(self, callers: int) -> None:
        """All at once."""
        self.offered += callers
        for result in await asyncio.gather(*(self.call() for _ in range(callers))):
            if result is not None:
                self.refusals.append(result)

    async def call(self) -> FailureType | None:
        try:
            await self.upstream.request("GET", "/")
        except UpstreamError as error:
            return error.failure
        return None

    @property
    def allowed(self) -> float:
        windows = int((self.now - self.began) // WINDOW) + 2
        return 1.1 * self.offered + FLOOR * windows


async def test_a_minute_of_outage_under_load_makes_far_fewer_calls_than_were_offered() -> None:
    world = World()
    for _ in range(60):
        await world.offer(100)
        world.now += 1
    # the first hundred are under way before any has failed; then a probe after 5, 15 and 35 s
    assert (world.offered, world.sent) == (6000, 100 + 3)


async def test_without_a_breaker_an_outage_makes_at_most_a_tenth_more() -> None:
    world = World(breaker=False)
    for _ in range(60):
        await world.offer(100)
        world.now += 1
    assert 1.09 * world.offered < world.sent <= 1.1 * world.offered


@pytest.mark.parametrize("one_in", [3, 4, 10, 50])
async def test_failures_too_rare_for_the_breaker_make_at_most_a_tenth_more(one_in: int) -> None:
    world = World(one_in=one_in)
    for _ in range(60):
        await world.offer(100)
        world.now += 1
    assert world.offered < world.sent <= 1.1 * world.offered
    assert world.upstream.breaker.state is BreakerState.CLOSED


async def test_where_a_tenth_fails_the_budget_is_enough_for_nearly_all() -> None:
    world = World(one_in=12)
    for _ in range(60):
        await world.offer(100)
        world.now += 1
    assert len(world.refusals) < 0.02 * world.offered


weather = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([0.0, 0.3, 1.0, 4.0, 5.0, 10.0, 61.0]), st.integers(1, 12)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(weather, st.booleans())
def test_whatever_the_weather_calls_are_at_most_a_tenth_and_the_floor_more_than_offered(
    history: list[tuple[int, float, int]], breaker: bool
) -> None:
    async def live() -> World:
        set_deadline(None)
        world = World(breaker=breaker)
        for callers, wait, one_in in history:
            world.one_in = one_in
            await world.offer(callers)
            world.now += wait
        return world

    world = asyncio.run(live())
    assert world.sent <= world.allowed


@dataclass
class Gate:
    """Holds every request that gets through until it is opened."""

    through: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.through += 1
        await self.opened.wait()
        return httpx2.Response(200)


@pytest.mark.parametrize("probes", [1, 2, 5])
async def test_of_fifty_callers_at_half_open_only_the_probes_get_through(probes: int) -> None:
    now = 1000.0
    breaker = CircuitBreaker("llm", BreakerPolicy(probes=probes), clock=lambda: now)
    for _ in range(5):
        breaker.admit().fail()
    now += 5
    gate = Gate()
    transport = httpx2.MockTransport(gate.answer)
    upstream = Upstream("llm", "http://llm", transport=transport, breaker=breaker, observers=())
    callers = [asyncio.ensure_future(upstream.request("GET", "/")) for _ in range(50)]
    waiting = set(callers)
    while len(waiting) > probes:
        _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert gate.through == probes
    gate.opened.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    refused = [result.failure for result in results if isinstance(result, UpstreamError)]
    assert refused == [FailureType.BREAKER_OPEN] * (50 - probes)
    assert breaker.state is BreakerState.CLOSED


async def test_a_failed_probe_is_not_sent_again() -> None:
    world = World()
    await world.offer(1)
    await world.offer(100)
    before = world.sent
    world.now += 5
    await world.offer(50)
    assert world.sent == before + 1
