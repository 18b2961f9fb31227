"""Whether the workers of a pool truly work: by what they have done lately, or else by a small job of its own.

A trial takes a worker that has been idle for long, one at a time and never one that somebody waits for.
"""

import asyncio
from collections.abc import Awaitable, Callable

from chammal_kit.logs import component_logger
from chammal_stt.pool import Pool
from chammal_stt.worker import Worker

log = component_logger("HealthCheck")

WAIT_SECONDS = 4.0
"""Readiness is asked with a limit of its own; what takes longer is not ready yet."""


class TrialFailed(Exception):
    """The worker did its job, and the outcome is wrong."""


TryWorker = Callable[[Worker], Awaitable[None]]
"""Gives it a small job. Raises what went wrong, after which the worker is ended."""


class Trial:
    def __init__(self, pool: Pool, job: str, try_worker: TryWorker, fresh_seconds: float) -> None:
        self._pool = pool
        self._job = job
        self._try_worker = try_worker
        self._fresh_seconds = fresh_seconds
        self._running: asyncio.Task[None] | None = None
        self._reason = ""

    async def reason(self) -> str | None:
        """Why the pool is not ready; None when it is. Waits for a trial only where nothing else proves it."""
        if self._running is None or self._running.done():
            self._running = self._pool.spawn(self._try_stalest())
        if not self._proven:
            await asyncio.wait((self._running,), timeout=WAIT_SECONDS)
        if self._proven or self._at_work:
            return None
        if self._running.done():
            return self._reason or None
        return f"{self._job} has taken more than {WAIT_SECONDS:g} s"

    @property
    def _proven(self) -> bool:
        return any(self._is_fresh(worker) for worker in self._pool.workers)

    @property
    def _at_work(self) -> bool:
        """All are, for users; one that hangs is found by the limits on its job."""
        return self._pool.none_idle and not self._pool.borrowed

    def _is_fresh(self, worker: Worker) -> bool:
        return asyncio.get_running_loop().time() - worker.worked_at < self._fresh_seconds

    async def _try_stalest(self) -> None:
        async with self._pool.borrow() as worker:
            if worker is None or self._is_fresh(worker):
                return
            try:
                await self._try_worker(worker)
            except Exception as error:  # noqa: BLE001  the boundary of a trial: whatever it is, it is the reason
                self._reason = f"{self._job} failed: {error}"
                log.error("%s; the worker is replaced", self._reason)
                await worker.kill()
            else:
                self._reason = ""
                worker.worked_at = asyncio.get_running_loop().time()
