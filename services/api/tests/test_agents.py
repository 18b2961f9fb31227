from contextlib import aclosing
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from chammal_api.app import create
from chammal_api.clients.agents import _KEPT, Agents
from chammal_api.settings import ApiSettings
from chammal_contracts.transcribe import TranscribeResult
from chammal_kit.egress import Egress
from chammal_kit.upstream import UpstreamPolicy

pytestmark = pytest.mark.anyio


def test_a_list_with_an_entry_that_is_no_address_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in ("https://*.com/", "https://user:word@agent/", "agent:9000"):
        monkeypatch.setenv("CHAMMAL_API_AGENT_URLS", f"http://agent/, {bad}")
        with pytest.raises(ValidationError):
            ApiSettings()


def test_networks_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMMAL_API_AGENT_NETWORKS", "10.1.0.0/16, fd00::/8")
    assert [str(network) for network in ApiSettings().agent_networks] == ["10.1.0.0/16", "fd00::/8"]


def post(settings: ApiSettings, agent_url: str) -> Any:
    with TestClient(create(settings), raise_server_exceptions=False) as client:
        return client.post("/transcribe", files={"file": ("call.wav", b"RIFF....WAVE")}, data={"agent_url": agent_url})


def heard(mesh: Any) -> None:
    mesh.says(
        "/v1/audio/transcriptions", {"language": "ko", "duration": 1, "text": "안녕", "segments": [], "model": "w"}
    )
    mesh.says("/agent", {"summary": "요약"})


@pytest.mark.parametrize(("networks", "called"), [((), 0), (("127.0.0.0/8", "::1/128"), 1)])
def test_an_agents_name_may_lead_into_a_network_that_the_operator_named_and_no_other(
    settings: ApiSettings, mesh: Any, networks: tuple[str, ...], called: int
) -> None:
    heard(mesh)
    named = f"{mesh.url}/agent".replace("127.0.0.1", "localhost")
    told = post(
        ApiSettings.model_validate({**settings.model_dump(), "agent_urls": (named,), "agent_networks": networks}), named
    )
    result = TranscribeResult.model_validate(told.json())
    assert len(mesh.calls("/agent")) == called
    assert result.stages[1].attempts[0].error_type == (None if called else "connect_error")


def test_an_address_that_only_looks_like_one_on_the_list_is_refused(settings: ApiSettings, mesh: Any) -> None:
    heard(mesh)
    port = mesh.url.rpartition(":")[2]
    for odd in (
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "user@127.0.0.1",
        "127.0.0.1.",
        "127.0.0.1\\@evil",
    ):
        told = post(settings, f"http://{odd}:{port}/agent")
        assert (told.status_code, told.json()["code"]) == (403, "agent_url_not_allowed")
    assert mesh.calls("/agent") == []


async def test_many_names_under_one_entry_share_a_label_and_those_named_long_ago_make_room() -> None:
    async with aclosing(Agents(Egress(["https://*.example.com/"]), UpstreamPolicy())) as agents:
        clients = [await agents.get(agents.admit(f"https://a{n}.example.com/")) for n in range(_KEPT + 10)]
        assert {client.upstream.name for client in clients} == {"agent https://*.example.com"}
        assert len({client.upstream.base_url for client in clients}) == _KEPT + 10
        assert len(agents._clients) == _KEPT
        assert await agents.get(agents.admit(f"https://a{_KEPT + 9}.example.com/")) is clients[-1]
