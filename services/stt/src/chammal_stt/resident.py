"""A model in memory: its processes, the queue before them, and who uses it."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from chammal_stt.batcher import Batcher, unavailable
from chammal_stt.pool import StartFailed
from chammal_stt.recogniser import Recogniser
from chammal_stt.settings import SttSettings


class Resident:
    def __init__(self, settings: SttSettings, model_id: str, short_waited: Callable[[float, bool], None]) -> None:
        self.id = model_id
        self.recogniser = Recogniser(settings, model_id)
        size = settings.pieces_per_batch
        self.batcher = Batcher(
            self.recogniser,
            size=size,
            queue=settings.max_pieces,
            wait_seconds=settings.batch_wait_seconds,
            short_waited=short_waited,
        )
        self.users = 0
        self.used_at = _now()
        self.leaving = False
        """It is closed when the last user has gone, unless one comes before."""
        self.settled = asyncio.Event()
        """Whether it leaves has been decided."""

    @property
    def is_loaded(self) -> bool:
        return bool(self.recogniser.pool.workers)

    @property
    def failure(self) -> StartFailed | None:
        """Why it is not loaded, as far as is known."""
        return None if self.is_loaded else self.recogniser.pool.failure

    @property
    def idle_seconds(self) -> float | None:
        return None if self.users else _now() - self.used_at

    @property
    def memory_bytes(self) -> int | None:
        return _memory(worker.pid for worker in self.recogniser.pool.workers) if self.is_loaded else None

    async def load(self) -> None:
        """Returns when it is in memory. Raises Problem."""
        if self.is_loaded:
            return
        try:
            async with self.recogniser.pool.lease():
                pass
        except StartFailed as error:
            raise unavailable(error) from error

    def leave(self) -> None:
        self.leaving = True
        self.settled.clear()

    def stay(self) -> None:
        self.leaving = False
        self.settled.set()

    async def aclose(self) -> None:
        await self.batcher.aclose()
        self.settled.set()


def _memory(pids: Iterable[int]) -> int | None:
    try:
        return sum(_resident_bytes(pid) for pid in pids)
    except OSError:  # no /proc, or the process has just ended
        return None


def _resident_bytes(pid: int) -> int:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
    return int(fields.get("VmRSS", "0 kB").split()[0]) * 1024


def _now() -> float:
    return asyncio.get_running_loop().time()
