"""Runs after a call's first: asked for by somebody, or to bring what is missing. Within a transaction."""

import datetime as dt
import json

from sqlalchemy import Connection, or_, select, update

from chammal_api.calls.records import Heal, Unqueued
from chammal_api.calls.rows import change, find, healing_columns, need
from chammal_api.calls.tables import AnyRow, calls
from chammal_contracts.calls import CallStatus, Healing, HealingState, Priority
from chammal_contracts.stages import Stage


def submitted(connection: Connection, call_id: str, run: int) -> None:
    mine = calls.c.id == call_id, calls.c.submitted_run < run
    connection.execute(update(calls).where(*mine).values(submitted_run=run))


def unqueued(connection: Connection, limit: int) -> list[Unqueued]:
    statement = (
        select(calls.c.id, calls.c.run, calls.c.priority, calls.c.wanted)
        .where(calls.c.submitted_run < calls.c.run)
        .order_by(calls.c.seq)
        .limit(limit)
    )
    return [
        Unqueued(row.id, row.run, Priority(row.priority), _stages(row.wanted)) for row in connection.execute(statement)
    ]


def rerun(connection: Connection, call_id: str, now: dt.datetime) -> int | None:
    row = need(connection, call_id)
    if row.finished_run < row.run:
        return None
    run = int(row.run) + 1
    fresh = {"run": run, "wanted": None, "status": CallStatus.QUEUED, **healing_columns(Healing())}
    change(connection, row.seq, fresh, now)
    return run


def waiting(connection: Connection, limit: int, now: dt.datetime) -> list[Heal]:
    due = or_(calls.c.healing_next_at.is_(None), calls.c.healing_next_at <= now)
    statement = (
        select(calls.c.id, calls.c.healing, calls.c.created_at, calls.c.priority)
        .where(calls.c.healing_state == HealingState.WAITING, due)
        .order_by(calls.c.seq)
        .limit(limit)
    )
    return [_heal(row) for row in connection.execute(statement)]


def claim(connection: Connection, call_id: str, now: dt.datetime) -> int | None:
    row = find(connection, call_id)
    if row is None or row.healing_state != HealingState.WAITING or row.finished_run < row.run:
        return None
    healing = Healing.model_validate_json(row.healing)
    tried = healing.model_copy(update={"state": HealingState.RUNNING, "attempts": healing.attempts + 1})
    run = int(row.run) + 1
    change(connection, row.seq, {"run": run, "wanted": json.dumps(healing.missing), **healing_columns(tried)}, now)
    return run


def put_off(connection: Connection, call_id: str, healing: Healing, now: dt.datetime) -> bool:
    row = find(connection, call_id)
    if row is None or row.healing_state != HealingState.WAITING:
        return False
    change(connection, row.seq, healing_columns(healing), now)
    return True


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
