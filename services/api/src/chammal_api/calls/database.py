"""SQLite or PostgreSQL behind threads of its own; the schema is brought up to date when it is opened.

SQLite: one thread writes, since SQLite has one writer, and others read beside it.
"""

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, create_engine, event, make_url, text
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chammal_api.calls.search import PostgresIndex, SqliteIndex, TextIndex, sqlite_of
from chammal_api.calls.tables import counters, metadata
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

T = TypeVar("T")

SECONDS = 10.0
_CONNECT_SECONDS = "5"
_LOG_SECONDS = 1
_READERS = 4
_SCHEMA_LOCK = 0x6368616D  # "cham": of PostgreSQL's advisory locks
_DISK_FULL = "53100"
_PRAGMAS = (
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_size_limit = 67108864",
    # A killed process loses nothing; a lost machine may lose the last seconds of work, which is done again.
    "PRAGMA synchronous = NORMAL",
)


class DatabaseTooNew(Exception):
    """A newer release has been here."""


class DatabaseNotOpen(SQLAlchemyError):
    """It has not answered since this process was started."""


class DatabaseAway(SQLAlchemyError):
    """It does not answer in time, or its file is broken."""


NOT_ANSWERING = (OperationalError, InterfaceError, InternalError, PoolTimeout, DatabaseNotOpen, DatabaseAway)
"""What is raised where the database is gone, and stays out once it is back."""


Step = Callable[[Connection, TextIndex], None]


def _first(connection: Connection, index: TextIndex) -> None:
    metadata.create_all(connection)
    index.create(connection)
    connection.execute(counters.insert(), [{"name": "change", "value": 0}, {"name": "scrub", "value": 0}])


def _second(connection: Connection, index: TextIndex) -> None:
    """The newest calls of one healing state, without all others of it being sorted."""
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS calls_by_healing_state ON calls (healing_state, seq)")


STEPS: tuple[Step, ...] = (_first, _second)
"""Step n leads from version n to n + 1. A released step is never changed, and never uses tables.py anew."""


