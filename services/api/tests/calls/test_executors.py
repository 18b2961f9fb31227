from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa

from chammal_api.calls.executors import Executors, own_name
from chammal_api.calls.flow import _set_wal

STARTING = 8


def test_a_name_is_held_by_one_and_taken_again_when_it_is_free(tmp_path: Path) -> None:
    with own_name(tmp_path) as first, own_name(tmp_path) as second:
        assert first != second
    with own_name(tmp_path) as again:
        assert again in (first, second)


@pytest.fixture
def pair(database_url: str, tmp_path: Path) -> Iterator[tuple[Executors, Executors]]:
    (tmp_path / "data").mkdir()
    engine = sa.create_engine(database_url)
    here, there = Executors(engine, "here"), Executors(engine, "there")
    here.create()
    there.create()
    yield here, there
    engine.dispose()


def test_several_that_start_at_once_share_one_new_database(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    barrier = Barrier(STARTING)

    def start(number: int) -> None:
        engine = sa.create_engine(database_url)
        barrier.wait()
        if engine.dialect.name == "sqlite":
            _set_wal(engine.url.database)
        executors = Executors(engine, str(number))
        executors.create()
        executors.beat()
        engine.dispose()

    with ThreadPoolExecutor(STARTING) as threads:
        list(threads.map(start, range(STARTING)))


def test_one_that_beats_is_alive_and_one_that_left_is_dead(pair: tuple[Executors, Executors]) -> None:
    here, there = pair
    here.beat()
    there.beat()
    there.beat()
    assert here.dead() == []
    there.leave()
    assert here.dead() == ["there"]
    assert there.dead() == []


def test_one_that_is_buried_is_back_with_its_next_beat(
    pair: tuple[Executors, Executors], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    there.beat()
    here.bury("there")
    there.leave()
    here.bury("there")
    assert here.dead() == []
    there.beat()
    monkeypatch.setattr("chammal_api.calls.executors.DEAD_SECONDS", -5.0)
    assert here.dead() == ["there"]
