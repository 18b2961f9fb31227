import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests import sample_calls

from chammal.__main__ import main
from chammal.calls import command, transcribe
from chammal.calls.client import TRIES, CallsClient, connected
from chammal.calls.recordings import NothingFound, find_recordings, key_of
from chammal_contracts.calls import (
    Call,
    CallAccepted,
    CallError,
    CallEvent,
    CallMetadata,
    CallPage,
    CallRow,
    CallStatus,
)
from chammal_contracts.checks import ProductType, Utterance
from chammal_contracts.errors import ErrorCode, OpenAIError, ProblemBody
from chammal_contracts.stages import Stage, StageReport, StageStatus

NOW = dt.datetime(2026, 11, 22, 5, tzinfo=dt.UTC)


def made(call_id: str, **changes: Any) -> Call:
    known: dict[str, Any] = {
        "stages": [StageReport(stage=Stage.STT, status=StageStatus.OK)],
        "transcript": sample_calls.transcript(Utterance(id="1", text=f"여보세요 {call_id}"), duration=3, model="m"),
    }
    return sample_calls.call(call_id, **{**known, **changes})


NO_SPEECH = {"transcript": None, "status": CallStatus.PARTIAL, "partial_failure_reason": "stt: connect_error"}
BROKEN = {
    "transcript": None,
    "status": CallStatus.FAILED,
    "error": CallError(code="audio_unreadable", detail="no sound"),
}


def problem(
    status: int, code: ErrorCode = ErrorCode.BACKLOG_FULL, detail: str = "later", headers: dict[str, str] | None = None
) -> Response:
    error = OpenAIError(message=detail, type="x", code=code)
    body = ProblemBody(type="about:blank", title="x", status=status, detail=detail, code=code, error=error)
    return Response(body.model_dump_json(), status, headers)


@dataclass
class Api:
    """Keeps calls by their Idempotency-Key, as the real one does."""

    refusals: list[Response] = field(default_factory=list)
    """Answered first, one each."""
    becomes: dict[str, Any] = field(default_factory=dict)
    unfinished: int = 0
    """Looks at a call before it has ended."""
    keys: dict[str, str] = field(default_factory=dict)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    sends: int = 0
    at_once: int = 0
    most_at_once: int = 0
    waits: list[float] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)

    async def accept(self, request: Request) -> Response:
        if self.refusals:
            return self.refusals.pop(0)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        async with request.form() as form:
            self.metadata.append(json.loads(str(form["metadata"])))
        await asyncio.sleep(0)
        key = request.headers["idempotency-key"]
        repeated = key in self.keys
        call_id = self.keys.setdefault(key, f"c{len(self.keys)}")
        self.sends += 1
        self.at_once -= 1
        accepted = CallAccepted(id=call_id, status=CallStatus.QUEUED, repeated=repeated)
        return Response(accepted.model_dump_json(), 202)

    async def get(self, request: Request) -> Response:
        call_id = request.path_params["call"]
        if call_id not in self.keys.values() or call_id in self.deleted:
            return problem(404, ErrorCode.CALL_NOT_FOUND, "gone")
        if self.unfinished:
            self.unfinished -= 1
            return Response(made(call_id, status=CallStatus.RUNNING, stages=[], transcript=None).model_dump_json())
        return Response(made(call_id, **self.becomes).model_dump_json())

    async def delete(self, request: Request) -> Response:
        self.deleted.add(request.path_params["call"])
        return Response(status_code=204)

    async def page(self, request: Request) -> Response:
        self.queries.append(dict(request.query_params))
        number = len(self.queries)
        row = CallRow(
            id=f"r{number}",
            status=CallStatus.COMPLETE,
            revision=1,
            created_at=NOW,
            updated_at=NOW,
            filename=f"[{number}] 월요일.wav",
            suspected=["SOL-01"],
        )
        return Response(CallPage(calls=[row], next="more" if number < 2 else None).model_dump_json())

    async def transcript(self, request: Request) -> Response:
        return PlainTextResponse(f"{request.path_params['call']} as {request.path_params['form']}\n")

    async def events(self, request: Request) -> Response:
        event = CallEvent(id=request.path_params["call"], status=CallStatus.COMPLETE, revision=2)
        gone = '{"id":"x"}'
        return PlainTextResponse(
            f"id: 1\nevent: call\ndata: {event.model_dump_json()}\n\nevent: deleted\ndata: {gone}\n\n"
        )

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/calls", self.accept, methods=["POST"]),
                Route("/v1/calls", self.page, methods=["GET"]),
                Route("/v1/calls/{call}", self.get, methods=["GET"]),
                Route("/v1/calls/{call}", self.delete, methods=["DELETE"]),
                Route("/v1/calls/{call}/events", self.events),
                Route("/v1/calls/{call}/transcript.{form}", self.transcript),
            ]
        )


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    state = Api()

    async def no_time(seconds: float) -> None:
        state.waits.append(seconds)

    @asynccontextmanager
    async def here(url: str | None) -> AsyncIterator[CallsClient]:
        transport = httpx2.ASGITransport(app=state.app())
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as http:
            yield CallsClient(http, no_time)

    monkeypatch.setattr(transcribe, "connected", here)
    monkeypatch.setattr(command, "connected", here)
    return state


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    below = tmp_path / "calls" / "monday"
    below.mkdir(parents=True)
    for n, name in enumerate(("a.wav", "b.MP3", "notes.txt")):
        (below / name).write_bytes(b"RIFF%d" % n)
    return tmp_path / "calls"


