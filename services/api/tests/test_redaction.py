"""No key in anything that is written, by a real process that logs all it can."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from chammal_kit.keys import KeyScope, new_key

PATIENCE = 60.0
GOOD, STORED = new_key("all", [KeyScope.ADMIN])
OTHER, OTHER_STORED = new_key("speech-only", [KeyScope.SPEECH])
WRONG = new_key("nobody", [KeyScope.ADMIN])[0]
INTERNAL = "between-us-and-nobody-else"


class Api:
    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        keys = folder / "keys"
        keys.write_text(f"{STORED.line()}\n{OTHER_STORED.line()}\n", encoding="utf-8")
        told = {
            "CHAMMAL_API_PORT": str(self.port),
            "CHAMMAL_API_KEYS_FILE": str(keys),
            "CHAMMAL_API_DATA_DIR": str(folder / "data"),
            "CHAMMAL_INTERNAL_KEY": INTERNAL,
            "CHAMMAL_LOG_LEVEL": "DEBUG",
            "CHAMMAL_LOG_TEXT": "true",
            **{f"CHAMMAL_API_{name}_URL": "http://127.0.0.1:9" for name in ("STT", "LLM", "TTS")},
        }
        self.log = folder / "log"
        with self.log.open("wb") as log:
            command = [sys.executable, "-X", "dev", "-m", "chammal_api"]
            self.process = subprocess.Popen(command, env=os.environ | told, stdout=log, stderr=log)
        self.url = f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        transport = httpx2.HTTPTransport(retries=100)
        with httpx2.Client(transport=transport, timeout=PATIENCE, trust_env=False) as client:
            while self.process.poll() is None:
                try:
                    assert client.get(f"{self.url}/health").status_code == 200
                except httpx2.TransportError:
                    continue
                return

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        return self.log.read_text(encoding="utf-8")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    api = Api(tmp_path)
    api.wait()
    yield api
    api.process.kill()
    api.process.wait()


def test_no_key_is_written_anywhere(api: Api) -> None:
    said: list[str] = []
    with httpx2.Client(base_url=api.url, timeout=PATIENCE, trust_env=False) as client:
        for secret in (GOOD, OTHER, WRONG):
            for headers in ({"Authorization": f"Bearer {secret}"}, {"X-API-Key": secret}):
                for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/failures"), ("POST", "/transcribe"),
                                     ("GET", "/ready"), ("GET", "/v1/models"), ("GET", "/nowhere")):  # fmt: skip
                    answer = client.request(method, path, headers=headers)
                    said.append(f"{answer.headers}{answer.text}")
            answer = client.get("/v1/failures", params={"api_key": secret})
            said.append(f"{answer.headers}{answer.text}")
        said.append(client.get("/metrics", headers={"X-API-Key": GOOD}).text)
    for secret in (GOOD, OTHER, WRONG):
        offered = ["chammal.live", f"chammal.key.{secret}"]
        try:
            with connect(f"ws://127.0.0.1:{api.port}/v1/stream", subprotocols=offered, proxy=None) as live:  # type: ignore[arg-type]
                said.append(str(live.subprotocol))
        except InvalidStatus as refused:
            said.append(f"{refused.response.headers}{refused.response.body!r}")
    written = "\n".join([*said, api.stop()])
    assert "key_invalid" in written
    assert "scope_missing" in written
    for secret in (GOOD, OTHER, WRONG, INTERNAL):
        assert secret not in written
    assert STORED.sha256 not in written
