"""The tables of calls. What a list shows and filters by has columns of its own; whole answers are JSON text.

JSON is kept as text, since neither NUL nor a very large document may stand in PostgreSQL's jsonb.
"""

import datetime as dt
from enum import IntEnum
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.engine import Dialect

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class UtcTime(TypeDecorator[dt.datetime]):
    """Microseconds since 1970, on every database alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


AnyRow: TypeAlias = Row[*tuple[Any, ...]]

metadata = MetaData()
_Number = BigInteger().with_variant(Integer, "sqlite")

calls = Table(
    "calls",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),  # newest first is seq descending
    Column("id", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("revision", Integer, nullable=False, default=0),
    Column("content", Text),  # digest of what the revision says
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("happened_at", UtcTime, nullable=False),
    Column("change", BigInteger, nullable=False, default=0),
    Column("run", Integer, nullable=False, default=1),
    Column("submitted_run", Integer, nullable=False, default=0),
    Column("finished_run", Integer, nullable=False, default=0),
    Column("wanted", Text),  # stages of the run, JSON; NULL: all
    Column("metadata", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("recording", Text, nullable=False),
    Column("reference", Text),
    Column("agent_id", Text),
    Column("product_type", Text),
    Column("started_at", UtcTime),
    Column("progress", Text),
    Column("error", Text),
    Column("healing_state", Text, nullable=False),
    Column("healing_next_at", UtcTime),
    Column("healing_since", UtcTime),
    Column("healing", Text, nullable=False),
    Column("webhook", Text),
    Column("duration", Float),
    Column("score", Float),
    Column("needs_human", Boolean, nullable=False, default=False),
    Column("sentence", Text),
    Column("speakers", Text),
    Index("calls_by_status", "status", "seq"),
    Index("calls_by_healing", "healing_state", "healing_next_at"),
    Index("calls_by_healing_state", "healing_state", "seq"),
    Index("calls_by_product", "product_type", "seq"),
    Index("calls_by_agent", "agent_id", "seq"),
    Index("calls_by_reference", "reference"),
    Index("calls_by_day", "happened_at"),
    Index("calls_by_age", "created_at"),
    Index("calls_by_change", "change"),
    sqlite_autoincrement=True,  # a number is never given twice, so the text index never points at another call
)


def _call() -> Column[int]:
    return Column("seq", _Number, ForeignKey("calls.seq", ondelete="CASCADE"), primary_key=True)


stages = Table(
    "call_stages",
    metadata,
    _call(),
    Column("stage", Text, primary_key=True),
    Column("run", Integer, nullable=False),
    Column("report", Text, nullable=False),
    Column("digest", Text),  # of the value
    Column("value", Text),  # last: SQLite reads the others without it
)

verdicts = Table(
    "call_verdicts",
    metadata,
    _call(),
    Column("element", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Index("calls_by_verdict", "verdict", "element", "seq"),
    sqlite_with_rowid=False,
)

texts = Table("call_texts", metadata, _call(), Column("text", Text, nullable=False))
"""The masked transcript, a line for an utterance."""

keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", Text, primary_key=True),  # a digest
    Column("body", Text, nullable=False),
    Column("seq", _Number, ForeignKey("calls.seq", ondelete="CASCADE"), index=True),
)

recordings = Table(
    "recordings",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("calls", Integer, nullable=False),  # how many share it; 0: its file is to be deleted
    Index("recordings_unused", "calls"),
)

counters = Table(
    "counters", metadata, Column("name", Text, primary_key=True), Column("value", BigInteger, nullable=False)
)


class Scrub(IntEnum):
    """How far the files of the database are cleared of what deleted calls left in them; the counter `scrub`."""

    NO = 0
    WANTED = 1
    BEGUN = 2
    LOG = 3
    """What is left stands in the write-ahead log alone."""