def test_folders_give_recordings_patterns_what_matches_and_files_themselves(folder: Path) -> None:
    monday = folder / "monday"
    assert find_recordings([str(folder)]) == [monday / "a.wav", monday / "b.MP3"]
    assert find_recordings([f"{folder}/**/*.txt", str(monday / "a.wav"), str(folder)])[0] == monday / "notes.txt"
    with pytest.raises(NothingFound):
        find_recordings([str(folder), "nothing*.wav"])


def test_the_key_is_that_of_the_content_and_the_metadata(folder: Path) -> None:
    one, other = folder / "monday" / "a.wav", folder / "copy.wav"
    other.write_bytes(one.read_bytes())
    assert key_of(one, CallMetadata()) == key_of(other, CallMetadata())
    assert key_of(one, CallMetadata(product_type=ProductType.LOAN)) != key_of(one, CallMetadata())
    other.write_bytes(b"other")
    assert key_of(one, CallMetadata()) != key_of(other, CallMetadata())


def test_a_folder_becomes_transcripts_in_files(api: Api, folder: Path) -> None:
    api.unfinished = 3
    assert main(["transcribe", str(folder), "--format", "srt", "--out", "out", "--language", "ko"]) == 0
    assert {path.name for path in Path("out").iterdir()} == {"a.wav.srt", "b.MP3.srt"}
    assert Path("out/a.wav.srt").read_text().endswith("as srt\n")
    assert api.metadata == [{"language": "ko"}] * 2


