"""A database that is gone, locked, broken or lets nobody write is told as such, in time, and is used again after."""

import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from chammal_api.calls.database import NOT_ANSWERING, Database, DatabaseAway

pytestmark = pytest.mark.anyio

SOON = 0.2


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, seconds=SOON)
    await database.open()
    yield database
    await database.aclose()


def changes(connection: Connection) -> int:
    return int(connection.execute(text("SELECT value FROM counters WHERE name = 'change'")).scalar_one())


def count(connection: Connection) -> None:
    connection.execute(text("UPDATE counters SET value = value + 1 WHERE name = 'change'"))


async def in_the_end(database: Database) -> int:
    """A thread finds out a moment later that nobody waits for it, and a slow machine takes its time."""
    while True:
        try:
            await database.write(count)
            return await database.read(changes)
        except NOT_ANSWERING:
            continue


async def test_what_takes_too_long_is_given_up_and_leaves_nothing_behind(database: Database) -> None:
    go_on, done = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        connection.execute(text("UPDATE counters SET value = 1000 WHERE name = 'change'"))
        go_on.wait(30)
        done.set()

    with pytest.raises(DatabaseAway):
        await database.write(slow)
    go_on.set()
    assert done.wait(30)
    assert await in_the_end(database) < 1000


async def test_a_database_that_another_has_locked_is_given_up_and_used_again(postgres_url: str) -> None:
    database = Database(postgres_url, seconds=SOON)
    await database.open()
    engine = create_engine(database.url)
    with engine.connect() as other, other.begin():
        other.exec_driver_sql("LOCK TABLE counters IN ACCESS EXCLUSIVE MODE")
        for _ in range(9):  # more than there are threads
            with pytest.raises(NOT_ANSWERING):
                await database.read(changes)
    engine.dispose()
    assert await in_the_end(database)
    await database.aclose()


async def test_sqlite_lets_others_read_while_somebody_writes_and_does_not_end(sqlite_url: str) -> None:
    database = Database(sqlite_url, seconds=SOON)
    await database.open()
    other = sqlite3.connect(str(database.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(NOT_ANSWERING):
        await database.write(count)
    while True:
        try:
            assert await database.read(changes) == 0
            break
        except DatabaseAway:
            continue
    other.execute("ROLLBACK")
    other.close()
    assert await in_the_end(database)
    await database.aclose()


async def test_a_database_that_takes_no_writing_can_be_read(postgres_url: str) -> None:
    """As a stand-by is, after a failover."""
    database = Database(postgres_url)
    await database.open()
    database.engine.dispose()
    name = database.url.database
    engine = create_engine(database.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as other:
        other.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    engine.dispose()
    with pytest.raises(NOT_ANSWERING):
        await database.write(count)
    assert await database.read(changes) == 0
    await database.aclose()


async def test_a_file_that_is_no_database_is_told_as_one_that_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"not a database, though as long as one" * 200)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(NOT_ANSWERING):
        await database.open()
    await database.aclose()
