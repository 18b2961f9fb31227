"""Calls as they are kept. Every method may be called again with the same arguments: the second time changes nothing."""

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chammal_api.calls import derived, listing
from chammal_api.calls.database import Database
from chammal_api.calls.records import (
    CallGone,
    CallQuery,
    Change,
    Counts,
    Heal,
    IdempotencyKey,
    KeyReused,
    RecordingGone,
    Unqueued,
)
from chammal_api.calls.tables import AnyRow, calls, counters, keys, recordings, stages, texts, verdicts
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
    Priority,
    Progress,
    Recording,
    WebhookState,
)
from chammal_contracts.checks import CheckResult
from chammal_contracts.stages import Stage, StageReport

Value = CallTranscript | CheckResult | CallSummary
SEOUL = dt.timezone(dt.timedelta(hours=9))
_BUSY = (CallStatus.QUEUED, CallStatus.RUNNING)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _have(recording: Recording) -> bool:
    return True


class CallStore:
    """Raises Problem (507 storage_full) from any method that writes, where the disk is full."""

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
        """`url`: `sqlite:///path` or `postgresql://…`. `has_recording`: Recordings.has, asked within accept."""
        database = Database(url)
        await database.open()
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
        moment = now or self._clock()

        def work(connection: Connection) -> CallAccepted:
            old = _claim_key(connection, idempotency)
            if old is not None:
                return CallAccepted(id=old.id, status=CallStatus(old.status), repeated=True)
            _refer(connection, recording)
            if not self._has_recording(recording):
                raise RecordingGone(recording.sha256)
            seq = connection.execute(
                insert(calls).values(_new_call(call_id, metadata, recording, moment)).returning(calls.c.seq)
            ).scalar_one()
            if idempotency:
                connection.execute(update(keys).where(keys.c.key == _digest(idempotency)).values(seq=seq))
            _touch(connection, seq)
            return CallAccepted(id=call_id, status=CallStatus.QUEUED)

        return await self._db.write(work, durable=True)

    async def get(self, call_id: str) -> Call | None:
        return await self._db.read(lambda connection: listing.get(connection, call_id))

    async def page(self, query: CallQuery, cursor: str | None = None, limit: int = 50) -> CallPage:
        """Newest first. Raises ValueError for a cursor that is not of this query."""
        return await self._db.read(lambda connection: listing.page(connection, self._db.index, query, cursor, limit))

    async def delete(self, call_id: str) -> Recording | None:
        """Takes the call away: row, answers, text index, idempotency key. The recording, where no other call has it.

        Its file is then to be deleted: `retention.erase` does both, and never takes the file of a call that came since.
        """

        def work(connection: Connection) -> Recording | None:
            row = _find(connection, call_id)
            if row is None:
                return None
            self._unindex(connection, row.seq)
            connection.execute(delete(calls).where(calls.c.seq == row.seq))
            connection.execute(update(counters).where(counters.c.name == "scrub").values(value=1))
            left = connection.execute(
                update(recordings)
                .where(recordings.c.sha256 == row.sha256)
                .values(calls=recordings.c.calls - 1)
                .returning(recordings.c.calls)
            ).scalar_one_or_none()
            return None if left else Recording.model_validate_json(row.recording)

        gone = await self._db.write(work, durable=True)
        await self.truncate_log()
        return gone

    # From the flow.

    async def submitted(self, call_id: str, run: int) -> None:
        """A workflow of this run exists: `unqueued` names it no more."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(calls).where(calls.c.id == call_id, calls.c.submitted_run < run).values(submitted_run=run)
            )

        await self._db.write(work)

    async def unqueued(self, limit: int = 1000) -> list[Unqueued]:
        """Runs of which no workflow was started, oldest first: somebody was killed between the two."""
        statement = (
            select(calls.c.id, calls.c.run, calls.c.priority, calls.c.wanted)
            .where(calls.c.submitted_run < calls.c.run, calls.c.finished_run < calls.c.run)
            .order_by(calls.c.seq)
            .limit(limit)
        )

        def work(connection: Connection) -> list[Unqueued]:
            return [
                Unqueued(row.id, row.run, Priority(row.priority), _stages(row.wanted))
                for row in connection.execute(statement)
            ]

        return await self._db.read(work)

    async def begin(self, call_id: str, run: int) -> None:
        """→ running; a call that heals keeps its status, since what it has stands. Raises CallGone."""

        def work(connection: Connection) -> None:
            row = _need(connection, call_id)
            if run != row.run or row.finished_run >= run:
                return
            values: dict[str, Any] = {"submitted_run": run}
            if row.status == CallStatus.QUEUED:
                values["status"] = CallStatus.RUNNING
            self._change(connection, row.seq, values)

        await self._db.write(work)

    async def kept(self, call_id: str, run: int) -> dict[Stage, StageReport]:
        """Stages of this run that are done. A step that was killed after keeping its value need not run again."""
        statement = (
            select(stages.c.stage, stages.c.report).join(calls).where(calls.c.id == call_id, stages.c.run == run)
        )

        def work(connection: Connection) -> dict[Stage, StageReport]:
            found = connection.execute(statement)
            return {Stage(row.stage): StageReport.model_validate_json(row.report) for row in found}

        return await self._db.read(work)

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

        def work(connection: Connection) -> StageReport:
            row = _need(connection, call_id)
            old = connection.execute(
                select(stages).where(stages.c.seq == row.seq, stages.c.stage == report.stage)
            ).first()
            if old is not None and not _replaces(old, row, run, report):
                return StageReport.model_validate_json(old.report)
            if old is None and run < row.run:
                return report
            document = value.model_dump_json() if value else None
            digest = hashlib.sha256(document.encode()).hexdigest() if document else None
            connection.execute(delete(stages).where(stages.c.seq == row.seq, stages.c.stage == report.stage))
            connection.execute(
                insert(stages).values(
                    seq=row.seq,
                    stage=report.stage,
                    run=run,
                    report=report.model_dump_json(),
                    digest=digest,
                    value=document,
                )
            )
            values = self._derive(connection, row.seq, report.stage, value)
            if report.stage is Stage.STT and old is not None and old.digest != digest:
                values |= self._drop_answers(connection, row.seq, run)
            self._change(connection, row.seq, values | {"progress": None})
            return report

        return await self._db.write(work)

    async def set_progress(self, call_id: str, progress: Progress | None) -> None:
        def work(connection: Connection) -> None:
            row = _find(connection, call_id)
            if row is not None and row.finished_run < row.run:
                self._change(connection, row.seq, {"progress": progress.model_dump_json() if progress else None})

        await self._db.write(work)

    async def finish(self, call_id: str, run: int, healing: Healing, error: CallError | None = None) -> Call:
        """Ends a run: the status comes of the stages; the revision is one more where what a reader sees has changed.

        Raises CallGone.
        """

        def work(connection: Connection) -> Call:
            row = _need(connection, call_id)
            if run == row.run and row.finished_run < run:
                found = connection.execute(
                    select(stages.c.stage, stages.c.report, stages.c.digest).where(stages.c.seq == row.seq)
                ).all()
                reports = [StageReport.model_validate_json(stage.report) for stage in found]
                content = derived.content_of(
                    ((stage.stage, report.status, stage.digest) for stage, report in zip(found, reports, strict=True)),
                    error,
                )
                values = _healing_columns(healing) | {
                    "status": derived.status_of(reports, error),
                    "revision": row.revision + (content != row.content),
                    "content": content,
                    "finished_run": run,
                    "submitted_run": run,
                    "error": error.model_dump_json() if error else None,
                    "progress": None,
                }
                self._change(connection, row.seq, values)
            call = listing.get(connection, call_id)
            assert call is not None  # noqa: S101
            return call

        return await self._db.write(work, durable=True)

    async def set_webhook(self, call_id: str, state: WebhookState) -> None:
        def work(connection: Connection) -> None:
            row = _find(connection, call_id)
            if row is not None:
                self._change(connection, row.seq, {"webhook": state.model_dump_json()})

        await self._db.write(work)

    # Runs after the first.

    async def rerun(self, call_id: str) -> int | None:
        """The number of a new run of all stages; what the call has stands meanwhile. None: a run is not finished yet.

        Raises CallGone.
        """

        def work(connection: Connection) -> int | None:
            row = _need(connection, call_id)
            if row.finished_run < row.run:
                return None
            healing = _healing_columns(Healing())
            self._change(
                connection, row.seq, {"run": row.run + 1, "wanted": None, "status": CallStatus.QUEUED, **healing}
            )
            return int(row.run) + 1

        return await self._db.write(work, durable=True)

    async def waiting_to_heal(self, limit: int, now: dt.datetime | None = None) -> list[Heal]:
        """Those whose `next_at` has come, the oldest first; a `now` far ahead gives all."""
        statement = (
            select(calls.c.id, calls.c.healing, calls.c.created_at, calls.c.priority)
            .where(
                calls.c.healing_state == HealingState.WAITING,
                or_(calls.c.healing_next_at.is_(None), calls.c.healing_next_at <= (now or self._clock())),
            )
            .order_by(calls.c.seq)
            .limit(limit)
        )

        def work(connection: Connection) -> list[Heal]:
            return [_heal(row) for row in connection.execute(statement)]

        return await self._db.read(work)

    async def claim_heal(self, call_id: str, now: dt.datetime | None = None) -> int | None:
        """The number of the run that heals it: one more attempt, on record. None: another process was first."""

        def work(connection: Connection) -> int | None:
            row = _find(connection, call_id)
            if row is None or row.healing_state != HealingState.WAITING or row.finished_run < row.run:
                return None
            healing = Healing.model_validate_json(row.healing)
            wanted = healing.missing
            healing = healing.model_copy(update={"state": HealingState.RUNNING, "attempts": healing.attempts + 1})
            values = _healing_columns(healing) | {"run": row.run + 1, "wanted": json.dumps(wanted)}
            self._change(connection, row.seq, values, now)
            return int(row.run) + 1

        return await self._db.write(work)

    async def set_healing(self, call_id: str, healing: Healing) -> bool:
        """Of a call that waits: a later next try, or giving up. False: it does not wait (any more)."""

        def work(connection: Connection) -> bool:
            row = _find(connection, call_id)
            if row is None or row.healing_state != HealingState.WAITING:
                return False
            self._change(connection, row.seq, _healing_columns(healing))
            return True

        return await self._db.write(work)

    # What has changed.

    async def changed(self, call_id: str) -> int:
        """A number that grows with every change of this call; 0: there is none."""
        statement = select(calls.c.change).where(calls.c.id == call_id)
        return int(await self._db.read(lambda connection: connection.execute(statement).scalar()) or 0)

    async def last_change(self) -> int:
        statement = select(counters.c.value).where(counters.c.name == "change")
        return int(await self._db.read(lambda connection: connection.execute(statement).scalar_one()))

    async def changes(self, after: int, limit: int = 100) -> list[Change]:
        """Calls that have changed since the change numbered `after`, each once, the earliest first."""
        return await self._db.read(lambda connection: listing.changes(connection, after, limit))

    async def event(self, call_id: str) -> CallEvent | None:
        return await self._db.read(lambda connection: listing.event(connection, call_id))

    async def counts(self) -> Counts:
        def work(connection: Connection) -> Counts:
            by_status = select(calls.c.status, func.count()).where(calls.c.status.in_(_BUSY)).group_by(calls.c.status)
            found: dict[str, int] = {row[0]: row[1] for row in connection.execute(by_status)}
            in_healing = calls.c.healing_state.in_((HealingState.WAITING, HealingState.RUNNING))
            healing, since = connection.execute(
                select(func.count(), func.min(calls.c.healing_since)).where(in_healing)
            ).one()
            stored = connection.execute(select(func.coalesce(func.sum(recordings.c.bytes), 0))).scalar_one()
            return Counts(
                queued=found.get(CallStatus.QUEUED, 0),
                running=found.get(CallStatus.RUNNING, 0),
                healing=healing,
                oldest_heal_seconds=max(0.0, (self._clock() - since).total_seconds()) if since else 0.0,
                stored_bytes=int(stored),
            )

        return await self._db.read(work)

    # For retention.

    async def truncate_log(self) -> bool:
        """Empties SQLite's write-ahead log, where deleted pages stand in full. False: somebody reads, and it waits."""
        if not self._db.is_sqlite:
            return True
        row = await self._db.outside("PRAGMA wal_checkpoint(TRUNCATE)")
        return bool(row[0] == 0)

    # Within a transaction.

    def _change(self, connection: Connection, seq: int, values: dict[str, Any], now: dt.datetime | None = None) -> None:
        connection.execute(update(calls).where(calls.c.seq == seq).values(**values, updated_at=now or self._clock()))
        _touch(connection, seq)

    def _derive(self, connection: Connection, seq: int, stage: Stage, value: Value | None) -> dict[str, Any]:
        """Writes what is searched and filtered by; gives the columns that are read off the value."""
        if stage is Stage.STT:
            transcript = value if isinstance(value, CallTranscript) else None
            self._unindex(connection, seq)
            if transcript is not None:
                words = derived.said(transcript)
                connection.execute(insert(texts).values(seq=seq, text=words))
                self._db.index.add(connection, seq, words)
            return derived.of_transcript(transcript)
        if stage is Stage.ANALYSIS:
            check = value if isinstance(value, CheckResult) else None
            connection.execute(delete(verdicts).where(verdicts.c.seq == seq))
            if check and check.elements:
                rows = {element.id: element.verdict for element in check.elements}
                connection.execute(
                    insert(verdicts), [{"seq": seq, "element": e, "verdict": v} for e, v in rows.items()]
                )
            return derived.of_check(check)
        return derived.of_summary(value if isinstance(value, CallSummary) else None)

    def _unindex(self, connection: Connection, seq: int) -> None:
        words = connection.execute(select(texts.c.text).where(texts.c.seq == seq)).scalar()
        if words is not None:
            self._db.index.remove(connection, seq, words)
            connection.execute(delete(texts).where(texts.c.seq == seq))

    def _drop_answers(self, connection: Connection, seq: int, run: int) -> dict[str, Any]:
        connection.execute(delete(stages).where(stages.c.seq == seq, stages.c.stage != Stage.STT, stages.c.run < run))
        left = set(connection.execute(select(stages.c.stage).where(stages.c.seq == seq)).scalars())
        values: dict[str, Any] = {}
        for stage in (Stage.ANALYSIS, Stage.SUMMARY):
            if stage not in left:
                values |= self._derive(connection, seq, stage, None)
        return values