def test_a_second_run_sends_nothing_again(api: Api, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", str(folder)]) == 0
    first = capsys.readouterr().out
    assert main(["transcribe", str(folder)]) == 0
    assert (api.sends, capsys.readouterr().out) == (2, first)


def test_without_the_state_file_the_same_recordings_are_the_same_calls(api: Api, folder: Path) -> None:
    main(["transcribe", str(folder)])
    Path(".chammal-calls.jsonl").write_text('{"url": "http://api", "key"')  # killed while it wrote
    assert main(["transcribe", str(folder)]) == 0
    assert (api.sends, len(api.keys)) == (4, 2)


def test_a_call_that_was_deleted_meanwhile_is_sent_again(api: Api, folder: Path) -> None:
    main(["transcribe", str(folder)])
    api.keys.clear()
    assert main(["transcribe", str(folder)]) == 0
    assert api.sends == 4


def test_it_waits_as_long_as_the_api_asks_when_there_is_too_much(api: Api, folder: Path) -> None:
    api.refusals = [problem(429, headers={"retry-after": "7"}) for _ in range(2 * TRIES)] + [problem(503)]
    assert main(["transcribe", str(folder / "monday" / "a.wav"), "--format", "json"]) == 0
    assert api.waits == [7.0] * (2 * TRIES) + [1.0]


def test_no_more_recordings_are_sent_at_once_than_was_said(api: Api, folder: Path) -> None:
    for n in range(12):
        (folder / f"{n}.wav").write_bytes(b"%d" % n)
    assert main(["transcribe", str(folder), "--jobs", "3", "--format", "table"]) == 0
    assert api.most_at_once <= 3


@pytest.mark.parametrize("becomes", [NO_SPEECH, BROKEN])
def test_a_recording_without_a_transcript_is_said_and_makes_the_exit_status_1(
    api: Api, folder: Path, capsys: pytest.CaptureFixture[str], becomes: dict[str, Any]
) -> None:
    api.becomes = becomes
    assert main(["transcribe", str(folder)]) == 1
    told = capsys.readouterr()
    assert ("connect_error" in told.err) or ("no sound" in told.err)
    assert told.out == ""


def test_a_refusal_is_said_and_nobody_answering_is_another_exit_status(
    api: Api, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.refusals = [problem(413), problem(413)]
    assert main(["transcribe", str(folder)]) == 1
    assert "later (backlog_full)" in capsys.readouterr().err
    assert main(["transcribe", "nowhere.wav"]) == 2

    async def deaf(self: CallsClient, *_: object) -> Any:
        raise httpx2.ConnectError("refused")

    monkeypatch.setattr(httpx2.ASGITransport, "handle_async_request", deaf)
    assert main(["transcribe", str(folder)]) == 2
    assert main(["calls", "list"]) == 2


def test_calls_are_listed_page_by_page(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "list", "--verdict", "위반의심", "--element", "SOL-01", "--q", "보험", "--needs-human"]) == 0
    first, second = api.queries
    asked = {"verdict": "위반의심", "element": "SOL-01", "q": "보험", "needs_human": "true"}
    assert first == {**asked, "limit": "50"}
    assert second == {**asked, "limit": "49", "cursor": "more"}
    told = capsys.readouterr().out
    assert "r1" in told
    assert "r2" in told
    assert "[2] 월요일.wav" in told


def test_a_call_is_sent_shown_watched_and_deleted(api: Api, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = str(folder / "monday" / "a.wav")
    sent = ["calls", "send", recording, "--product-type", "투자성", "--webhook-url", "http://me/", "--channel", "phone"]
    assert main(sent) == 0
    assert capsys.readouterr().out == f"c0  {recording}\n"
    assert api.metadata == [{"product_type": "투자성", "webhook_url": "http://me/"}]
    assert main(["calls", "show", "c0"]) == 0
    assert "여보세요 c0" in capsys.readouterr().out
    assert main(["calls", "show", "c0", "--format", "vtt"]) == 0
    assert capsys.readouterr().out == "c0 as vtt\n"
    assert main(["calls", "watch", "c0"]) == 0
    assert capsys.readouterr().out.startswith("c0  complete, revision 2")
    assert main(["calls", "delete", "c0"]) == 0
    assert api.deleted == {"c0"}
    assert main(["calls", "show", "c0"]) == 1
    assert "gone" in capsys.readouterr().err


@pytest.mark.anyio
async def test_the_key_of_the_environment_is_shown_to_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMMAL_API_KEY", "chm_x")
    async with connected("http://elsewhere:1/") as client:
        assert client.http.headers["x-api-key"] == "chm_x"
        assert str(client.http.base_url).rstrip("/") == "http://elsewhere:1"
