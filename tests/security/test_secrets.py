"""Real processes at DEBUG, asked in every way that brings an error: no secret is in what they write or answer."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from chammal_kit.keys import KeyScope, new_key
from tests.contract.conftest import MODULES, process
from tests.security.conftest import Echo

SECRETS = (
    "sk-very-secret-0001",
    "sk-ant-secret-0002",
    "word-in-the-address-0003",
    "inner-secret-0004",
    "chm_not-a-key-0005",
)
SAID = "제 계좌번호는 일이삼 다시 사오육입니다"
DEBUG = {"CHAMMAL_LOG_LEVEL": "DEBUG"}
CHAT = {"model": "default", "messages": [{"role": "user", "content": SAID}]}


def hidden(*texts: str, secrets: tuple[str, ...] = SECRETS) -> None:
    for text in texts:
        assert text
        found = [secret for secret in secrets if secret in text]
        assert not found, text[max(0, text.index(found[0]) - 300) :][:600]


ANSWERS = [
    (401, '{"error": {"message": "Incorrect API key provided: {headers}"}}'),
    (400, '{"error": {"message": "bad request with {headers}"}}'),
    (500, "{headers}"),
    (200, '{"choices": "{headers}"}'),
    (200, json.dumps({"choices": [{"index": 0, "message": {"content": f'"{SAID}"'}, "finish_reason": "stop"}]})),
    *((status, json.dumps({"error": {"message": f"cannot read {SAID}"}})) for status in (400, 404, 503)),
]


@pytest.mark.parametrize(("status", "body"), ANSWERS)
def test_the_keys_of_the_language_models_stay_in_the_gateway_whatever_an_upstream_repeats(
    echo: Echo, tmp_path: Path, status: int, body: str
) -> None:
    echo.status, echo.body = status, body
    url = echo.url.replace("//", f"//user:{SECRETS[2]}@")
    log = tmp_path / "log"
    environment = DEBUG | {
        "CHAMMAL_LLM_OPENAI_URL": f"{url}/v1",
        "CHAMMAL_LLM_OPENAI_KEY": SECRETS[0],
        "CHAMMAL_LLM_ANTHROPIC_URL": url,
        "CHAMMAL_LLM_ANTHROPIC_KEY": SECRETS[1],
        "CHAMMAL_LLM_ORDER": "openai,anthropic",
    }
    with process("llm-gateway", environment, log, ready=False) as address:
        told = []
        for asked in (
            {},
            {"stream": True},
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}},
            {"model": "claude-haiku-5-5"},
        ):
            answer = httpx2.post(f"{address}/v1/chat/completions", json=CHAT | asked, timeout=60, trust_env=False)
            told.append(f"{answer.headers} {answer.text}")
        for path in ("/v1/models", "/ready", "/metrics", "/health", "/nothing"):
            told.append(httpx2.get(address + path, timeout=60, trust_env=False).text)
    assert any(SECRETS[0] in request for request in echo.requests), "the key was used"
    hidden(*told, log.read_text())
    lines = log.read_text().splitlines()
    probing = "[HealthCheck] not ready"  # repeats the answer to /ready's own question, which nobody said
    hidden("\n".join(line for line in lines if probing not in line), secrets=(SAID,))


def test_callers_keys_and_what_was_said_are_in_no_log_of_the_api(echo: Echo, tmp_path: Path) -> None:
    echo.status, echo.body = 200, json.dumps({"text": SAID, "segments": SAID, "language": {"of": SAID}})
    key, line = new_key("crm", [KeyScope.ADMIN])
    url = echo.url.replace("//", f"//user:{SECRETS[2]}@")
    environment = DEBUG | {
        "CHAMMAL_API_KEYS": line.line(),
        "CHAMMAL_API_INTERNAL_KEY": SECRETS[3],
        **{f"CHAMMAL_API_{name}_URL": url for name in ("STT", "LLM", "TTS")},
    }
    log = tmp_path / "log"
    secrets = (*SECRETS, key, SAID, "계좌번호")
    with (
        process("api", environment, log, ready=False) as address,
        httpx2.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        told = []
        for shown in (
            {},
            {"Authorization": f"Bearer {SECRETS[4]}"},
            {"Authorization": f"Bearer {key}"},
            {"X-Api-Key": key},
        ):
            told.append(
                client.post(
                    "/transcribe", files={"file": ("a.wav", b"RIFF")}, data={"hotwords": SAID}, headers=shown
                ).text
            )
            told.append(client.post("/v1/chat/completions", json=CHAT, headers=shown).text)
            told.append(client.post("/v1/audio/speech", json={"input": SAID}, headers=shown).text)
            told.append(client.get(f"/v1/models?api_key={key}", headers=shown).text)
            told.append(client.get("/ready", headers=shown).text)
            told.append(client.get("/openapi.json", headers=shown).text)
            told.append(client.get("/metrics", headers=shown).text)
            with (
                contextlib.suppress(WebSocketException, OSError),
                connect(address.replace("http", "ws") + "/v1/stream", additional_headers=shown, proxy=None) as live,
            ):
                live.send(SAID)
                told.append(str(live.recv()))
    assert any(SECRETS[3] in request for request in echo.requests), "the key was used"
    hidden(log.read_text(), secrets=secrets)
    hidden(*(text for text in told if text), secrets=(*SECRETS, key))


def test_settings_that_cannot_be_read_are_named_and_not_quoted() -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("CHAMMAL_")}
    bad = {
        "CHAMMAL_API_AGENT_URLS": f"https://user:{SECRETS[2]}@agent/",
        "CHAMMAL_API_KEYS": f"name={SECRETS[4]} of=nothing",
    }
    for name, value in bad.items():
        ran = subprocess.run(
            [sys.executable, "-m", MODULES["api"]],
            env=own | {name: value},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode != 0
        hidden(ran.stdout + ran.stderr)
