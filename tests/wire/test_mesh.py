"""The main job and the official OpenAI client, against the mesh that `make run` starts."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from chammal_contracts.calls import Call, CallStatus
from chammal_contracts.stages import StageStatus
from chammal_contracts.transcribe import Finding, TranscribeResult
from tests.wire.conftest import PORTS, ROOT, Mesh, started

pytestmark = pytest.mark.model

AUDIO = Path(os.environ.get("CHAMMAL_TEST_AUDIO", ROOT.parent / "shared" / "audio"))
SAMPLE = ROOT / "packages" / "cli" / "src" / "chammal" / "samples" / "call_ko.ogg"


def letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


def transcribe(http: httpx2.Client, **fields: str) -> TranscribeResult:
    answer = http.post("/transcribe", files={"file": SAMPLE.read_bytes()}, data={"language": "ko", **fields})
    assert answer.status_code == 200, answer.text
    return TranscribeResult.model_validate(answer.json())


@pytest.fixture
def openai(mesh: Mesh) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{mesh.url}/v1", api_key="none is needed", max_retries=0, timeout=300) as client:
        yield client


def test_every_service_is_ready_and_its_address_was_printed(mesh: Mesh, http: httpx2.Client) -> None:
    for _ in range(1000):  # the api remembers for two seconds what was not ready yet
        readiness = http.get("/ready").json()
        if not readiness["degraded"]:
            break
    assert readiness["ready"]
    assert readiness["degraded"] == []
    for port in mesh.ports.values():
        assert mesh.wait_for(f"http://127.0.0.1:{port}")


def test_a_call_is_transcribed_and_checked_and_nothing_is_made_up(http: httpx2.Client) -> None:
    result = transcribe(http, incomplete_elements_check="true")
    assert [s.status for s in result.stages] == [StageStatus.OK, StageStatus.OK], result.stages
    assert not any((result.is_dummy, result.is_agent_dummy, result.is_partial_failure))
    assert result.text is not None
    assert "원금 손실이 발생할 수 있고" in result.text
    assert result.agent_analysis is not None
    assert result.incomplete_elements is not None
    for element in result.incomplete_elements.elements:
        if element.quote is not None:
            assert letters(element.quote) in letters(result.text)
        else:
            assert element.verdict is not Finding.SUSPECTED


def test_the_demo_prints_transcript_analysis_and_stages(mesh: Mesh) -> None:
    demo = subprocess.run(
        ["make", "demo"], cwd=ROOT, env=mesh.environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    for part in ("Transcript", "Summary", "불완전판매 check", "Stages", "Every stage brought a real answer."):
        assert part in demo.stdout


def test_the_openai_client_transcribes_jfk_to_the_word(openai: OpenAI) -> None:
    with (AUDIO / "en_jfk.flac").open("rb") as recording:
        said = openai.audio.transcriptions.create(model="whisper-1", file=recording, language="en").text
    words = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
    assert re.sub(r"[^a-z ]", "", said.lower()).split() == words.split()


def test_the_openai_client_gets_words_and_segments(openai: OpenAI) -> None:
    with (AUDIO / "en_jfk.flac").open("rb") as recording:
        said = openai.audio.transcriptions.create(
            model="whisper-1",
            file=recording,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
    assert said.language == "en"
    assert said.words is not None
    assert len(said.words) == 22
    assert said.segments


def test_the_openai_client_chats(openai: OpenAI) -> None:
    answer = openai.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "대한민국의 수도는 어디입니까?"}], max_tokens=24
    )
    assert answer.choices[0].message.content
    provenance = answer.model_extra["chammal"] if answer.model_extra else {}
    assert provenance["backend"] == "llamacpp"


def test_the_openai_client_streams_a_chat(openai: OpenAI) -> None:
    pieces = [
        chunk.choices[0].delta.content or ""
        for chunk in openai.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": "Name the seven days of the week."}],
            temperature=0,
            max_tokens=24,
            stream=True,
        )
        if chunk.choices
    ]
    assert len([piece for piece in pieces if piece]) > 2


def test_a_prompt_too_long_for_the_model_is_the_callers_mistake(http: httpx2.Client) -> None:
    body = {"model": "default", "messages": [{"role": "user", "content": "말" * 40_000}], "max_tokens": 8}
    answer = http.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "input_too_long")


def test_the_openai_client_gets_json_that_fits_its_schema(openai: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "population": {"type": "integer"}},
        "required": ["city", "population"],
        "additionalProperties": False,
    }
    answer = openai.chat.completions.create(
        model="default",
        messages=[{"role": "user", "content": "서울의 인구를 JSON으로 알려 주세요."}],
        max_tokens=80,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": True}},
    )
    body: dict[str, Any] = json.loads(answer.choices[0].message.content or "")
    assert set(body) == {"city", "population"}
    assert isinstance(body["population"], int)


@pytest.mark.parametrize("text", ["안녕하세요. 참말입니다.", "Hello. This is a true word."])
def test_the_openai_client_speaks(openai: OpenAI, text: str) -> None:
    spoken = openai.audio.speech.create(model="tts-1", voice="alloy", input=text, response_format="pcm").read()
    assert len(spoken) / 48_000 > 0.8, "16-bit samples at 24 kHz"


def test_what_tts_says_stt_understands(openai: OpenAI) -> None:
    text = "Please call me back tomorrow morning."
    pcm = openai.audio.speech.create(model="tts-1", voice="alloy", input=text, response_format="pcm").read()
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(24_000)
        writer.writeframes(pcm)
    heard = openai.audio.transcriptions.create(model="whisper-1", file=("a.wav", file.getvalue()), language="en").text
    assert "call me back tomorrow" in heard.lower()


def test_the_openai_client_lists_the_models_of_all_services(openai: OpenAI) -> None:
    names = {model.id for model in openai.models.list()}
    assert {"whisper-base", "whisper-1", "kokoro", "tts-1", "default"} <= names


@pytest.mark.parametrize(
    ("make", "codes"),
    [
        (lambda: b"", {"audio_empty"}),
        (lambda: b"this is no sound at all\n" * 40, {"audio_unreadable"}),
        (lambda: b"\x1aE\xdf\xa3" + bytes(200), {"audio_unreadable"}),
    ],
)
def test_bad_audio_is_the_callers_mistake(http: httpx2.Client, make: Callable[[], bytes], codes: set[str]) -> None:
    answer = http.post("/transcribe", files={"file": ("bad.wav", make())})
    assert 400 <= answer.status_code < 500
    assert answer.json()["code"] in codes
    assert http.get("/health").status_code == 200


def test_an_unknown_language_is_refused_with_the_ones_there_are(http: httpx2.Client) -> None:
    answer = http.post("/transcribe", files={"file": SAMPLE.read_bytes()}, data={"language": "klingon"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["code"] == "language_unknown"
    assert "ko" in answer.json()["detail"]


def test_one_request_id_goes_through_all_services(mesh: Mesh, http: httpx2.Client) -> None:
    http.post("/transcribe", files={"file": SAMPLE.read_bytes()}, headers={"X-Request-Id": "follow-me"})
    assert mesh.wait_for("stt ", "POST /v1/audio/transcriptions 200", "(request follow-me)")
    assert mesh.wait_for("api ", "POST /transcribe 200", "(request follow-me)")


CURLS = re.findall(r"^```sh\n(curl.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S | re.M)
SENDS_A_CALL = "/v1/calls -F"


def shell(mesh: Mesh, command: str, folder: Path) -> str:
    here = command.replace("127.0.0.1:8003", f"127.0.0.1:{mesh.ports['api']}").replace("curl ", "curl --fail ")
    here = here.replace("-o hello.mp3", f"-o {folder / 'hello.mp3'}")
    ran = subprocess.run(["bash", "-ec", here], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, f"{here}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def test_the_readme_commands_answer(mesh: Mesh, tmp_path: Path) -> None:
    commands = [command for command in CURLS if SENDS_A_CALL not in command]
    assert len(commands) >= 5
    for command in commands:
        assert shell(mesh, command, tmp_path) or (tmp_path / "hello.mp3").stat().st_size > 1000


def test_the_call_of_the_readme_is_accepted_listed_and_analysed(
    mesh: Mesh, http: httpx2.Client, tmp_path: Path
) -> None:
    (command,) = [command for command in CURLS if SENDS_A_CALL in command]
    told = shell(mesh, command, tmp_path)
    accepted, end = json.JSONDecoder().raw_decode(told)
    listed = json.loads(told[end:])
    assert [call["id"] for call in listed["calls"]] == [accepted["id"]]
    with http.stream("GET", f"/v1/calls/{accepted['id']}/events") as events:
        for _ in events.iter_lines():  # until the call has ended
            pass
    call = Call.model_validate(http.get(f"/v1/calls/{accepted['id']}").json())
    assert call.status is CallStatus.COMPLETE, call.stages
    assert call.transcript is not None
    assert call.check is not None
    assert call.summary is not None
    said = {utterance.id: letters(utterance.text) for utterance in call.transcript.utterances}
    shown = [evidence for element in call.check.elements for evidence in element.evidence]
    assert shown
    assert all(letters(evidence.quote) in said[evidence.utterance_id] for evidence in shown)


def test_the_live_client_of_the_docs_is_answered_through_the_api(mesh: Mesh, tmp_path: Path) -> None:
    (client,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "live.md").read_text(encoding="utf-8"), re.S)
    script = tmp_path / "client.py"
    script.write_text(client, encoding="utf-8")
    address = f"ws://127.0.0.1:{mesh.ports['api']}/v1/stream"
    ran = subprocess.run(
        [sys.executable, script, AUDIO / "ko_naver_041.wav"],
        env=os.environ | {"CHAMMAL_STREAM": address},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "영업" in ran.stdout


def test_no_transcript_text_is_in_the_logs(mesh: Mesh) -> None:
    assert not [line for line in mesh.lines if "원금 손실" in line or "true word" in line]


def missed(mesh: Mesh, http: httpx2.Client) -> TranscribeResult:
    """It may be back within the api's retries; each time that it is killed it comes back later."""
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        for stt in mesh.pids("chammal_stt"):
            os.kill(stt, signal.SIGKILL)
        if (result := transcribe(http)).is_dummy:
            return result
    raise AssertionError("every answer was whole")


def test_a_killed_recogniser_service_is_told_of_and_comes_back_by_itself(mesh: Mesh, http: httpx2.Client) -> None:
    killed = len(mesh.lines)
    result = missed(mesh, http)
    assert result.text is None
    assert result.error_type in {"connect_error", "connection_lost", "unavailable", "breaker_open"}
    mesh.wait_for("stt ", "has loaded whisper-base", "decoded a second of audio", seconds=60, after=killed)
    give_up = time.monotonic() + 60
    while result.is_dummy and time.monotonic() < give_up:
        http.get("/ready")  # a passing one lets the open breaker probe at once
        result = transcribe(http)
    assert result.success
    assert mesh.wait_for("stt was killed by SIGKILL")


def test_ctrl_c_stops_all_of_it() -> None:
    modules = ("chammal_stt", "chammal_tts", "chammal_llm_gateway", "chammal_api", "chammal.llamacpp")
    with started("make", "run", names=PORTS) as ended:
        assert all(ended.pids(module) for module in modules)
        os.killpg(ended.process.pid, signal.SIGINT)
        assert ended.process.wait(60) is not None
        assert ended.listening() == []
        assert not any(ended.pids(module) for module in modules)
