"""A few workers of one kind, started when needed and replaced when they die."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

from chammal_kit.logs import component_logger
from chammal_stt.worker import Worker, WorkerDied, WorkerUnfit

log = component_logger("STT")

_STARTS = 10
"""Attempts, when a signal ends what has not begun: something kills workers, and they are not at fault."""

StartWorker = Callable[[], Awaitable[Worker]]


class StartFailed(Exception):
    """No worker could be started; the message says why, and `hint` what to do."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


class Pool:
    def __init__(
        self,
        start: StartWorker,
        size: int,
        *,
        on_death: Callable[[], None],
        cooldown: float = 2.0,
    ) -> None:
        self.size = size
        self.failure: StartFailed | None = None
        """Why the last start failed; None since one succeeded."""
        self._start = start
        self._on_death = on_death
        self._cooldown = cooldown
        self._retry_at = 0.0
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._warming: asyncio.Task[None] | None = None
        self._starting = 0
        self._closing = False
        self.borrowed = False
        """A worker is out on trial."""

    @property
    def none_idle(self) -> bool:
        return not any(worker.alive for worker in self._idle)

    @property
    def workers(self) -> frozenset[Worker]:
        return frozenset(worker for worker in self._workers if worker.alive)

    @property
    def _full(self) -> bool:
        return len(self.workers) + self._starting >= self.size

    def warm(self) -> None:
        """Starts in the background what is not running. Does nothing while it does, or just after it failed."""
        idle = self._warming is None or self._warming.done()
        if idle and not self._closing and asyncio.get_running_loop().time() >= self._retry_at:
            self._warming = self.spawn(self._fill())

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Worker]:
        """A worker for one job. One that is left in the middle of it is ended. Raises StartFailed."""
        await self._slots.acquire()
        worker = None
        try:
            worker = await self._take()
            yield worker
        finally:
            if worker is not None and worker.alive and worker.busy:
                self.spawn(self._discard(worker))
            else:
                self._give_back(worker)

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[Worker | None]:
        """The idle worker that has brought nothing for longest, for a trial; None where all are at work."""
        idle = [worker for worker in self._idle if worker.alive]
        if not idle or self._slots.locked() or self.borrowed:
            yield None
            return
        await self._slots.acquire()  # at once, since it was free
        worker = min(idle, key=lambda one: one.worked_at)
        self._idle.remove(worker)
        self.borrowed = True
        try:
            yield worker
        finally:
            self.borrowed = False
            if worker.alive and worker.busy:
                self.spawn(self._discard(worker))
            else:
                self._give_back(worker)

    async def aclose(self) -> None:
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.kill() for worker in self._workers))

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
        if asyncio.get_running_loop().time() < self._retry_at:
            raise self.failure or StartFailed("it has just failed to start")
        return await self._start_one()

    async def _start_one(self) -> Worker:
        self._starting += 1
        try:
            worker = await self._start_again_if_killed()
        except (WorkerDied, WorkerUnfit, OSError) as error:  # TimeoutError is an OSError
            failure = StartFailed(str(error) or "it took too long to start", getattr(error, "hint", None))
            if str(failure) != str(self.failure):
                log.error("A worker could not be started: %s", failure)
            self.failure = failure
            self._retry_at = asyncio.get_running_loop().time() + self._cooldown
            raise failure from error
        finally:
            self._starting -= 1
        self.failure = None
        self._workers.add(worker)
        self.spawn(self._watch(worker))
        return worker

    async def _start_again_if_killed(self) -> Worker:
        for _ in range(_STARTS - 1):
            try:
                return await self._start()
            except WorkerDied as error:
                if error.code is None or error.code >= 0:
                    raise
                self.failure = StartFailed(str(error))
                self._on_death()
        return await self._start()

    async def _fill(self) -> None:
        while not self._full:
            async with self._slots:
                if self._full:
                    return
                try:
                    self._idle.append(await self._start_one())
                except StartFailed:
                    return

    async def _watch(self, worker: Worker) -> None:
        code = await worker.wait()
        self._workers.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        if not worker.busy:  # else the call that waits for it closes it
            await worker.kill()
        if not self._closing:
            log.error("The %s process %d ended with status %d; it is started again.", worker.name, worker.pid, code)
            self._on_death()
            self.warm()

    async def _discard(self, worker: Worker) -> None:
        await worker.kill()
        self._slots.release()

    def _give_back(self, worker: Worker | None) -> None:
        if worker is not None and worker.alive:
            self._idle.append(worker)
        self._slots.release()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Ended with the pool."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
