"""The profile postgres: an api in a container whose calls are in a PostgreSQL in another. No models are needed."""

import json
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest

from tests.compose.conftest import Compose, _require, _succeeds, phase, project, until

pytestmark = pytest.mark.compose

PROFILE = ("--profile", "postgres")
SOUND = {"file": ("call.wav", b"RIFF....WAVEfmt " + bytes(64))}


@pytest.fixture(scope="module")
def pair(compose: Compose) -> Iterator[Compose]:
    _require(_succeeds("docker", "version"), "no Docker engine answers")
    pair = project("chammal-test-postgres")
    pair = replace(pair, environment=pair.environment | {"CHAMMAL_POSTGRES_PASSWORD": "a0b1c2"})
    pair(*PROFILE, "down", "--volumes", "--remove-orphans", "--timeout=2")
    try:
        with phase("build the image of the api"):
            pair("build", "--quiet", "api")
        with phase("postgres up --wait"):
            pair(*PROFILE, "up", "--detach", "--wait", "--no-build", "postgres")
        pair(*PROFILE, "up", "--detach", "--no-build", "api")
        yield pair
    finally:
        print(pair(*PROFILE, "logs", "--tail=20", "--no-color"))
        pair(*PROFILE, "down", "--volumes", "--remove-orphans", "--timeout=2")


@pytest.fixture(scope="module")
def client(pair: Compose) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=pair.api, timeout=60, trust_env=False) as client:
        until(60, lambda: answers(client) or None, "api that serves")
        yield client


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx2.TransportError:
        return False


def failing(client: httpx2.Client) -> set[str]:
    return {check["name"] for check in client.get("/ready").json()["checks"] if not check["ready"]}


def ids(client: httpx2.Client) -> list[str]:
    return [call["id"] for call in client.get("/v1/calls").raise_for_status().json()["calls"]]


def test_calls_are_in_postgres_and_in_no_file_of_the_api(pair: Compose, client: httpx2.Client) -> None:
    accepted = client.post("/v1/calls", files=SOUND)
    assert accepted.status_code == 202, accepted.text
    assert ids(client) == [accepted.json()["id"]]
    count = "select count(*) from calls"
    assert pair(*PROFILE, "exec", "-T", "postgres", "psql", "-U", "chammal", "-Atc", count).strip() == "1"
    kept = json.loads(
        pair("exec", "-T", "api", "python", "-c", "import json, os; print(json.dumps(os.listdir('/data')))")
    )
    assert not [name for name in kept if "sqlite" in name]


def test_the_rule_sets_are_there_without_the_repository(pair: Compose, client: httpx2.Client) -> None:
    told = "from pathlib import Path; import chammal_api as a; print(*Path(a.__file__).with_name('rules').iterdir())"
    assert "fcpa-kr.yaml" in pair("exec", "-T", "api", "python", "-c", told)
    assert client.get("/v1/rules").json()["problems"] == []


def test_while_postgres_is_away_calls_are_refused_and_afterwards_all_are_there(
    pair: Compose, client: httpx2.Client
) -> None:
    before = ids(client)
    pair(*PROFILE, "stop", "--timeout=20", "postgres")
    refused = client.post("/v1/calls", files=SOUND)
    assert refused.status_code == 503, refused.text
    assert int(refused.headers["retry-after"]) > 0
    assert "calls" in failing(client)
    pair(*PROFILE, "up", "--detach", "--wait", "--no-build", "postgres")
    until(60, lambda: "calls" not in failing(client) or None, "word in /ready that calls are taken again")
    assert ids(client) == before
    assert client.post("/v1/calls", files=SOUND).status_code == 202


def test_an_api_that_starts_without_its_database_serves_and_finds_it_later(
    pair: Compose, client: httpx2.Client
) -> None:
    before = ids(client)
    pair(*PROFILE, "stop", "--timeout=20", "postgres", "api")
    pair("up", "--detach", "--no-build", "api")
    until(60, lambda: answers(client) or None, "api that serves without its database")
    assert client.post("/v1/calls", files=SOUND).status_code == 503
    pair(*PROFILE, "up", "--detach", "--wait", "--no-build", "postgres")
    until(60, lambda: "calls" not in failing(client) or None, "word in /ready that calls are taken")
    assert ids(client) == before
