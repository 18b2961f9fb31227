"""Reads calls out of the tables: one whole, a page of many, or what has changed."""

import json
from typing import Any

from sqlalchemy import Connection, Select, select

from chammal_api.calls import derived
from chammal_api.calls.cursor import read_cursor, write_cursor
from chammal_api.calls.records import CallQuery, Change
from chammal_api.calls.search import Narrowed, TextIndex, snippet, sought
from chammal_api.calls.tables import AnyRow, calls, stages, texts, verdicts
from chammal_contracts.calls import (
    Call,
    CallError,
    CallEvent,
    CallMetadata,
    CallPage,
    CallRow,
    CallStatus,
    CallSummary,
    CallTranscript,
    Healing,
    HealingState,
    Progress,
    Recording,
    WebhookState,
)
from chammal_contracts.checks import CheckResult, ProductType, Speaker, Verdict
from chammal_contracts.stages import Stage, StageReport

_FEW = 500
"""So many calls are asked one by one whether they hold some words; of more, those that hold them are gone through."""
_SHOWN = (Verdict.SUSPECTED, Verdict.UNMET)


def get(connection: Connection, call_id: str) -> Call | None:
    row = connection.execute(select(calls).where(calls.c.id == call_id)).first()
    if row is None:
        return None
    found = {r.stage: r for r in connection.execute(select(stages).where(stages.c.seq == row.seq))}
    reports = [StageReport.model_validate_json(found[s].report) for s in derived.ORDER if s in found]
    values = {stage: found[stage].value for stage in found if found[stage].value is not None}
    transcript, check, summary = (values.get(stage) for stage in derived.ORDER)
    reason = derived.partial_reason(reports)
    return Call(
        id=row.id,
        status=CallStatus(row.status),
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
        metadata=CallMetadata.model_validate_json(row.metadata),
        recording=Recording.model_validate_json(row.recording),
        stages=reports,
        progress=_progress(row.progress),
        transcript=CallTranscript.model_validate_json(transcript) if transcript else None,
        check=CheckResult.model_validate_json(check) if check else None,
        summary=CallSummary.model_validate_json(summary) if summary else None,
        healing=Healing.model_validate_json(row.healing),
        webhook=WebhookState.model_validate_json(row.webhook) if row.webhook else None,
        error=CallError.model_validate_json(row.error) if row.error else None,
        is_partial_failure=reason is not None,
        partial_failure_reason=reason,
    )


def recording(connection: Connection, call_id: str) -> Recording | None:
    document = connection.execute(select(calls.c.recording).where(calls.c.id == call_id)).scalar()
    return Recording.model_validate_json(document) if document else None


