"""A call's row: found, held, and changed. All within a transaction that others keep."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chammal_api.calls.records import CallGone
from chammal_api.calls.tables import AnyRow, calls, counters
from chammal_contracts.calls import Healing


def find(connection: Connection, call_id: str) -> AnyRow | None:
    """Held against other writers until the transaction ends."""
    return connection.execute(select(calls).where(calls.c.id == call_id).with_for_update()).first()


def need(connection: Connection, call_id: str) -> AnyRow:
    """Raises CallGone."""
    row = find(connection, call_id)
    if row is None:
        raise CallGone(call_id)
    return row


def change(connection: Connection, seq: int, values: dict[str, Any], now: dt.datetime) -> None:
    connection.execute(update(calls).where(calls.c.seq == seq).values(**values, updated_at=now))
    touch(connection, seq)


def touch(connection: Connection, seq: int) -> None:
    """Last in a transaction: on PostgreSQL others wait for this row, so that numbers follow the order of commits."""
    one_more = update(counters).where(counters.c.name == "change").values(value=counters.c.value + 1)
    number = connection.execute(one_more.returning(counters.c.value)).scalar_one()
    connection.execute(update(calls).where(calls.c.seq == seq).values(change=number))


def healing_columns(healing: Healing) -> dict[str, Any]:
    return {
        "healing": healing.model_dump_json(),
        "healing_state": healing.state,
        "healing_since": healing.since,
        "healing_next_at": healing.next_at,
    }


def upsert(connection: Connection) -> Callable[..., Any]:
    """The `insert` that knows ON CONFLICT."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
