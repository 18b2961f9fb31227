"""Whether a language model answers: one token, asked for seldom."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chammal_contracts.health import Check, Readiness
from chammal_contracts.stages import BreakerState, FailureType
from chammal_kit.breaker import Permit
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_llm_gateway.backend import Backend, BackendFailed
from chammal_llm_gateway.blame import blaming
from chammal_llm_gateway.request import DEFAULT_MODEL
from chammal_llm_gateway.settings import BackendName
from chammal_llm_gateway.trail import NO_BACKEND, Trail

log = component_logger("HealthCheck")

_SLOW = frozenset({FailureType.READ_TIMEOUT, FailureType.DEADLINE_EXCEEDED})


class AlwaysAdmits:
    """The breaker of the probes' own connection, so that health checks never open the one that real calls use."""

    name = "probe"
    state = BreakerState.CLOSED
    retry_after = 0.0

    def admit(self) -> Permit:
        return self

    def health_ok(self) -> None: ...
    def succeed(self, *, slow: bool = False) -> None: ...
    def fail(self, retry_after: float | None = None, *, slow: bool = False) -> None: ...
    def cancel(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Probed:
    """A backend, and the same one behind a connection and time-outs of the probes' own."""

    backend: Backend
    prober: Backend


class ReadinessProbe:
    def __init__(
        self, probed: Sequence[Probed], *, cache_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._probed = tuple(probed)
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._known: Readiness | None = None
        self._known_at = 0.0
        self._asking = asyncio.Lock()

    async def readiness(self) -> Readiness:
        """Asks the backends in order until one answers. Those after it are not asked."""
        async with self._asking:
            if self._known is None or self._clock() - self._known_at >= self._cache_seconds:
                before, self._known = self._known, await self._ask()
                self._known_at = self._clock()
                _log_change(before, self._known)
        return self._known

    async def _ask(self) -> Readiness:
        checks: list[Check] = []
        answered: BackendName | None = None
        for probed in self._probed:
            check = await _ask_one(probed) if answered is None else _unasked(probed.backend, answered)
            checks.append(check)
            if answered is None and check.ready:
                answered = probed.backend.name
        if not checks:
            checks = [Check(name="backends", ready=False, reason="none is configured", hint=NO_BACKEND)]
        failing = [check.name for check in checks if not check.ready]
        return Readiness(ready=answered is not None, degraded=failing if answered else [], checks=checks)


def _log_change(before: Readiness | None, now: Readiness) -> None:
    if now.ready:
        if before is not None and not before.ready:
            log.info("ready again")
    elif before is None or before.ready:
        log.warning("not ready: %s", "; ".join(f"{check.name}: {check.reason}" for check in now.checks))


async def _ask_one(probed: Probed) -> Check:
    backend = probed.backend
    upstream = backend.upstream
    started = time.perf_counter()
    ready, reason = True, None
    try:
        with blaming(backend.name, Trail()):
            model = await probed.prober.names.resolve(DEFAULT_MODEL)
            await probed.prober.ask_one_token(str(model))
        upstream.breaker.health_ok()
    except BackendFailed as failed:
        busy = upstream.bulkhead.in_flight if failed.failure in _SLOW else 0
        ready = busy > 0 and upstream.breaker.state is BreakerState.CLOSED
        reason = f"busy with {busy} calls" if ready else f"{failed.failure}: {failed.told}"
        probed.prober.names.forget()
    except Problem as problem:
        ready, reason = False, problem.detail
    return Check(
        name=backend.name,
        ready=ready,
        reason=reason,
        hint=None if ready else f"Is {upstream.base_url} running, and does its key hold?",
        breaker=upstream.breaker.state,
        seconds=round(time.perf_counter() - started, 3),
    )


def _unasked(backend: Backend, answered: BackendName) -> Check:
    state = backend.upstream.breaker.state
    reason = f"not asked: {answered} answers" if state is not BreakerState.OPEN else "its breaker is open"
    return Check(name=backend.name, ready=state is not BreakerState.OPEN, reason=reason, breaker=state)
