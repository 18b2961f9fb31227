"""How the answers of stages are kept, and what a run comes to. Within a transaction."""

import datetime as dt
import hashlib
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from chammal_api.calls import derived
from chammal_api.calls.rows import change, healing_columns, need
from chammal_api.calls.search import TextIndex
from chammal_api.calls.tables import AnyRow, calls, stages, texts, verdicts
from chammal_contracts.calls import CallError, CallStatus, CallSummary, CallTranscript, Healing
from chammal_contracts.checks import CheckResult
from chammal_contracts.stages import Stage, StageReport

Value = CallTranscript | CheckResult | CallSummary


def begin(connection: Connection, call_id: str, run: int, now: dt.datetime) -> None:
    row = need(connection, call_id)
    if run != row.run or row.finished_run >= run:
        return
    values: dict[str, Any] = {"submitted_run": run}
    if row.status == CallStatus.QUEUED:
        values["status"] = CallStatus.RUNNING
    change(connection, row.seq, values, now)


def kept(connection: Connection, call_id: str, run: int) -> dict[Stage, StageReport]:
    statement = select(stages.c.stage, stages.c.report).join(calls).where(calls.c.id == call_id, stages.c.run == run)
    found = connection.execute(statement)
    return {Stage(row.stage): StageReport.model_validate_json(row.report) for row in found}


def keep(
    connection: Connection,
    index: TextIndex,
    call_id: str,
    run: int,
    report: StageReport,
    value: Value | None,
    now: dt.datetime,
) -> StageReport:
    """The report that is now in force."""
    row = need(connection, call_id)
    here = stages.c.seq == row.seq, stages.c.stage == report.stage
    old = connection.execute(select(stages).where(*here)).first()
    if not _replaces(old, row, run, report):
        return StageReport.model_validate_json(old.report) if old else report
    document = value.model_dump_json() if value else None
    digest = _digest(value) if value else None
    new = {"run": run, "report": report.model_dump_json(), "digest": digest, "value": document}
    connection.execute(delete(stages).where(*here))
    connection.execute(insert(stages).values(seq=row.seq, stage=report.stage, **new))
    values = _derive(connection, index, row.seq, report.stage, value)
    if report.stage is Stage.STT and old is not None and old.digest != digest:
        values |= _drop_answers(connection, index, row.seq, run)
    change(connection, row.seq, values | {"progress": None}, now)
    return report


def _digest(value: Value) -> str:
    """Why a check is not complete is told in other words after each try, and is no news."""
    told = value.model_dump_json(exclude={"reason"} if isinstance(value, CheckResult) else None)
    return hashlib.sha256(told.encode()).hexdigest()


def finish(
    connection: Connection, call_id: str, run: int, healing: Healing, error: CallError | None, now: dt.datetime
) -> None:
    row = need(connection, call_id)
    if run != row.run or row.finished_run >= run:
        return
    statement = select(stages.c.stage, stages.c.report, stages.c.digest).where(stages.c.seq == row.seq)
    found = [
        (stage, StageReport.model_validate_json(report), digest)
        for stage, report, digest in connection.execute(statement).all()
    ]
    content = derived.content_of(((stage, report.status, digest) for stage, report, digest in found), error)
    values = {
        "status": derived.status_of([report for _, report, _ in found], error),
        "revision": row.revision + (content != row.content),
        "content": content,
        "finished_run": run,
        "submitted_run": run,
        "error": error.model_dump_json() if error else None,
        "progress": None,
        **healing_columns(healing),
    }
    change(connection, row.seq, values, now)


def unindex(connection: Connection, index: TextIndex, seq: int) -> None:
    words = connection.execute(select(texts.c.text).where(texts.c.seq == seq)).scalar()
    if words is not None:
        index.remove(connection, seq, words)
        connection.execute(delete(texts).where(texts.c.seq == seq))


def _derive(connection: Connection, index: TextIndex, seq: int, stage: Stage, value: Value | None) -> dict[str, Any]:
    """Writes what is searched and filtered by; gives the columns that are read off the value."""
    if stage is Stage.STT:
        transcript = value if isinstance(value, CallTranscript) else None
        unindex(connection, index, seq)
        if transcript is not None:
            words = derived.said(transcript)
            connection.execute(insert(texts).values(seq=seq, text=words))
            index.add(connection, seq, words)
        return derived.of_transcript(transcript)
    if stage is Stage.ANALYSIS:
        check = value if isinstance(value, CheckResult) else None
        connection.execute(delete(verdicts).where(verdicts.c.seq == seq))
        if check and check.elements:
            each = {derived.storable(element.id): element.verdict for element in check.elements}
            connection.execute(insert(verdicts), [{"seq": seq, "element": e, "verdict": v} for e, v in each.items()])
        return derived.of_check(check)
    return derived.of_summary(value if isinstance(value, CallSummary) else None)


def _drop_answers(connection: Connection, index: TextIndex, seq: int, run: int) -> dict[str, Any]:
    """Those that earlier runs made of a transcript that is no more: their evidence may not be in the new one."""
    stale = stages.c.seq == seq, stages.c.stage != Stage.STT, stages.c.run < run
    gone = list(connection.execute(select(stages.c.stage).where(*stale)).scalars())
    connection.execute(delete(stages).where(*stale))
    values: dict[str, Any] = {}
    for stage in gone:
        values |= _derive(connection, index, seq, Stage(stage), None)
    return values


def _replaces(old: AnyRow | None, call: AnyRow, run: int, report: StageReport) -> bool:
    """Whether a new answer stands instead of the old one, if there is one."""
    if run != call.run or call.finished_run >= run:
        return False
    if old is None:
        return True
    was_real = StageReport.model_validate_json(old.report).status in derived.REAL
    return bool(old.run < run) and (report.status in derived.REAL or not was_real)