class Database:
    def __init__(self, url: str, *, seconds: float = SECONDS) -> None:
        """`seconds`: the longest wait for a transaction, its turn and all locks included."""
        self.url = patient(url)
        self._seconds = seconds
        self._milliseconds = max(1, round(seconds * 1000))
        self._is_open = False
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.index: TextIndex = SqliteIndex() if self.is_sqlite else PostgresIndex()
        self.engine = (
            create_engine(self.url, connect_args={"isolation_level": None, "timeout": seconds})
            if self.is_sqlite
            else create_engine(self.url, pool_pre_ping=True, pool_size=2 * _READERS)
        )
        if self.is_sqlite:
            event.listen(self.engine, "connect", _set_pragmas)
            event.listen(self.engine, "begin", _begin)
        self._writers = ThreadPoolExecutor(1 if self.is_sqlite else _READERS, "calls-write")
        self._readers = ThreadPoolExecutor(_READERS, "calls-read")

    async def open(self) -> None:
        """Nothing can be read or written before. Raises SQLAlchemyError, DatabaseTooNew, Problem 507."""
        await self._run(self._writers, self._migrate)
        self._is_open = True

    async def aclose(self) -> None:
        def close() -> None:
            self._writers.shutdown()
            self._readers.shutdown()
            self.engine.dispose()

        await asyncio.get_running_loop().run_in_executor(None, close)

    async def read(self, work: Callable[[Connection], T]) -> T:
        self._check_open()

        def run() -> T:
            with self.engine.connect() as connection, connection.begin():
                self._limit(connection)
                return work(connection)

        return await self._in(self._readers, run)

    async def write(self, work: Callable[[Connection], T], *, durable: bool = False) -> T:
        """One transaction. `durable`: it has reached the disk when this returns, and all before it.

        One that comes to its end too late is taken back. Raises Problem: 507 storage_full.
        """
        self._check_open()
        late = threading.Event()

        def run() -> T:
            with self.engine.connect() as connection:
                connection = connection.execution_options(writes=True)
                with self._synchronous(connection, durable), connection.begin():
                    self._limit(connection)
                    done = work(connection)
                    if late.is_set():
                        raise DatabaseAway("it answered when nobody waited any more")
                    return done

        return await self._in(self._writers, run, late)

    async def truncate_log(self) -> bool:
        """Empties SQLite's write-ahead log, where deleted pages stand in full. False: somebody reads them just now."""
        if not self.is_sqlite:
            return True
        self._check_open()

        def run() -> bool:
            with self.engine.connect() as connection:
                raw = sqlite_of(connection)
                raw.execute(f"PRAGMA busy_timeout = {_LOG_SECONDS * 1000}")  # meanwhile nobody can write
                try:
                    return bool(raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
                finally:
                    raw.execute(f"PRAGMA busy_timeout = {self._milliseconds}")

        return await self._in(self._writers, run)

    def _check_open(self) -> None:
        if not self._is_open:
            raise DatabaseNotOpen("the database of calls has not answered yet")

    async def _in(self, threads: ThreadPoolExecutor, run: Callable[[], T], late: threading.Event | None = None) -> T:
        """Sets `late` when it was waited for long enough. A thread that hangs in a dead connection is left there."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._run(threads, run)
        except TimeoutError:
            if late is not None:
                late.set()
            raise DatabaseAway(f"it has not answered for {self._seconds:g} s") from None

    async def _run(self, threads: ThreadPoolExecutor, run: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, run)
        except DBAPIError as error:
            if type(error) is DatabaseError:  # none of its kinds: SQLite's file is damaged, or is none
                raise DatabaseAway(str(error.orig)) from error
            if not _is_full(error):
                raise
            detail = "The database has no room on its disk. An operator must make some."
            raise Problem(507, ErrorCode.STORAGE_FULL, detail, headers={"Retry-After": "30"}) from error

    def _limit(self, connection: Connection) -> None:
        """PostgreSQL itself gives up what waits for a lock, so that the connection is of use again."""
        if not self.is_sqlite:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {self._milliseconds}")

    @contextmanager
    def _synchronous(self, connection: Connection, durable: bool) -> Iterator[None]:
        if not (durable and self.is_sqlite):
            yield
            return
        raw = sqlite_of(connection)
        raw.execute("PRAGMA synchronous = FULL")
        try:
            yield
        finally:
            raw.execute("PRAGMA synchronous = NORMAL")

    def _migrate(self) -> None:
        with self._alone(), self.engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SCHEMA_LOCK})
                _bring_up(connection, self.index, STEPS)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """A new SQLite file is made by one process: turning WAL on does not wait for a lock."""
        path = self.url.database
        if not self.is_sqlite or not path or path == ":memory:":
            yield
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with Path(f"{path}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _bring_up(connection: Connection, index: TextIndex, steps: tuple[Step, ...]) -> None:
    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS calls_schema (version integer NOT NULL)")
    version = connection.exec_driver_sql("SELECT version FROM calls_schema").scalar()
    if version is None:
        connection.exec_driver_sql("INSERT INTO calls_schema VALUES (0)")
        version = 0
    if version > len(steps):
        raise DatabaseTooNew(f"the database is of version {version}; this release knows {len(steps)}")
    for step in steps[version:]:
        step(connection, index)
    connection.execute(text("UPDATE calls_schema SET version = :version"), {"version": len(steps)})


def patient(url: str) -> URL:
    """PostgreSQL by psycopg, which otherwise waits for minutes for a machine that is gone."""
    made = make_url(url)
    if made.get_backend_name() != "postgresql":
        return made
    limit = {} if "connect_timeout" in made.query else {"connect_timeout": _CONNECT_SECONDS}
    return made.set(drivername="postgresql+psycopg").update_query_dict(limit)


def _set_pragmas(connection: sqlite3.Connection, record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()


def _begin(connection: Connection) -> None:
    """A transaction that will write says so first: one that finds out later fails when another was faster."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _is_full(error: DBAPIError) -> bool:
    cause = error.orig
    return (
        getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(cause, "sqlstate", None) == _DISK_FULL
    )
