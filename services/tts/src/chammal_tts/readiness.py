"""Whether the engine truly speaks: by what it has said lately, or else by a word of its own."""

import asyncio
from concurrent.futures import Executor

from chammal_contracts.health import Check, Readiness
from chammal_kit.logs import component_logger
from chammal_tts.loading import Loading
from chammal_tts.work import Work

log = component_logger("HealthCheck")

WAIT_SECONDS = 4.0


class TtsReadiness:
    def __init__(self, loading: Loading, work: Work, executor: Executor) -> None:
        self._loading = loading
        self._work = work
        self._executor = executor
        self._trial: asyncio.Task[None] | None = None
        self._failure = ""

    async def readiness(self) -> Readiness:
        known = self._loading.readiness()
        reason = await self._reason() if known.ready else None
        if reason is None:
            return known
        return Readiness(
            ready=False, checks=[Check(name=check.name, ready=False, reason=reason) for check in known.checks]
        )

    async def aclose(self) -> None:
        if self._trial is not None:
            self._trial.cancel()
            await asyncio.gather(self._trial, return_exceptions=True)

    async def _reason(self) -> str | None:
        """A trial runs only when nothing was spoken lately and nobody waits for the engine; one at a time."""
        if self._work.hung.done():
            return "The engine does not return from a sentence; the service is being started anew."
        if self._work.proof.fresh:
            return None
        if self._trial is None or self._trial.done():
            if self._work.at_work:  # for users; the time they are given finds an engine that hangs
                return None
            self._trial = asyncio.create_task(self._try())
        await asyncio.wait((self._trial,), timeout=WAIT_SECONDS)
        if self._trial.done() or self._work.proof.fresh:
            return self._failure or None
        return f"Speaking a word has taken more than {WAIT_SECONDS:g} s."

    async def _try(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._loading.speak_a_word)
        except Exception as error:  # noqa: BLE001  the boundary to the engine: whatever it raises is the reason
            self._failure = f"Speaking a word failed: {type(error).__name__}: {error}"
            log.error("%s", self._failure)
        else:
            self._failure = ""
