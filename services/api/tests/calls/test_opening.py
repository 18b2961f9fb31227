"""An api that was started before its database."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url
from starlette.testclient import TestClient

from chammal_api.app import create
from chammal_api.calls import opening
from chammal_api.settings import ApiSettings

GUARD_SECONDS = 60.0
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(200)


@pytest.fixture
def late(postgres_url: str, tmp_path: Path, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch) -> ApiSettings:
    """Its server is behind a socket in a folder that is not there: see `come`."""
    monkeypatch.setattr(opening, "AGAIN_SECONDS", 0.05)
    there = make_url(postgres_url)
    url = there.set(drivername="postgresql").update_query_dict({"host": str(tmp_path / "s")})
    (tmp_path / "there").write_text(str(there.query["host"]))
    return settings.model_copy(
        update={
            "database_url": SecretStr(url.render_as_string(hide_password=False)),
            "calls_at_once": 0,
            "min_free_bytes": 0,
        }
    )


def come(tmp_path: Path) -> None:
    (tmp_path / "s").symlink_to((tmp_path / "there").read_text())


def failing(client: TestClient) -> list[str]:
    degraded: list[str] = client.get("/ready").json()["degraded"]
    return degraded


def send(client: TestClient) -> Any:
    return client.post("/v1/calls", files={"file": ("a.wav", WAV)})


def until_taken(client: TestClient) -> Any:
    give_up = time.monotonic() + GUARD_SECONDS
    while (answer := send(client)).status_code == 503 and time.monotonic() < give_up:
        pass
    return answer


def test_calls_are_refused_until_the_database_is_there_and_all_else_goes_on(late: ApiSettings, tmp_path: Path) -> None:
    with TestClient(create(late), raise_server_exceptions=False) as client:
        assert "calls" in failing(client)
        for answer in (send(client), client.get("/v1/calls"), client.get("/v1/calls/events")):
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert int(answer.headers["retry-after"]) > 0
        assert client.get("/health").status_code == 200
        assert client.get("/v1/failures").status_code == 200
        come(tmp_path)
        taken = until_taken(client)
        assert taken.status_code == 202, taken.text
        assert "calls" not in failing(client)
        assert client.get(taken.headers["location"]).json()["status"] == "queued"
        recordings = [path for path in (late.data_dir / "recordings").rglob("*") if path.is_file()]
        assert len(recordings) == 1


def test_an_api_stops_in_good_order_while_its_database_is_gone(late: ApiSettings) -> None:
    with TestClient(create(late), raise_server_exceptions=False) as client:
        assert "calls" in failing(client)


def test_a_database_that_is_locked_for_good_is_not_the_end_of_the_api(
    settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "AGAIN_SECONDS", 0.05)
    settings.data_dir.mkdir(parents=True)
    other = sqlite3.connect(settings.data_dir / "calls.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    own = settings.model_copy(update={"calls_at_once": 0, "min_free_bytes": 0, "database_seconds": 1.0})
    with TestClient(create(own), raise_server_exceptions=False) as client:
        assert "calls" in failing(client)
        assert client.get("/v1/calls").status_code == 503
        other.close()
        assert until_taken(client).status_code == 202
