"""Deletes calls for good: one that somebody asked to, and those older than they may be kept."""

import asyncio
import datetime as dt
from dataclasses import dataclass
from itertools import islice

from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError

from chammal_api.calls.recordings import Recordings
from chammal_api.calls.store import CallStore
from chammal_contracts.calls import Recording
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem

log = component_logger("Retention")

_AT_A_TIME = 500
_UNCLAIMED = dt.timedelta(hours=6)
"""A recording that no call has had for so long was left by a sender or a process that was gone before the call was."""


@dataclass(frozen=True, slots=True)
class Swept:
    calls: int = 0
    files: int = 0
    """Beside those of the calls."""
    failed: int = 0
    """Could not be deleted this time; the next sweep tries them again."""


async def erase(store: CallStore, recordings: Recordings, call_id: str) -> None:
    """Deletes the call, if there is one, and its recording unless another call has it.

    Raises OSError when the file cannot be deleted; the store then remembers that it is to be, and a sweep tries again.
    """
    recording = await store.delete(call_id)
    if recording is not None:
        await store.drop_recording(recording.sha256, lambda: recordings.remove(recording))


class Retention:
    """Several processes may sweep at once: each thing is deleted once."""

    def __init__(self, store: CallStore, recordings: Recordings, keep_days: int) -> None:
        """`keep_days`: 0 keeps calls for ever."""
        self._store = store
        self._recordings = recordings
        self._keep = dt.timedelta(days=keep_days)

    async def run(self, every_seconds: float = 3600, scrub_seconds: float = 60) -> None:
        """Sweeps until it is cancelled; takes what deleted calls left in the database's files away soon after."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                if loop.time() >= due:
                    due = loop.time() + every_seconds
                    _tell(await self.sweep(dt.datetime.now(dt.UTC)))
                else:
                    await self._store.scrub()
            except (SQLAlchemyError, OSError, Problem) as error:  # the database or its disk; both come back
                log.error("not swept this time: %s", error)
            await asyncio.sleep(min(every_seconds, scrub_seconds))

    async def sweep(self, now: dt.datetime) -> Swept:
        """Calls past their age, files that could not be deleted before, and files that no call has. Then what is left
        of all these in the database's own files."""
        calls, late = await self._sweep_calls(now) if self._keep else (0, 0)
        files, stuck = await self._sweep_files(await self._store.unused_recordings())
        unclaimed, stuck_too = await self._sweep_unclaimed(now)
        await to_thread.run_sync(self._recordings.recount)
        await self._store.scrub()
        return Swept(calls, files + unclaimed, late + stuck + stuck_too)

    async def _sweep_calls(self, now: dt.datetime) -> tuple[int, int]:
        after = deleted = failed = 0
        while found := await self._store.expired(now - self._keep, after, _AT_A_TIME):
            for after, call_id in found:  # noqa: B007  where the next look begins
                try:
                    await erase(self._store, self._recordings, call_id)
                    deleted += 1
                except (OSError, SQLAlchemyError) as error:
                    failed += 1
                    log.error("call %s is past its age, and something of it could not be deleted: %s", call_id, error)
        return deleted, failed

    async def _sweep_files(self, digests: list[str]) -> tuple[int, int]:
        deleted = failed = 0
        for digest in digests:
            recording = Recording(sha256=digest, bytes=0)
            try:
                deleted += await self._store.drop_recording(digest, lambda r=recording: self._recordings.remove(r))  # type: ignore[misc]
            except (OSError, SQLAlchemyError) as error:
                failed += 1
                log.error("a recording that no call has could not be deleted: %s", error)
        return deleted, failed

    async def _sweep_unclaimed(self, now: dt.datetime) -> tuple[int, int]:
        old = self._recordings.older_than((now - _UNCLAIMED).timestamp())
        deleted = failed = 0
        while some := await to_thread.run_sync(lambda: [r.sha256 for r in islice(old, _AT_A_TIME)]):
            done, stuck = await self._sweep_files(await self._store.unknown_recordings(some))
            deleted, failed = deleted + done, failed + stuck
        return deleted, failed


def _tell(swept: Swept) -> None:
    if swept.calls or swept.files or swept.failed:
        log.info("deleted %d calls past their age and %d files; %d failed", swept.calls, swept.files, swept.failed)
