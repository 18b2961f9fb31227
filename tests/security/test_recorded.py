"""A recorded call in a real process at DEBUG: what becomes of numbers that were said, and of secrets in addresses."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.contract.conftest import process
from tests.sample_calls import segment
from tests.security.conftest import Echo

SECONDS = 60
WHSEC = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtMDAwNw=="
TOKEN, SIGNATURE, PASSWORD = "hook-token-0008", "store-signature-0009", "database-password-0010"
SAID = "고객님 주민등록번호는 900101-1234567 이고 휴대전화는 010-2345-6789 맞으시죠"
HEARD = {
    "language": "ko",
    "duration": 9.0,
    "text": SAID,
    "segments": [segment(0, SAID).model_dump()],
    "model": "whisper-base",
}


@dataclass
class Trail:
    """All that a call has left."""

    call: dict[str, Any]
    answers: list[str]
    kept: list[bytes]
    """Of every file but the recording and the log."""
    log: str
    sent: list[str]
    """To whomever the api asked or told."""


@contextmanager
def api(folder: Path, environment: dict[str, str]) -> Iterator[httpx2.Client]:
    told = {"CHAMMAL_LOG_LEVEL": "DEBUG", **environment}
    with (
        process("api", told, folder / "log", ready=False) as address,
        httpx2.Client(base_url=address, timeout=SECONDS, trust_env=False) as client,
    ):
        yield client


def told_of(client: httpx2.Client, call_id: str) -> dict[str, Any]:
    """The call, once its webhook was delivered."""
    end = time.monotonic() + SECONDS
    while True:
        call: dict[str, Any] = client.get(f"/v1/calls/{call_id}").json()
        if call["webhook"]:
            return call
        assert time.monotonic() < end, call


def trail(echo: Echo, folder: Path) -> Trail:
    echo.status = 200
    echo.answers["/v1/audio/transcriptions"] = (
        "text/event-stream",
        f"data: {json.dumps({'type': 'transcript.text.done', 'transcription': HEARD})}\n\n",
    )
    echo.answers["/store/call.wav"] = ("audio/wav", "RIFF....WAVEfmt ")
    allowed = {"AGENT_URLS": "/agent", "WEBHOOK_URLS": "/hook*", "STORE_URLS": "/store/*"}
    environment = {f"CHAMMAL_API_{name}": echo.url + path for name, path in allowed.items()}
    environment |= {f"CHAMMAL_API_{name}_URL": echo.url for name in ("STT", "LLM", "TTS")}
    environment["CHAMMAL_API_WEBHOOK_SECRET"] = WHSEC
    sent = {
        "file_url": f"{echo.url}/store/call.wav?signature={SIGNATURE}",
        "webhook_url": f"{echo.url}/hook?token={TOKEN}",
        "agent_url": f"{echo.url}/agent",
        "product_type": "투자성",
    }
    with api(folder, environment) as client:
        accepted = client.post("/v1/calls", data=sent)
        assert accepted.status_code == 202, accepted.text
        refused = client.post("/v1/calls", data={**sent, "file_url": f"{echo.url}/other?signature={SIGNATURE}"})
        assert refused.status_code == 403
        call = told_of(client, accepted.json()["id"])
        there = f"/v1/calls/{call['id']}"
        paths = (there, f"{there}/transcript.json", f"{there}/transcript.txt", f"{there}/report", "/v1/calls", "/ready")
        answers = [accepted.text, refused.text, *(client.get(path).text for path in (*paths, "/metrics"))]
        found = client.get("/v1/calls", params={"q": "주민등록번호"}).text
        files = [path for path in (folder / "data").rglob("*") if path.is_file() and "recordings" not in path.parts]
        kept = [path.read_bytes() for path in files]
    return Trail(call, [*answers, found], kept, (folder / "log").read_text(), echo.requests)


def test_the_numbers_of_persons_are_in_nothing_that_is_kept_answered_or_sent_on(echo: Echo, tmp_path: Path) -> None:
    left = trail(echo, tmp_path)
    (utterance,) = left.call["transcript"]["utterances"]
    assert utterance["text"] == SAID.replace("900101-1234567", "******-*******").replace(
        "010-2345-6789", "***-****-****"
    )
    assert left.call["transcript"]["masked"] == 2
    asked = [request for request in left.sent if request.startswith(("/agent", "/v1/chat"))]
    assert {request.split()[0] for request in asked} == {"/agent", "/v1/chat/completions"}
    texts = [*left.answers, left.log, *left.sent, *(part.decode("utf-8", "replace") for part in left.kept)]
    assert any("주민등록번호" in text for text in texts), "the test can see what was said"
    shown = [text.replace(left.call["id"], "") for text in texts]
    for number in ("900101-1234567", "2345-6789"):
        assert not [text[:200] for text in shown if number in text]


def test_secrets_of_webhooks_and_stores_are_in_no_log_no_file_and_no_answer(echo: Echo, tmp_path: Path) -> None:
    left = trail(echo, tmp_path)
    assert any(SIGNATURE in request for request in left.sent), "it was used"
    assert any(TOKEN in request for request in left.sent), "it was used"
    kept = "".join(part.decode("utf-8", "replace") for part in left.kept)
    for text in (left.log, kept, *left.answers, *left.sent):
        assert WHSEC not in text
        assert WHSEC.removeprefix("whsec_") not in text
    for text in (left.log, kept, *left.answers):
        assert SIGNATURE not in text
    assert TOKEN not in left.log
    (notice,) = [request for request in left.sent if request.startswith("/hook")]
    assert "주민등록번호" not in notice


def test_what_is_kept_is_for_no_other_user_of_the_machine(echo: Echo, tmp_path: Path) -> None:
    trail(echo, tmp_path)
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    (recording,) = (tmp_path / "data" / "recordings").glob("??/*")
    for path in (recording, tmp_path / "data" / "calls.sqlite"):
        assert path.stat().st_mode & 0o077 == 0, "also where the folder was made by somebody else"


def test_the_password_of_a_database_that_does_not_answer_is_in_no_log_and_no_answer(tmp_path: Path) -> None:
    address = f"postgresql://chammal:{PASSWORD}@127.0.0.1:9/chammal"
    with api(tmp_path, {"CHAMMAL_API_DATABASE_URL": address}) as client:
        refused = client.post("/v1/calls", files={"file": ("a.wav", b"RIFF....WAVEfmt ")})
        assert refused.status_code == 503
        told = [refused.text, client.get("/ready").text, client.get("/v1/calls").text, client.get("/metrics").text]
    log = (tmp_path / "log").read_text()
    assert "calls" in told[1]
    for text in (log, *told):
        assert PASSWORD not in text
