"""Words of a transcript are found by pairs of characters: Korean of two syllables too, whatever ending follows.

White space and case do not count. All of a query is plain text: it reaches the database as numbers of characters.
SQLite: an FTS5 table of pairs, queried by phrase, which is exact. PostgreSQL: an index of arrays of pairs, and each
hit is checked.
"""

import re
import sqlite3
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol, TypeAlias

from sqlalchemy import ColumnElement, Connection, Integer, Select, column, select, table, text, update

from chammal_api.calls.tables import Scrub, calls, counters

MAX_QUERY = 200
"""Characters of a query that count."""
_DROPPED = re.compile("[\\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff]+")
_SECURE_DELETE = sqlite3.sqlite_version_info >= (3, 42)
_MERGE_PAGES = 200
_VACUUM_PAGES = 1000


def fold(said: str) -> str:
    return _DROPPED.sub("", unicodedata.normalize("NFKC", said).casefold())


def fold_lines(said: str) -> str:
    return "\n".join(map(fold, said.split("\n")))


def _code(character: str) -> str:
    return f"{ord(character):06x}"


def _phrase(folded: str) -> str:
    codes = [_code(character) for character in folded]
    return " ".join(a + b for a, b in pairwise(codes)) if len(codes) > 1 else codes[0]


def _document(said: str) -> str:
    """Pairs in their order, then every character once."""
    folded = fold_lines(said)
    pairs = _phrase(folded) if len(folded) > 1 else ""
    return " ".join([pairs, *map(_code, sorted(set(folded)))])


def sought(query: str | None) -> str | None:
    """What of a query is looked for; None: nothing is left of it."""
    return (fold(query)[:MAX_QUERY] or None) if query else None


Narrowed: TypeAlias = tuple[Select[Any], ColumnElement[int]]
"""And the column that its rows are to be ordered by: the call's number, wherever it comes cheapest."""
_grams = table("call_grams", column("rowid", Integer))


class TextIndex(Protocol):
    def create(self, connection: Connection) -> None: ...
    def add(self, connection: Connection, seq: int, said: str) -> None: ...
    def remove(self, connection: Connection, seq: int, said: str) -> None: ...

    def narrow(self, statement: Select[Any], query: str, among: Sequence[int] | None) -> Narrowed:
        """Of a statement on `calls`, those that hold the query. `among`: the few numbers that come into question."""

    def scrub(self, connection: Connection) -> bool:
        """Takes removed text out of what is stored, a slice at a time. True: there is nothing left to do."""


class SqliteIndex:
    def create(self, connection: Connection) -> None:
        connection.exec_driver_sql(
            "CREATE VIRTUAL TABLE call_grams USING fts5(grams, content='', columnsize=0, tokenize='ascii')"
        )

    def add(self, connection: Connection, seq: int, said: str) -> None:
        connection.execute(
            text("INSERT INTO call_grams(rowid, grams) VALUES (:seq, :grams)"), {"seq": seq, "grams": _document(said)}
        )

    def remove(self, connection: Connection, seq: int, said: str) -> None:
        if _SECURE_DELETE:
            connection.exec_driver_sql("INSERT INTO call_grams(call_grams, rank) VALUES ('secure-delete', 1)")
        connection.execute(
            text("INSERT INTO call_grams(call_grams, rowid, grams) VALUES ('delete', :seq, :grams)"),
            {"seq": seq, "grams": _document(said)},
        )

    def narrow(self, statement: Select[Any], query: str, among: Sequence[int] | None) -> Narrowed:
        """The newest hits first, and no more of them than are asked for: the index reads from its end."""
        match = text("call_grams MATCH :grams").bindparams(grams=f'"{_phrase(query)}"')
        if among is not None:
            hits = select(_grams.c.rowid).where(match, _grams.c.rowid.in_(among))
            return statement.where(calls.c.seq.in_(hits)), calls.c.seq
        return statement.join(_grams, _grams.c.rowid == calls.c.seq).where(match), _grams.c.rowid

    def scrub(self, connection: Connection) -> bool:
        """Before SQLite 3.42 the index keeps removed words until its parts are merged: all of them, some at a time."""
        if _SECURE_DELETE:
            return _give_back(connection)
        begin = update(counters).where(counters.c.name == "scrub", counters.c.value == Scrub.WANTED)
        if connection.execute(begin.values(value=Scrub.BEGUN)).rowcount:
            self._merge(connection, -_MERGE_PAGES)
            return False
        before = _written(connection)
        self._merge(connection, _MERGE_PAGES)
        return _written(connection) - before < 2 and _give_back(connection)

    def _merge(self, connection: Connection, pages: int) -> None:
        connection.execute(text("INSERT INTO call_grams(call_grams, rank) VALUES ('merge', :n)"), {"n": pages})


def sqlite_of(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)  # noqa: S101
    return raw


def _give_back(connection: Connection) -> bool:
    """Free pages go back to the disk. True: none is left."""
    raw = sqlite_of(connection)
    raw.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()  # a row without columns for each page
    return not connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()


def _written(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one())


class PostgresIndex:
    def create(self, connection: Connection) -> None:
        connection.exec_driver_sql(
            "CREATE TABLE call_grams (seq bigint PRIMARY KEY REFERENCES calls(seq) ON DELETE CASCADE,"
            " grams text[] NOT NULL, folded text NOT NULL)"
        )
        connection.exec_driver_sql("CREATE INDEX calls_by_gram ON call_grams USING gin (grams)")

    def add(self, connection: Connection, seq: int, said: str) -> None:
        connection.execute(
            text("INSERT INTO call_grams(seq, grams, folded) VALUES (:seq, :grams, :folded)"),
            {"seq": seq, "grams": sorted(set(_document(said).split())), "folded": fold_lines(said)},
        )

    def remove(self, connection: Connection, seq: int, said: str) -> None:
        connection.execute(text("DELETE FROM call_grams WHERE seq = :seq"), {"seq": seq})

    def narrow(self, statement: Select[Any], query: str, among: Sequence[int] | None) -> Narrowed:
        clause = text(
            "EXISTS (SELECT 1 FROM call_grams g WHERE g.seq = calls.seq AND g.grams @> :grams"
            " AND strpos(g.folded, :folded) > 0)"
        )
        return statement.where(clause.bindparams(grams=_phrase(query).split(), folded=query)), calls.c.seq

    def scrub(self, connection: Connection) -> bool:
        return True


def snippet(said: str, query: str, around: int = 40) -> str | None:
    """The line of `said` in which `query` stands, with `around` characters each side. None: it stands nowhere."""
    folded = sought(query)
    if folded is None:
        return None
    for line in said.split("\n"):
        if folded not in fold(line):
            continue
        place = re.search(r"\s*".join(map(re.escape, folded)), line, re.IGNORECASE)
        start, end = place.span() if place else (0, 0)
        left, right = max(0, start - around), min(len(line), max(end, start) + around)
        return ("…" if left else "") + line[left:right].strip() + ("…" if right < len(line) else "")
    return None
