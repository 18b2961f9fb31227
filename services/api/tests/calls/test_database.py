"""Databases of earlier versions. `versions/` holds one of each as it was, and they are never changed: who adds to STEPS
adds a dump of the version before, with the same calls in it."""

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Inspector, create_engine, inspect, make_url
from sqlalchemy.exc import DBAPIError

from chammal_api.calls import database
from chammal_api.calls.database import Database
from chammal_api.calls.records import CallQuery, IdempotencyKey
from chammal_api.calls.search import TextIndex
from chammal_api.calls.store import CallStore
from chammal_contracts.calls import CallMetadata, CallStatus, HealingState, Recording
from chammal_contracts.checks import Verdict
from chammal_contracts.stages import Stage, StageReport, StageStatus

pytestmark = pytest.mark.anyio

VERSIONS = Path(__file__).parent / "versions"
NEWEST = len(database.STEPS)
OLD = range(1, max(NEWEST, 2))
CHECKED, HEALING, QUEUED = "a" * 32, "b" * 32, "c" * 32


def restore(url: str, version: int) -> None:
    made = make_url(url)
    dump = (VERSIONS / f"{version}.{made.get_backend_name()}.sql").read_text(encoding="utf-8")
    if made.get_backend_name() == "sqlite":
        path = Path(str(made.database))
        path.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path) as connection:
            connection.executescript(dump)
        connection.close()
        return
    with psycopg.connect(made.set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
        connection.execute(dump.encode())


def structure(url: str) -> dict[str, Any]:
    engine = create_engine(url)
    try:
        seen: Inspector = inspect(engine)
        return {
            table: {
                "columns": {
                    column["name"]: (str(column["type"]), column["nullable"]) for column in seen.get_columns(table)
                },
                "key": seen.get_pk_constraint(table)["constrained_columns"],
                "indexes": {index["name"]: index["column_names"] for index in seen.get_indexes(table)},
                "unique": sorted(str(one["column_names"]) for one in seen.get_unique_constraints(table)),
                "references": [
                    (key["constrained_columns"], key["referred_table"], key["options"])
                    for key in seen.get_foreign_keys(table)
                ],
            }
            for table in seen.get_table_names()
        }
    finally:
        engine.dispose()


@pytest.fixture(params=OLD)
def old_url(request: pytest.FixtureRequest, database_url: str) -> str:
    restore(database_url, request.param)
    return database_url


async def test_a_database_of_an_earlier_release_is_brought_up_to_date_with_all_it_holds(old_url: str) -> None:
    store = await CallStore.open(old_url)
    checked, healing, queued = [await store.get(call_id) for call_id in (CHECKED, HEALING, QUEUED)]
    assert checked is not None
    assert (checked.status, checked.revision) == (CallStatus.COMPLETE, 1)
    assert checked.transcript is not None
    assert [one.text for one in checked.transcript.utterances] == ["안녕하세요 원금이 보장됩니다", "네 알겠습니다"]
    assert checked.check is not None
    assert [(one.id, one.verdict) for one in checked.check.elements] == [("UNF-01", Verdict.SUSPECTED)]
    assert checked.summary is not None
    assert checked.recording.filename == "통화.wav"
    assert healing is not None
    assert (healing.status, healing.healing.state) == (CallStatus.PARTIAL, HealingState.WAITING)
    assert queued is not None
    assert [one.call_id for one in await store.unqueued()] == [QUEUED]
    found = await store.page(CallQuery(text="원금이 보장", verdict=Verdict.SUSPECTED, agent_id="a-1"))
    assert [row.id for row in found.calls] == [CHECKED]
    await store.aclose()


async def test_work_goes_on_where_an_earlier_release_left_it(old_url: str) -> None:
    store = await CallStore.open(old_url)
    key = IdempotencyKey("k1", "b" * 64, "door")
    again = await store.accept("d" * 32, CallMetadata(), Recording(sha256="d" * 64, bytes=7), idempotency=key)
    assert (again.id, again.repeated) == (CHECKED, True)
    run = await store.claim_heal(HEALING)
    assert run == 2
    report = StageReport(stage=Stage.SUMMARY, status=StageStatus.DUMMY, error="no backend")
    await store.keep_stage(HEALING, run, report)
    before = await store.last_change()
    await store.accept("e" * 32, CallMetadata(), Recording(sha256="e" * 64, bytes=7))
    assert [row.id for row in (await store.page(CallQuery())).calls] == ["e" * 32, QUEUED, HEALING, CHECKED]
    assert [change.event.id for change in await store.changes(before)] == ["e" * 32]
    for call_id in (CHECKED, HEALING, QUEUED, "e" * 32):
        await store.delete(call_id)
    assert (await store.page(CallQuery(text="원금"))).calls == []
    assert await store.scrub()
    await store.aclose()


async def test_an_upgraded_database_is_what_a_new_one_is(
    old_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A column in tables.py alone, without a step, is found here."""
    await _opened(old_url)
    upgraded = structure(old_url)
    new_url = f"sqlite:///{tmp_path / 'new.db'}"
    if make_url(old_url).get_backend_name() == "postgresql":
        new_url = make_url(old_url).set(database=f"{make_url(old_url).database}_new").render_as_string(False)
        engine = create_engine(old_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {make_url(new_url).database}")
        engine.dispose()
    await _opened(new_url)
    assert upgraded == structure(new_url)


def test_of_every_earlier_version_a_database_is_kept() -> None:
    kept = {path.name for path in VERSIONS.iterdir()}
    assert kept == {f"{version}.{kind}.sql" for version in OLD for kind in ("sqlite", "postgresql")}


def add_colour(connection: Connection, index: TextIndex) -> None:
    connection.exec_driver_sql("ALTER TABLE calls ADD COLUMN colour text")
    connection.exec_driver_sql("UPDATE calls SET colour = 'red'")


async def test_a_step_is_done_once_however_often_the_database_is_opened(
    old_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "STEPS", (*database.STEPS, add_colour))
    for _ in range(2):
        opened = Database(old_url)
        await opened.open()
        rows = await opened.read(lambda connection: connection.exec_driver_sql("SELECT colour FROM calls").all())
        version = await opened.read(lambda connection: connection.exec_driver_sql("SELECT * FROM calls_schema").all())
        assert ([tuple(row) for row in rows], [tuple(row) for row in version]) == ([("red",)] * 3, [(NEWEST + 1,)])
        await opened.aclose()


async def test_of_a_step_that_fails_nothing_is_left_and_the_earlier_release_goes_on(
    old_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: Connection, index: TextIndex) -> None:
        add_colour(connection, index)
        connection.exec_driver_sql("DROP TABLE call_texts")
        connection.exec_driver_sql("SELECT * FROM nowhere")

    await _opened(old_url)
    before = structure(old_url)
    with monkeypatch.context() as newer:
        newer.setattr(database, "STEPS", (*database.STEPS, add_colour, fail))
        with pytest.raises(DBAPIError):
            await _opened(old_url)
    assert structure(old_url) == before
    store = await CallStore.open(old_url)
    assert len((await store.page(CallQuery(text="원금"))).calls) == 1
    await store.aclose()


async def _opened(url: str) -> None:
    opened = Database(url)
    try:
        await opened.open()
    finally:
        await opened.aclose()