def _new_call(call_id: str, metadata: CallMetadata, recording: Recording, now: dt.datetime) -> dict[str, Any]:
    started = metadata.started_at
    if started and started.tzinfo is None:
        started = started.replace(tzinfo=SEOUL)
    return {
        "id": call_id,
        "status": CallStatus.QUEUED,
        "created_at": now,
        "updated_at": now,
        "happened_at": started or now,
        "metadata": metadata.model_dump_json(),
        "priority": metadata.priority,
        "sha256": recording.sha256,
        "recording": recording.model_dump_json(),
        "reference": derived.storable(metadata.reference) if metadata.reference else None,
        "agent_id": derived.storable(metadata.agent_id) if metadata.agent_id else None,
        "product_type": metadata.product_type,
        "started_at": started,
        "speakers": None,
        **_healing_columns(Healing()),
    }


def _healing_columns(healing: Healing) -> dict[str, Any]:
    return {
        "healing": healing.model_dump_json(),
        "healing_state": healing.state,
        "healing_since": healing.since,
        "healing_next_at": healing.next_at,
    }


def _digest(key: IdempotencyKey) -> str:
    return hashlib.sha256(f"{key.owner}\n{key.key}".encode(errors="surrogatepass")).hexdigest()


def _claim_key(connection: Connection, key: IdempotencyKey | None) -> AnyRow | None:
    """The call that this key stands for; None where it is new, and now taken. Raises KeyReused."""
    if key is None:
        return None
    name = _digest(key)
    values = {"key": name, "body": key.body_sha256, "seq": None}
    if connection.execute(_insert(connection)(keys).values(values).on_conflict_do_nothing()).rowcount:
        return None
    held = select(keys.c.body, calls.c.id, calls.c.status).join(calls, calls.c.seq == keys.c.seq)
    row = connection.execute(held.where(keys.c.key == name)).one()
    if row.body != key.body_sha256:
        raise KeyReused
    return row