def page(connection: Connection, index: TextIndex, query: CallQuery, cursor: str | None, limit: int) -> CallPage:
    """Newest first. Raises ValueError for a cursor that is not of this query."""
    before = None if cursor is None else read_cursor(query, cursor)
    statement, place = _found(connection, index, query)
    if before is not None:
        statement = statement.where(place < before)
    rows = connection.execute(statement.order_by(place.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    if not shown:
        return CallPage(calls=[])
    numbers = [row.seq for row in shown]
    reports = _reports(connection, numbers)
    findings = _findings(connection, numbers)
    said = _said(connection, numbers) if query.text else {}
    return CallPage(
        calls=[
            _listed(row, reports.get(row.seq, []), findings.get(row.seq, {}), said.get(row.seq), query.text)
            for row in shown
        ],
        next=write_cursor(query, shown[-1].seq) if len(rows) > limit else None,
    )


def _found(connection: Connection, index: TextIndex, query: CallQuery) -> Narrowed:
    statement = _narrowed(select(calls), query)
    words = sought(query.text)
    if words is None:
        return statement, calls.c.seq
    few = None
    if query != CallQuery(text=query.text):
        few = list(connection.execute(_narrowed(select(calls.c.seq), query).limit(_FEW + 1)).scalars())
    return index.narrow(statement, words, few if few is not None and len(few) <= _FEW else None)


def _narrowed(statement: Select[Any], query: CallQuery) -> Select[Any]:
    equals = {
        calls.c.status: query.status,
        calls.c.healing_state: query.healing,
        calls.c.product_type: query.product_type,
        calls.c.agent_id: query.agent_id,
        calls.c.reference: query.reference,
        calls.c.needs_human: query.needs_human,
    }
    for column, value in equals.items():
        if value is not None:
            statement = statement.where(column == (derived.storable(value) if isinstance(value, str) else value))
    if query.since is not None:
        statement = statement.where(calls.c.happened_at >= query.since)
    if query.until is not None:
        statement = statement.where(calls.c.happened_at < query.until)
    if query.element is not None or query.verdict is not None:
        judged = select(verdicts.c.seq).where(verdicts.c.verdict.in_([query.verdict] if query.verdict else _SHOWN))
        if query.element is not None:
            judged = judged.where(verdicts.c.element == derived.storable(query.element))
        statement = statement.where(calls.c.seq.in_(judged))
    return statement


def changes(connection: Connection, after: int, limit: int) -> list[Change]:
    rows = connection.execute(select(calls).where(calls.c.change > after).order_by(calls.c.change).limit(limit)).all()
    reports = _reports(connection, [row.seq for row in rows])
    return [Change(row.change, _event(row, reports.get(row.seq, []))) for row in rows]


def event(connection: Connection, call_id: str) -> CallEvent | None:
    row = connection.execute(select(calls).where(calls.c.id == call_id)).first()
    return _event(row, _reports(connection, [row.seq]).get(row.seq, [])) if row else None


def _event(row: AnyRow, reports: list[StageReport]) -> CallEvent:
    return CallEvent(
        id=row.id,
        status=CallStatus(row.status),
        revision=row.revision,
        progress=_progress(row.progress),
        stages=reports,
        healing=HealingState(row.healing_state),
    )


def _progress(document: str | None) -> Progress | None:
    return Progress.model_validate_json(document) if document else None


def _reports(connection: Connection, numbers: list[int]) -> dict[int, list[StageReport]]:
    found: dict[int, list[StageReport]] = {}
    statement = select(stages.c.seq, stages.c.stage, stages.c.report).where(stages.c.seq.in_(numbers))
    for row in sorted(connection.execute(statement), key=lambda row: derived.ORDER.index(Stage(row.stage))):
        found.setdefault(row.seq, []).append(StageReport.model_validate_json(row.report))
    return found


def _findings(connection: Connection, numbers: list[int]) -> dict[int, dict[Verdict, list[str]]]:
    """Suspected and unmet elements. Without a look at `verdict`, SQLite has no reason to go through all calls by it."""
    found: dict[int, dict[Verdict, list[str]]] = {}
    for row in connection.execute(select(verdicts).where(verdicts.c.seq.in_(numbers))):
        if row.verdict in _SHOWN:
            found.setdefault(row.seq, {}).setdefault(Verdict(row.verdict), []).append(row.element)
    return {seq: {verdict: sorted(each) for verdict, each in of.items()} for seq, of in found.items()}


def _said(connection: Connection, numbers: list[int]) -> dict[int, str]:
    return {row.seq: row.text for row in connection.execute(select(texts).where(texts.c.seq.in_(numbers)))}


def _listed(
    row: AnyRow,
    reports: list[StageReport],
    findings: dict[Verdict, list[str]],
    said: str | None,
    words: str | None,
) -> CallRow:
    return CallRow(
        id=row.id,
        status=CallStatus(row.status),
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
        reference=row.reference,
        filename=json.loads(row.recording).get("filename"),
        agent_id=row.agent_id,
        product_type=ProductType(row.product_type) if row.product_type else None,
        started_at=row.started_at,
        duration=row.duration,
        stages=reports,
        healing=HealingState(row.healing_state),
        score=row.score,
        suspected=findings.get(Verdict.SUSPECTED, []),
        unmet=findings.get(Verdict.UNMET, []),
        needs_human=row.needs_human,
        sentence=row.sentence,
        snippet=snippet(said, words) if said and words else None,
        speakers=[Speaker(speaker) for speaker in json.loads(row.speakers or "[]")],
    )
