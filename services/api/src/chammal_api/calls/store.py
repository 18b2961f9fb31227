"""Calls as they are kept. Every method may be called again with the same arguments: the second time changes nothing."""

import datetime as dt
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, func, select, update

from chammal_api.calls import acceptance, healings, listing, results, rows
from chammal_api.calls.database import Database
from chammal_api.calls.records import CallQuery, Change, Counts, Heal, IdempotencyKey, Unqueued
from chammal_api.calls.search import TextIndex
from chammal_api.calls.tables import Scrub, calls, counters, recordings
from chammal_contracts.calls import (
    Call,
    CallAccepted,
    CallError,
    CallEvent,
    CallMetadata,
    CallPage,
    CallStatus,
    CallSummary,
    CallTranscript,
    Healing,
    HealingState,
    Progress,
    Recording,
    WebhookState,
)
from chammal_contracts.checks import CheckResult
from chammal_contracts.stages import Stage, StageReport

_HEALS = (HealingState.WAITING, HealingState.RUNNING)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _have(recording: Recording) -> bool:
    return True


class CallStore:
    """Raises Problem (507 storage_full) from any method that writes, where the database's disk is full."""

    def __init__(
        self,
        database: Database,
        *,
        has_recording: Callable[[Recording], bool] = _have,
        clock: Callable[[], dt.datetime] = _now,
    ) -> None:
        self._db = database
        self._has_recording = has_recording
        self._clock = clock

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        has_recording: Callable[[Recording], bool] = _have,
        clock: Callable[[], dt.datetime] = _now,
    ) -> "CallStore":
        """`url`: `sqlite:///path` or `postgresql://…`. `has_recording`: Recordings.has, asked within `accept`."""
        database = Database(url)
        try:
            await database.open()
        except BaseException:
            await database.aclose()
            raise
        return cls(database, has_recording=has_recording, clock=clock)

    async def aclose(self) -> None:
        await self._db.aclose()

    # From the door.

    async def accept(
        self,
        call_id: str,
        metadata: CallMetadata,
        recording: Recording,
        *,
        idempotency: IdempotencyKey | None = None,
        now: dt.datetime | None = None,
    ) -> CallAccepted:
        """On disk when it returns. The same key and body: the old call, `repeated`.

        Raises KeyReused; RecordingGone when the recording was deleted since it was kept; Problem 507.
        """
        moment, has = now or self._clock(), self._has_recording
        return await self._db.write(
            lambda connection: acceptance.accept(connection, call_id, metadata, recording, idempotency, has, moment),
            durable=True,
        )

    async def get(self, call_id: str) -> Call | None:
        return await self._db.read(lambda connection: listing.get(connection, call_id))

    async def recording(self, call_id: str) -> Recording | None:
        return await self._db.read(lambda connection: listing.recording(connection, call_id))

    async def page(self, query: CallQuery, cursor: str | None = None, limit: int = 50) -> CallPage:
        """Newest first. Raises ValueError for a cursor that is not of this query."""
        return await self._db.read(lambda connection: listing.page(connection, self._db.index, query, cursor, limit))

    async def delete(self, call_id: str) -> Recording | None:
        """Takes the call away: row, answers, text index, idempotency key. The recording, where no other call has it.

        Its file is then to be deleted by `drop_recording`, which spares a call that came since: `retention.erase` does
        both.
        """
        gone = await self._db.write(
            lambda connection: acceptance.remove(connection, self._db.index, call_id), durable=True
        )
        await self._db.truncate_log()
        return gone

    # From the flow.

    async def submitted(self, call_id: str, run: int) -> None:
        """A workflow of this run exists: `unqueued` names it no more."""
        await self._db.write(lambda connection: healings.submitted(connection, call_id, run))

    async def unqueued(self, limit: int = 1000) -> list[Unqueued]:
        """Runs of which no workflow was started, oldest first: somebody was killed between the two."""
        return await self._db.read(lambda connection: healings.unqueued(connection, limit))

    async def begin(self, call_id: str, run: int) -> None:
        """→ running; a call that heals keeps its status, since what it has stands. Raises CallGone."""
        await self._db.write(lambda connection: results.begin(connection, call_id, run, self._clock()))

    async def kept(self, call_id: str, run: int) -> dict[Stage, StageReport]:
        """Stages of this run that are done. A step that was killed after keeping its value need not run again."""
        return await self._db.read(lambda connection: results.kept(connection, call_id, run))

    async def keep_stage(
        self,
        call_id: str,
        run: int,
        report: StageReport,
        *,
        transcript: CallTranscript | None = None,
        check: CheckResult | None = None,
        summary: CallSummary | None = None,
    ) -> StageReport:
        """Keeps the stage's value and report; gives the report that is now in force.

        The first answer of a run stays. A real answer is never replaced by none. A new transcript takes away the
        answers that earlier runs made of the old one. Raises CallGone.
        """
        value = transcript or check or summary
        return await self._db.write(
            lambda connection: results.keep(connection, self._db.index, call_id, run, report, value, self._clock())
        )

    async def set_progress(self, call_id: str, progress: Progress | None) -> None:
        def work(connection: Connection) -> None:
            row = rows.find(connection, call_id)
            if row is not None and row.finished_run < row.run:
                document = progress.model_dump_json() if progress else None
                rows.change(connection, row.seq, {"progress": document}, self._clock())

        await self._db.write(work)

    async def finish(self, call_id: str, run: int, healing: Healing, error: CallError | None = None) -> Call:
        """Ends a run: the status comes of the stages; the revision is one more where what a reader sees has changed.

        Raises CallGone.
        """

        def work(connection: Connection) -> Call:
            results.finish(connection, call_id, run, healing, error, self._clock())
            call = listing.get(connection, call_id)
            assert call is not None  # noqa: S101
            return call

        return await self._db.write(work, durable=True)

    async def set_webhook(self, call_id: str, state: WebhookState) -> None:
        def work(connection: Connection) -> None:
            row = rows.find(connection, call_id)
            if row is not None:
                rows.change(connection, row.seq, {"webhook": state.model_dump_json()}, self._clock())

        await self._db.write(work)

    # Runs after the first.

    async def rerun(self, call_id: str) -> int | None:
        """The number of a new run of all stages; what the call has stands meanwhile. None: a run is not finished yet.

        Raises CallGone.
        """
        return await self._db.write(lambda connection: healings.rerun(connection, call_id, self._clock()), durable=True)

    async def waiting_to_heal(self, limit: int, now: dt.datetime | None = None) -> list[Heal]:
        """Those whose `next_at` has come, the oldest first; a `now` far ahead gives all."""
        moment = now or self._clock()
        return await self._db.read(lambda connection: healings.waiting(connection, limit, moment))

    async def claim_heal(self, call_id: str, now: dt.datetime | None = None) -> int | None:
        """The number of the run that heals it: one more attempt, on record. None: another process was first."""
        moment = now or self._clock()
        return await self._db.write(lambda connection: healings.claim(connection, call_id, moment))

    async def set_healing(self, call_id: str, healing: Healing) -> bool:
        """Of a call that waits: a later next try, or giving up. False: it does not wait (any more)."""
        return await self._db.write(lambda connection: healings.put_off(connection, call_id, healing, self._clock()))

    # What has changed.

    async def changed(self, call_id: str) -> int:
        """A number that grows with every change of this call; 0: there is none."""
        statement = select(calls.c.change).where(calls.c.id == call_id)
        return int(await self._db.read(lambda connection: connection.execute(statement).scalar()) or 0)

    async def last_change(self) -> int:
        return await self._db.read(lambda connection: _counter(connection, "change"))

    async def changes(self, after: int, limit: int = 100) -> list[Change]:
        """Calls that have changed since the change numbered `after`, each once, the earliest first."""
        return await self._db.read(lambda connection: listing.changes(connection, after, limit))

    async def event(self, call_id: str) -> CallEvent | None:
        return await self._db.read(lambda connection: listing.event(connection, call_id))

    async def counts(self) -> Counts:
        return await self._db.read(lambda connection: _counts(connection, self._clock()))

    # For retention.

    async def drop_recording(self, sha256: str, unlink: Callable[[], None]) -> bool:
        """Calls `unlink` unless a call has this recording. Whatever that raises; then the file is still on record."""
        return await self._db.write(lambda connection: acceptance.drop_recording(connection, sha256, unlink))

    async def unused_recordings(self) -> list[str]:
        """Digests of recordings whose file is still to be deleted."""
        return await self._db.read(acceptance.unused)

    async def unknown_recordings(self, digests: Sequence[str]) -> list[str]:
        """Those of `digests` that no call has had."""
        return await self._db.read(lambda connection: acceptance.unknown(connection, digests))

    async def expired(self, before: dt.datetime, after_seq: int = 0, limit: int = 100) -> list[tuple[int, str]]:
        """Number and id of calls accepted before `before` that nobody works on."""
        return await self._db.read(lambda connection: acceptance.expired(connection, before, after_seq, limit))

    async def scrub(self) -> bool:
        """Takes what deleted calls left in the database's files out of them, a slice at a time. True: all is gone.

        PostgreSQL keeps it, unreachable, until its pages are used again.
        """

        if not await self._db.read(lambda connection: _counter(connection, "scrub")):
            return True
        while not await self._db.write(lambda connection: _scrub(connection, self._db.index)):
            pass
        if not await self._db.truncate_log():
            return False
        clean = update(counters).where(counters.c.name == "scrub", counters.c.value == Scrub.LOG).values(value=Scrub.NO)
        await self._db.write(lambda connection: connection.execute(clean))
        return True


