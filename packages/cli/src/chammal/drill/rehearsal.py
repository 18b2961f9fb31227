"""One drill: healthy traffic, the fault, its removal, and the way back. Whatever happens, the fault is removed."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import httpx2
from pydantic import ValidationError

from chammal.drill.answer import Answer, Endpoint, Outcome
from chammal.drill.breakers import Breakers, Change
from chammal.drill.scenario import Scenario
from chammal.drill.switch import Switch, SwitchError
from chammal.drill.users import Users
from chammal.faults.fault import Fault
from chammal_contracts.failures import FailureReport

HEALTHY_ANSWERS = 2
"""Of each kind, before anything is broken: one alone, to see how long it takes, and one beside the others."""
WARM_SECONDS = 300.0
LOOK_SECONDS = 0.25
"""Between two looks at the breakers."""
SELF_HEALING_SECONDS = 5.0
"""How much longer than planned a fault stays when this process has died."""
LEAST_DEADLINE = 10.0
PATIENCE = 3.0
"""Users wait so many times as long as the slowest healthy answer took."""


class NotHealthy(Exception):
    """What is broken already cannot be rehearsed."""


class Phase(StrEnum):
    BEFORE = "before"
    FAULT = "fault"
    RECOVERY = "recovery"
    AFTER = "after"


@dataclass
class Course:
    """What happened, in seconds since the drill began."""

    fault_at: float = 0.0
    set_at: float = 0.0
    """When the proxy had taken the fault, a moment after it was sent."""
    healed_at: float = 0.0
    recovered_at: float | None = None
    hits: int = 0
    """Requests between the services that met the fault."""
    answers: list[Answer] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def phase(self, answer: Answer) -> Phase:
        if answer.ended <= self.fault_at:
            return Phase.BEFORE
        if self.recovered_at is not None and answer.began >= self.recovered_at:
            return Phase.AFTER
        return Phase.RECOVERY if answer.began >= self.healed_at else Phase.FAULT

    def within_fault(self, answer: Answer) -> bool:
        return answer.began >= self.set_at and answer.ended <= self.healed_at


class Rehearsal:
    """`say` gets one line an event."""

    def __init__(
        self,
        scenario: Scenario,
        faults: Mapping[str, Fault],
        api: httpx2.AsyncClient,
        switch: Switch,
        say: Callable[[str], None],
        *,
        fault_seconds: float,
        recovery_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scenario = scenario
        self._faults = faults
        self._api = api
        self._switch = switch
        self._say = say
        self._fault_seconds = fault_seconds
        self._recovery_seconds = recovery_seconds
        self._clock = clock
        self._started = clock()
        self._phase = Phase.BEFORE
        self._happened = asyncio.Event()
        self._breakers = Breakers(self._breaker_changed)
        self._users = Users(api, scenario, self._now, self._answered)
        self._background: list[asyncio.Task[None]] = []
        self.course = Course()

    async def run(self) -> Course:
        """Raises NotHealthy, and SwitchError when the fault cannot be set or removed."""
        self._background = [asyncio.create_task(self._look())]
        try:
            for endpoint in Endpoint:
                await self._users.ask(endpoint)
                self._insist_on_health()
            self._background.append(asyncio.create_task(self._users.run()))
            await self._warm_up()
            await self._break()
            await self._recover()
        finally:
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)
        self.course.changes = self._breakers.changes
        return self.course

    async def _warm_up(self) -> None:
        def enough() -> bool:
            counts = Counter(answer.endpoint for answer in self.course.answers)
            return self._unwell() is not None or all(counts[endpoint] >= HEALTHY_ANSWERS for endpoint in Endpoint)

        done = await self._until(enough, WARM_SECONDS)
        self._insist_on_health()
        if not done:
            raise NotHealthy(f"{HEALTHY_ANSWERS} answers of each kind took longer than {WARM_SECONDS:.0f} s")
        for endpoint in Endpoint:
            slowest = max(a.seconds for a in self.course.answers if a.endpoint is endpoint)
            self._users.deadlines[endpoint] = max(LEAST_DEADLINE, PATIENCE * slowest)
        told = ", ".join(f"{endpoint} {seconds:.0f} s" for endpoint, seconds in self._users.deadlines.items())
        self._event(f"healthy; from now on users wait for {told}")

    def _insist_on_health(self) -> None:
        if unwell := self._unwell():
            raise NotHealthy(f"{unwell.endpoint} answered {unwell.status or 'nothing'}: {unwell.reading.said}")

    def _unwell(self) -> Answer | None:
        return next((a for a in self.course.answers if a.outcome is not Outcome.OK or a.broken), None)

    async def _break(self) -> None:
        before = await self._switch.hits()
        names = ", ".join(f"{name}: {fault.kind}" for name, fault in self._faults.items())
        self.course.fault_at = self._now()
        try:
            await self._switch.set(self._faults, self._fault_seconds + SELF_HEALING_SECONDS)
            self.course.set_at = self._now()
            self._phase = Phase.FAULT
            self._event(f"FAULT SET   {names}, for {self._fault_seconds:.0f} s")
            await asyncio.sleep(self._fault_seconds)
        finally:
            await self._heal(names)
        self.course.hits = await self._switch.hits() - before

    async def _heal(self, names: str) -> None:
        self.course.healed_at = self._now()
        self._phase = Phase.RECOVERY
        try:
            await self._switch.clear(self._faults)
        except SwitchError:
            self._event(f"the fault could not be removed; it heals by itself within {SELF_HEALING_SECONDS:.0f} s")
            raise
        self._event(f"FAULT GONE  {names}")

    async def _recover(self) -> None:
        if not await self._until(lambda: self._all_ok_since(self.course.healed_at), self._recovery_seconds):
            self._event(f"not recovered within {self._recovery_seconds:.0f} s")
            return
        recovered = self.course.recovered_at = self._now()
        self._phase = Phase.AFTER
        self._event(f"recovered {recovered - self.course.healed_at:.1f} s after the fault was removed")
        await self._until(lambda: self._each_answered_since(recovered), self._recovery_seconds)

    def _all_ok_since(self, moment: float) -> bool:
        well = {a.endpoint for a in self.course.answers if a.began >= moment and a.outcome is Outcome.OK}
        return well == set(Endpoint) and self._breakers.all_closed

    def _each_answered_since(self, moment: float) -> bool:
        return {a.endpoint for a in self.course.answers if a.began >= moment} == set(Endpoint)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._happened.wait()
                    self._happened.clear()
                    for task in self._background:
                        if task.done():  # neither ends by itself but by a fault of ours
                            task.result()
        except TimeoutError:
            return False
        return True

    async def _look(self) -> None:
        """A report that does not come is no news: the users notice an api that is gone."""
        while True:
            try:
                response = await self._api.get("/v1/failures")
                self._breakers.reported(FailureReport.model_validate_json(response.content), self._now())
            except (httpx2.TransportError, ValidationError):
                pass
            self._happened.set()
            await asyncio.sleep(LOOK_SECONDS)

    def _answered(self, answer: Answer) -> None:
        self.course.answers.append(answer)
        self._breakers.told(answer.reading.breakers, answer.ended)
        status = answer.status or "-"
        self._event(f"{answer.endpoint:<10}  {status:>3}  {answer.seconds:6.2f} s  {answer.reading.said}")
        for broken in answer.broken:
            self._event(f"PROMISE BROKEN: {broken}")
        self._happened.set()

    def _breaker_changed(self, change: Change) -> None:
        self._event(f"BREAKER     {change.upstream}: {change.before} -> {change.now}")

    def _event(self, text: str) -> None:
        self._say(f"{self._now():7.1f} s  {self._phase:<8}  {text}")

    def _now(self) -> float:
        return self._clock() - self._started
