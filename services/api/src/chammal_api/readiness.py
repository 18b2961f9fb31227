"""Whether the services behind this one are ready, asked of them and kept for a moment."""

import asyncio
import random
import time
from collections.abc import Mapping

from pydantic import ValidationError

from chammal_contracts.health import Check, Readiness
from chammal_kit.logs import component_logger
from chammal_kit.upstream import Reply, Timeouts, Upstream, UpstreamError

log = component_logger("HealthCheck")

PROBE_TIMEOUTS = Timeouts(connect=1, first_byte=5, idle=5, total=5)


class Dependencies:
    def __init__(self, services: Mapping[str, Upstream], cache_seconds: float) -> None:
        self._services = services
        self._cache_seconds = cache_seconds
        self._lock = asyncio.Lock()
        self._known: Readiness | None = None
        self._known_until = 0.0

    async def check(self) -> Readiness:
        async with self._lock:
            if self._known is None or time.monotonic() >= self._known_until:
                checks = await asyncio.gather(*(self._ask(name) for name in self._services))
                self._remember(list(checks))
            assert self._known is not None  # noqa: S101
            return self._known

    def _remember(self, checks: list[Check]) -> None:
        failing = [check.name for check in checks if not check.ready]
        known_failing = self._known.degraded if self._known else []
        for check in checks:
            if not check.ready and check.name not in known_failing:
                log.warning("%s is not ready: %s", check.name, check.reason)
        self._known = Readiness(ready=len(failing) < len(checks), degraded=failing, checks=checks)
        spread = random.uniform(0.8, 1.2)  # noqa: S311  many apis shall not ask one service at once
        self._known_until = time.monotonic() + self._cache_seconds * spread

    async def _ask(self, name: str) -> Check:
        started = time.monotonic()
        ready, reason, hint = True, None, None
        try:
            await self._services[name].probe("/ready", timeouts=PROBE_TIMEOUTS, parse=_read_readiness)
        except UpstreamError as error:
            ready, reason = False, str(error)
            told = _failing_check(error.body)
            if told:
                reason, hint = told.reason or reason, told.hint
        return Check(
            name=name,
            ready=ready,
            reason=reason,
            hint=hint,
            breaker=self._services[name].breaker.state,
            seconds=round(time.monotonic() - started, 4),
        )


def _read_readiness(reply: Reply[None]) -> Readiness:
    """Any web server answers 200 to something; only a service of ours answers like this."""
    readiness = Readiness.model_validate(reply.json())
    if not readiness.ready:
        raise ValueError("it answered 200 and says that it is not ready")
    return readiness


def _failing_check(body: bytes) -> Check | None:
    """What the service itself says is missing."""
    try:
        readiness = Readiness.model_validate_json(body)
    except ValidationError:
        return None
    return next((check for check in readiness.checks if not check.ready), None)