def _refer(connection: Connection, recording: Recording) -> None:
    one = _insert(connection)(recordings).values(sha256=recording.sha256, bytes=recording.bytes, calls=1)
    connection.execute(one.on_conflict_do_update(index_elements=["sha256"], set_={"calls": recordings.c.calls + 1}))


def _insert(connection: Connection) -> Callable[..., Any]:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def _touch(connection: Connection, seq: int) -> None:
    """Last in a transaction: on PostgreSQL others wait for this row, so that numbers follow the order of commits."""
    number = connection.execute(
        update(counters)
        .where(counters.c.name == "change")
        .values(value=counters.c.value + 1)
        .returning(counters.c.value)
    ).scalar_one()
    connection.execute(update(calls).where(calls.c.seq == seq).values(change=number))


def _find(connection: Connection, call_id: str) -> AnyRow | None:
    return connection.execute(select(calls).where(calls.c.id == call_id).with_for_update()).first()


def _need(connection: Connection, call_id: str) -> AnyRow:
    row = _find(connection, call_id)
    if row is None:
        raise CallGone(call_id)
    return row


def _replaces(old: AnyRow, call: AnyRow, run: int, report: StageReport) -> bool:
    """Whether a new answer stands instead of the old one."""
    if run < call.run or old.run >= run:
        return False
    was_real = StageReport.model_validate_json(old.report).status in derived.REAL
    return report.status in derived.REAL or not was_real


def _stages(wanted: str | None) -> frozenset[Stage] | None:
    return None if wanted is None else frozenset(map(Stage, json.loads(wanted)))


def _heal(row: AnyRow) -> Heal:
    healing = Healing.model_validate_json(row.healing)
    return Heal(
        call_id=row.id,
        missing=tuple(map(Stage, healing.missing)),
        attempts=healing.attempts,
        since=healing.since or row.created_at,
        priority=Priority(row.priority),
    )
