"""The api's door, as users meet it."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai import AuthenticationError, OpenAI, PermissionDeniedError, RateLimitError
from pydantic import SecretStr
from starlette.testclient import TestClient

from chammal_api.access import ACCESS, make_door, say_if_open
from chammal_api.app import create
from chammal_api.settings import ApiSettings
from chammal_contracts.errors import ErrorCode
from chammal_kit.door import Guard
from chammal_kit.keys import KeysBroken, KeyScope, new_key

from .conftest import Mesh

KEYS = {scope.value: new_key(scope.value, [scope]) for scope in KeyScope}
LINES = ";".join(stored.line() for _, stored in KEYS.values())
OPEN = {"/health", "/ready", "/openapi.json", "/", "/talk", "/calls/{call_id}", "/assets/{version}/{name}"}
"""The pages hold nothing of anybody."""


def key(name: str) -> str:
    return KEYS[name][0]


Serve = Callable[..., TestClient]


@pytest.fixture
def serve(settings: ApiSettings) -> Iterator[Serve]:
    entered: list[TestClient] = []

    def serve(**more: object) -> TestClient:
        told = settings.model_copy(update={"keys": SecretStr(LINES)} | more)
        client = TestClient(create(told), raise_server_exceptions=False)
        while entered:  # one process has one flow of calls
            entered.pop().__exit__(None, None, None)
        entered.append(client)
        return client.__enter__()

    yield serve
    for client in entered:
        client.__exit__(None, None, None)


def openai_client(client: TestClient, api_key: str) -> OpenAI:
    return OpenAI(api_key=api_key, base_url="http://127.0.0.1/v1", http_client=client, max_retries=0)


def test_every_route_has_an_access_and_a_guard(settings: ApiSettings) -> None:
    app = create(settings)
    paths = {route.path for route in app.router.routes}  # type: ignore[attr-defined]
    assert paths - OPEN - {"/metrics"} == set(ACCESS) - OPEN
    assert all(isinstance(route.app, Guard) for route in app.router.routes)  # type: ignore[attr-defined]


def test_no_route_answers_without_a_key_but_the_open_ones(serve: Serve) -> None:
    client = serve()
    for route in client.app.router.routes:  # type: ignore[attr-defined]
        for method in getattr(route, "methods", None) or ():
            status = client.request(method, route.path).status_code
            assert status == 401 or route.path in OPEN, (method, route.path, status)


SCOPES = {
    "/transcribe": "transcribe",
    "/v1/audio/transcriptions": "transcribe",
    "/v1/audio/speech": "speech",
    "/v1/chat/completions": "chat",
    "/v1/calls": "calls",
    "/v1/checks": "calls",
    "/v1/failures": "operations",
    "/metrics": "operations",
}


@pytest.mark.parametrize(("path", "scope"), SCOPES.items())
def test_a_route_opens_to_its_scope_and_to_admin(serve: Serve, path: str, scope: str) -> None:
    client = serve()
    method = "GET" if scope == "operations" else "POST"
    opened = {n for n in KEYS if client.request(method, path, headers={"X-API-Key": key(n)}).status_code != 403}
    assert opened == {scope, "admin"}


def test_any_key_may_list_the_models(serve: Serve) -> None:
    client = serve()
    assert {client.get("/v1/models", headers={"X-API-Key": key(n)}).status_code for n in KEYS} == {503}


def test_the_reasons_of_readiness_are_for_operators(serve: Serve) -> None:
    client = serve()
    assert client.get("/ready").json() == {"ready": False, "degraded": [], "checks": []}
    assert client.get("/ready", headers={"X-API-Key": key("chat")}).json()["checks"] == []
    assert client.get("/ready", headers={"X-API-Key": key("operations")}).json()["checks"]
    assert serve(keys=None).get("/ready").json()["checks"]


def test_the_openai_client_works_with_a_key_and_raises_its_own_errors(serve: Serve, mesh: Mesh) -> None:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "네"}}
    completion = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    mesh.says("/v1/chat/completions", completion)
    client = serve(requests_per_minute=3)

    def ask(api_key: str) -> str | None:
        answer = openai_client(client, api_key).chat.completions.create(
            model="m", messages=[{"role": "user", "content": "?"}]
        )
        return answer.choices[0].message.content

    assert ask(key("chat")) == "네"
    with pytest.raises(AuthenticationError) as unknown:
        ask("sk-nobody")
    assert unknown.value.code == ErrorCode.KEY_INVALID
    with pytest.raises(PermissionDeniedError) as other:
        ask(key("speech"))
    assert other.value.code == ErrorCode.SCOPE_MISSING
    ask(key("chat"))
    ask(key("chat"))
    with pytest.raises(RateLimitError) as limited:
        ask(key("chat"))
    assert limited.value.code == ErrorCode.RATE_LIMITED
    assert int(limited.value.response.headers["retry-after"]) > 0


def test_the_callers_key_does_not_reach_the_services(serve: Serve, mesh: Mesh) -> None:
    client = serve(internal_key=SecretStr("between-us"))
    for path in ("/v1/audio/speech", "/v1/chat/completions"):
        client.post(path, headers={"Authorization": f"Bearer {key('admin')}"}, json={})
    assert mesh.seen
    for seen in mesh.seen:
        assert "authorization" not in seen["headers"]
        assert seen["headers"]["x-api-key"] == "between-us"


def test_a_key_added_to_the_file_is_valid_without_a_restart(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chammal_kit.keys._LOOK_SECONDS", 0.0)
    path = tmp_path / "keys"
    path.write_text(KEYS["speech"][1].line(), encoding="utf-8")
    client = serve(keys=None, keys_file=path)
    ask = {"X-API-Key": key("operations")}
    assert client.get("/v1/failures", headers=ask).status_code == 401
    path.write_text(KEYS["operations"][1].line() + " # rotated\n", encoding="utf-8")
    assert client.get("/v1/failures", headers=ask).status_code == 200


def test_a_broken_file_of_keys_is_told_to_operators(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chammal_kit.keys._LOOK_SECONDS", 0.0)
    path = tmp_path / "keys"
    path.write_text(KEYS["operations"][1].line(), encoding="utf-8")
    client = serve(keys=None, keys_file=path)
    path.write_text("nonsense", encoding="utf-8")
    told = client.get("/ready", headers={"X-API-Key": key("operations")}).json()
    assert "keys" in told["degraded"]
    assert "line 1" in told["checks"][-1]["reason"]
    assert client.get("/ready").json()["checks"] == []


def test_keys_that_cannot_be_read_keep_the_service_from_starting(settings: ApiSettings, tmp_path: Path) -> None:
    with pytest.raises(KeysBroken):
        make_door(settings.model_copy(update={"keys": SecretStr("chm_the-key-itself")}))
    with pytest.raises(KeysBroken):
        make_door(settings.model_copy(update={"keys_file": tmp_path / "none"}))


@pytest.mark.parametrize(
    ("told", "warns"),
    [
        ({"host": "127.0.0.1"}, False),
        ({"host": "::1"}, False),
        ({"host": "localhost"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "192.0.2.1"}, True),
        ({"host": "0.0.0.0", "published_host": "127.0.0.1"}, False),
        ({"host": "0.0.0.0", "published_host": "0.0.0.0"}, True),
        ({"host": "0.0.0.0", "keys": SecretStr(LINES)}, False),
    ],
)
def test_an_open_port_without_keys_is_said(
    settings: ApiSettings, caplog: pytest.LogCaptureFixture, told: dict[str, object], warns: bool
) -> None:
    told_settings = settings.model_copy(update=told)
    with caplog.at_level(logging.WARNING):
        say_if_open(told_settings, make_door(told_settings))
    assert bool(caplog.records) is warns


def test_keys_are_in_no_representation_of_the_settings(settings: ApiSettings) -> None:
    told = settings.model_copy(update={"keys": SecretStr(LINES), "internal_key": SecretStr("between-us")})
    assert "sha256" not in repr(told)
    assert "between-us" not in repr(told)