def _scrub(connection: Connection, index: TextIndex) -> bool:
    if _counter(connection, "scrub") in (Scrub.NO, Scrub.LOG):
        return True
    done = index.scrub(connection)
    if done:
        connection.execute(update(counters).where(counters.c.name == "scrub").values(value=Scrub.LOG))
    return done


def _counter(connection: Connection, name: str) -> int:
    return int(connection.execute(select(counters.c.value).where(counters.c.name == name)).scalar_one())


def _counts(connection: Connection, now: dt.datetime) -> Counts:
    busy = calls.c.status.in_((CallStatus.QUEUED, CallStatus.RUNNING))
    by_status = select(calls.c.status, func.count()).where(busy).group_by(calls.c.status)
    found: dict[str, int] = {row[0]: row[1] for row in connection.execute(by_status)}
    heals = select(func.count(), func.min(calls.c.healing_since)).where(calls.c.healing_state.in_(_HEALS))
    healing, since = connection.execute(heals).one()
    stored = connection.execute(select(func.coalesce(func.sum(recordings.c.bytes), 0))).scalar_one()
    return Counts(
        queued=found.get(CallStatus.QUEUED, 0),
        running=found.get(CallStatus.RUNNING, 0),
        healing=healing,
        oldest_heal_seconds=max(0.0, (now - since).total_seconds()) if since else 0.0,
        stored_bytes=int(stored),
    )
