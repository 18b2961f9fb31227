"""The doors of calls over the real store and the real recordings; the flow only writes down what it is asked for."""

import datetime as dt
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient
from tests.sample_calls import transcript

from chammal_api.access import ACCESS
from chammal_api.calls.backlog import Backlog
from chammal_api.calls.database import DatabaseAway
from chammal_api.calls.desk import CallDesk
from chammal_api.calls.events import CallNews
from chammal_api.calls.intake import Allowed
from chammal_api.calls.recordings import Recordings
from chammal_api.calls.store import CallStore
from chammal_api.clients.allowed import AllowedUpstreams
from chammal_api.routes import calls
from chammal_api.settings import ApiSettings
from chammal_contracts.calls import Healing, Priority
from chammal_contracts.checks import Speaker, Utterance
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_kit.app import create_app
from chammal_kit.door import Door
from chammal_kit.egress import Egress
from chammal_kit.keys import KeyRing, KeyScope, new_key
from chammal_kit.upstream import UpstreamPolicy

from .conftest import Mesh

WAV = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(range(200))
KOREAN = "보험을 해지하면 환급금이 적습니다"


@dataclass
class Flow:
    """Writes down what it is asked for."""

    submitted: list[tuple[str, int, Priority]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    async def submit(self, call_id: str, run: int, priority: Priority) -> None:
        self.submitted.append((call_id, run, priority))

    async def cancel(self, call_id: str) -> None:
        self.cancelled.append(call_id)


@dataclass
class Office:
    client: TestClient
    flow: Flow
    settings: ApiSettings
    desk: CallDesk | None = None

    def send(self, audio: bytes = WAV, headers: dict[str, str] | None = None, **fields: str) -> Any:
        return self.client.post(
            "/v1/calls", files={"file": ("a b.wav", audio, "text/html")}, data=fields, headers=headers
        )

    def sent(self, audio: bytes = WAV, **fields: str) -> str:
        answer = self.send(audio, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def ask(self, work: Any, *args: Any) -> Any:
        """Runs a coroutine function in the app's own loop."""
        assert self.client.portal is not None
        return self.client.portal.call(work, *args)

    def analysed(self, text: str = KOREAN, **fields: str) -> str:
        call_id = self.sent(text.encode(), **fields)
        assert self.desk is not None
        self.ask(_analyse, self.desk.store, call_id, text)
        return call_id

    def kept(self) -> list[Path]:
        return [path for path in (self.settings.data_dir / "recordings").rglob("*") if path.is_file()]


async def _analyse(store: CallStore, call_id: str, text: str) -> None:
    said = Utterance(id="u1", speaker=Speaker.AGENT, start=0, end=2.5, text=text)
    await store.begin(call_id, 1)
    await store.keep_stage(call_id, 1, StageReport(stage=Stage.STT, status=StageStatus.OK), transcript=transcript(said))
    for stage in (Stage.ANALYSIS, Stage.SUMMARY):
        await store.keep_stage(
            call_id, 1, StageReport(stage=stage, status=StageStatus.SKIPPED, error="no product type")
        )
    await store.finish(call_id, 1, Healing())


def office_app(settings: ApiSettings, office: Office, door: Door | None = None, queued: int = 1000) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            recordings = Recordings(settings.data_dir / "recordings", min_free_bytes=0)
            await recordings.start()
            database = f"sqlite:///{settings.data_dir / 'calls.sqlite'}"
            store = await CallStore.open(database, has_recording=recordings.has)
            await stack.enter_async_context(aclosing(store))
            stores = AllowedUpstreams("store", settings.store_urls, settings.store_networks, UpstreamPolicy())
            await stack.enter_async_context(aclosing(stores))
            allowed = Allowed(
                stores=stores.admit,
                webhooks=Egress(settings.webhook_urls).admit,
                agents=Egress(settings.agent_urls).admit,
                rule_sets=lambda: ["fcpa-kr"],
            )
            news = CallNews(store, lambda: bool(app.state.draining.begun))
            office.desk = CallDesk(store, recordings, office.flow, Backlog(store, queued, 1), stores, allowed, news)
            yield {"settings": settings, "desk": office.desk}

    return create_app(
        service="api",
        distribution="chammal-api",
        lifespan=lifespan,
        routers=[calls.router],
        settings=settings,
        door=door,
        access=ACCESS,
    )


@pytest.fixture
def settings(mesh: Mesh, tmp_path: Path) -> ApiSettings:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "call.wav").write_bytes(WAV)
    return ApiSettings(
        audio_root=tmp_path / "audio",
        data_dir=tmp_path / "data",
        store_urls=(f"{mesh.url}/store/*",),
        webhook_urls=(f"{mesh.url}/hook",),
        webhook_secret=SecretStr("whsec_" + "A" * 32),
        max_upload_bytes=100_000,
    )


@pytest.fixture
def office(settings: ApiSettings) -> Iterator[Office]:
    office = Office(TestClient(None), Flow(), settings)  # type: ignore[arg-type]
    with TestClient(office_app(settings, office), raise_server_exceptions=False) as office.client:
        yield office


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    return body


def test_a_call_is_taken_and_its_analysis_asked_for(office: Office) -> None:
    answer = office.send(
        product_type="보장성", agent_id="a-7", started_at="2026-11-20T21:30:00", priority="interactive"
    )
    assert answer.status_code == 202
    call_id = answer.json()["id"]
    assert answer.json() == {"id": call_id, "status": "queued", "repeated": False}
    assert answer.headers["location"] == f"/v1/calls/{call_id}"
    assert office.flow.submitted == [(call_id, 1, Priority.INTERACTIVE)]
    call = office.client.get(answer.headers["location"]).json()
    assert call["metadata"]["product_type"] == "보장성"
    assert dt.datetime.fromisoformat(call["metadata"]["started_at"]).utcoffset() == dt.timedelta(hours=9)
    recording = call["recording"]
    assert (recording["bytes"], recording["media_type"], recording["filename"]) == (len(WAV), "audio/wav", "a b.wav")
    (row,) = office.client.get("/v1/calls").json()["calls"]
    assert (row["id"], row["filename"]) == (call_id, "a b.wav")


def test_metadata_may_be_one_field_of_json(office: Office) -> None:
    told = json.dumps({"product_type": "대출성", "channel": "video", "reference": "계약 1"})
    call = office.client.get(f"/v1/calls/{office.sent(metadata=told)}").json()
    assert (call["metadata"]["channel"], call["metadata"]["reference"]) == ("video", "계약 1")


def test_a_recording_may_lie_below_the_audio_root_or_in_a_store_on_the_list(office: Office, mesh: Mesh) -> None:
    from starlette.responses import Response

    mesh.answers["/store/2026/call.wav"] = lambda: Response(WAV)
    address = f"{mesh.url}/store/2026/call.wav?signature=secret"
    for fields in ({"file_path": "call.wav"}, {"file_url": address}):
        answer = office.client.post("/v1/calls", data=fields)
        assert answer.status_code == 202, answer.text
        recording = office.client.get(answer.headers["location"]).json()["recording"]
        assert (recording["bytes"], recording["media_type"]) == (len(WAV), "audio/wav")
        assert recording["filename"] == "call.wav", "and nothing of its signature"


BAD: list[tuple[dict[str, str], int, str, str]] = [
    ({"product_type": "주식"}, 422, "invalid_request", "product_type"),
    ({"product": "보장성"}, 422, "invalid_request", "product"),
    ({"started_at": "어제"}, 422, "invalid_request", "started_at"),
    ({"started_at": "20261120"}, 422, "invalid_request", "started_at"),
    ({"started_at": "2026-11-20"}, 422, "invalid_request", "started_at"),
    ({"started_at": "2026-13-20T10:00:00"}, 422, "invalid_request", "started_at"),
    ({"started_at": "9999-12-31T23:59:59-12:00"}, 422, "invalid_request", "started_at"),
    ({"started_at": "0001-01-01T00:00:00+14:00"}, 422, "invalid_request", "started_at"),
    ({"language": "klingon"}, 422, "language_unknown", "ko"),
    ({"agent_id": "a\x00b"}, 422, "invalid_request", "agent_id"),
    ({"reference": "r" * 257}, 422, "invalid_request", "reference"),
    ({"rule_set": "other"}, 422, "rule_set_unknown", "fcpa-kr"),
    ({"metadata": "{"}, 422, "invalid_request", "metadata"),
    ({"metadata": "[]"}, 422, "invalid_request", "metadata"),
    ({"metadata": "[" * 5000}, 422, "invalid_request", "metadata"),
    ({"metadata": '{"agent_id": "\\ud800"}'}, 422, "invalid_request", "agent_id"),
    ({"metadata": "{}", "agent_id": "a"}, 422, "invalid_request", "metadata"),
    ({"agent_url": "http://10.0.0.1/"}, 403, "agent_url_not_allowed", "CHAMMAL_API_AGENT_URLS"),
    ({"webhook_url": "http://127.0.0.1:1/hook"}, 403, "webhook_url_not_allowed", "CHAMMAL_API_WEBHOOK_URLS"),
    ({"webhook_url": "http://169.254.169.254/"}, 403, "webhook_url_not_allowed", "CHAMMAL_API_WEBHOOK_URLS"),
    ({"webhook_url": "javascript:alert(1)"}, 403, "webhook_url_not_allowed", "http"),
    ({"file_url": "http://x/"}, 422, "audio_missing", "exactly one"),
]


@pytest.mark.parametrize(("fields", "status", "code", "names"), BAD, ids=[str(n) for n in range(len(BAD))])
def test_a_mistake_is_named_and_nothing_is_kept(
    office: Office, fields: dict[str, str], status: int, code: str, names: str
) -> None:
    assert names in problem(office.send(**fields), status, code)["detail"]
    assert office.kept() == []
    assert office.flow.submitted == []


def test_a_recording_that_cannot_be_one_is_refused(office: Office) -> None:
    problem(office.send(b""), 400, "audio_empty")
    problem(office.send(b"x" * 100_001), 413, "upload_too_large")
    problem(office.client.post("/v1/calls"), 422, "audio_missing")
    problem(office.client.post("/v1/calls", data={"file_path": "none.wav"}), 404, "file_not_found")
    problem(office.client.post("/v1/calls", data={"file_path": "../x"}), 400, "path_not_allowed")
    problem(office.client.post("/v1/calls", files={"recording": WAV}), 422, "invalid_request")
    problem(office.client.post("/v1/calls", files=[("file", WAV), ("file", WAV)]), 400, "invalid_request")
    assert office.kept() == []


def test_a_hundred_megabytes_of_metadata_are_refused_unread(office: Office) -> None:
    huge = "x" * 100_000_000
    answer = office.client.post("/v1/calls", data={"metadata": huge}, files={"file": WAV})
    problem(answer, 413, "upload_too_large")
    assert "64" in problem(office.send(metadata="x" * 70_000), 400, "invalid_request")["detail"]
    problem(office.client.post("/v1/calls", data={"metadata": "x" * 70_000}), 413, "upload_too_large")
    problem(office.send(**{"n" * 3_000: "1"}), 422, "invalid_request")


def test_a_store_that_does_not_give_the_recording_is_told_of(office: Office, mesh: Mesh) -> None:
    from starlette.responses import RedirectResponse, Response

    def ask(path: str) -> Any:
        return office.client.post("/v1/calls", data={"file_url": f"{mesh.url}{path}?signature=secret"})

    problem(ask("/elsewhere/call.wav"), 403, "file_url_not_allowed")
    told = problem(ask("/store/broken"), 502, "file_url_failed")
    assert "secret" not in json.dumps(told)
    mesh.answers["/store/none"] = lambda: Response(status_code=404)
    assert "404" in problem(ask("/store/none"), 422, "file_url_failed")["detail"]
    mesh.answers["/store/moved"] = lambda: RedirectResponse("http://169.254.169.254/")
    assert "Redirects" in problem(ask("/store/moved"), 422, "file_url_failed")["detail"]
    mesh.answers["/store/huge"] = lambda: Response(b"x" * 100_001)
    problem(ask("/store/huge"), 413, "upload_too_large")
    mesh.answers["/store/empty"] = lambda: Response(b"")
    problem(ask("/store/empty"), 400, "audio_empty")
    assert office.kept() == []


def test_a_repetition_with_the_same_key_is_the_same_call(office: Office) -> None:
    key = {"Idempotency-Key": "9f0c"}
    first = office.send(headers=key, agent_id="a").json()
    again = office.send(headers=key, agent_id="a")
    assert (again.status_code, again.json()) == (202, {**first, "repeated": True})
    assert again.headers["location"] == f"/v1/calls/{first['id']}"
    assert len(office.flow.submitted) == 1
    problem(office.send(headers=key, agent_id="b"), 409, "idempotency_key_reused")
    problem(office.send(WAV + b"1", headers=key, agent_id="a"), 409, "idempotency_key_reused")
    assert office.sent(agent_id="a") != first["id"], "without a key every call is a new one"


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "\x01", "\u00e9"])
def test_a_key_that_is_none_is_refused(office: Office, key: str) -> None:
    problem(office.send(headers={"Idempotency-Key": key.encode("latin-1")}), 400, "invalid_request")  # type: ignore[dict-item]


def test_a_full_backlog_says_when_to_come_again(settings: ApiSettings) -> None:
    office = Office(TestClient(None), Flow(), settings)  # type: ignore[arg-type]
    with TestClient(office_app(settings, office, queued=1), raise_server_exceptions=False) as office.client:
        office.sent()
        answer = office.send()
        problem(answer, 429, "backlog_full")
        assert int(answer.headers["retry-after"]) > 0


def test_a_full_disk_is_507_and_nothing_is_half_stored(office: Office) -> None:
    assert office.desk is not None
    office.desk.recordings._max_stored = len(WAV) - 1
    answer = office.send()
    problem(answer, 507, "storage_full")
    assert int(answer.headers["retry-after"]) > 0
    assert office.kept() == []
    assert office.client.get("/v1/calls").json()["calls"] == []


def test_calls_are_listed_newest_first_by_pages_and_filters(office: Office) -> None:
    ids = [office.sent(WAV + bytes([n]), agent_id=f"a{n % 2}", reference=f"r{n}") for n in range(5)]
    page = office.client.get("/v1/calls", params={"limit": 2}).json()
    assert [call["id"] for call in page["calls"]] == [ids[4], ids[3]]
    rest = office.client.get("/v1/calls", params={"limit": 200, "cursor": page["next"]}).json()
    assert [call["id"] for call in rest["calls"]] == [ids[2], ids[1], ids[0]]
    assert rest["next"] is None
    found = office.client.get("/v1/calls", params={"agent_id": "a1"}).json()["calls"]
    assert [call["id"] for call in found] == [ids[3], ids[1]]
    assert [c["id"] for c in office.client.get("/v1/calls", params={"reference": "r2"}).json()["calls"]] == [ids[2]]
    assert office.client.get("/v1/calls", params={"status": "failed"}).json()["calls"] == []
    assert office.client.get("/v1/calls", params={"to": "2026-01-01T00:00:00"}).json()["calls"] == []
    assert len(office.client.get("/v1/calls", params={"from": "2026-01-01T00:00:00+09:00"}).json()["calls"]) == 5
    problem(office.client.get("/v1/calls", params={"cursor": page["next"], "status": "failed"}), 400, "cursor_invalid")


def test_words_of_the_transcript_are_found_as_they_stand(office: Office) -> None:
    call_id = office.analysed()
    for words in ("보험", "환급금이 적습니다"):
        found = office.client.get("/v1/calls", params={"q": words}).json()["calls"]
        assert [call["id"] for call in found] == [call_id]
    for words in ('"', "보험 OR 주식", "NEAR(", "*", "'; drop table calls", "%"):
        assert office.client.get("/v1/calls", params={"q": words}).json()["calls"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"status": "lost"},
        {"verdict": "통과"},
        {"product_type": "주식"},
        {"from": "yesterday"},
        {"from": "20261120"},
        {"to": "0.5"},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"to": "9999-12-31T23:59:59-14:00"},
        {"q": "x" * 201},
    ],
)
def test_a_filter_that_cannot_be_is_refused(office: Office, params: dict[str, str]) -> None:
    assert (
        next(iter(params)) in problem(office.client.get("/v1/calls", params=params), 422, "invalid_request")["detail"]
    )


def test_what_is_no_call_is_404_everywhere(office: Office) -> None:
    for call_id in ("0" * 32, "x", "0" * 31 + "\u0661", "%00"):
        for path in ("", "/events", "/audio", "/report", "/transcript.json"):
            problem(office.client.get(f"/v1/calls/{call_id}{path}"), 404, "call_not_found")
        problem(office.client.delete(f"/v1/calls/{call_id}"), 404, "call_not_found")
        problem(office.client.post(f"/v1/calls/{call_id}/reanalyse"), 404, "call_not_found")


def test_a_transcript_comes_in_four_formats_once_there_is_one(office: Office) -> None:
    waiting = office.sent()
    problem(office.client.get(f"/v1/calls/{waiting}/transcript.srt"), 404, "transcript_missing")
    call_id = office.analysed()
    for form in ("json", "txt", "srt", "vtt"):
        answer = office.client.get(f"/v1/calls/{call_id}/transcript.{form}")
        assert answer.status_code == 200
        assert KOREAN in answer.text
    problem(office.client.get(f"/v1/calls/{call_id}/transcript.exe"), 422, "invalid_request")


def test_the_recording_comes_in_ranges_and_is_never_a_page(office: Office) -> None:
    call_id = office.sent()
    address = f"/v1/calls/{call_id}/audio"
    whole = office.client.get(address)
    assert (whole.status_code, whole.content) == (200, WAV)
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-disposition"].startswith("attachment")
    part = office.client.get(address, headers={"Range": "bytes=4-9", "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, WAV[4:10])
    assert part.headers["content-range"] == f"bytes 4-9/{len(WAV)}"
    head = office.client.head(address)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(WAV)), b"")
    problem(office.client.get(address, headers={"Range": "bytes=9999-"}), 416, "range_not_satisfiable")
    page = office.sent(b"<html><script>alert(1)</script>")
    assert office.client.get(f"/v1/calls/{page}/audio").headers["content-type"] == "application/octet-stream"


def test_a_recording_that_is_gone_leaves_the_rest_of_the_call(office: Office) -> None:
    call_id = office.analysed()
    for path in office.kept():
        path.unlink()
    problem(office.client.get(f"/v1/calls/{call_id}/audio"), 404, "recording_missing")
    assert office.client.get(f"/v1/calls/{call_id}").status_code == 200


def test_a_report_is_a_page_on_which_nothing_runs(office: Office) -> None:
    call_id = office.analysed("<script>alert(1)</script> 보험")
    answer = office.client.get(f"/v1/calls/{call_id}/report", headers={"Accept-Language": "en"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert "Call report" in answer.text
    assert "통화 점검 보고서" in office.client.get(f"/v1/calls/{call_id}/report").text


def test_a_call_is_analysed_anew_once_it_has_ended(office: Office) -> None:
    waiting = office.sent()
    problem(office.client.post(f"/v1/calls/{waiting}/reanalyse"), 409, "call_unfinished")
    call_id = office.analysed()
    answer = office.client.post(f"/v1/calls/{call_id}/reanalyse")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/calls/{call_id}")
    assert office.flow.submitted[-1] == (call_id, 2, Priority.INTERACTIVE)


def test_a_deleted_call_is_gone(office: Office) -> None:
    call_id = office.analysed()
    assert office.client.delete(f"/v1/calls/{call_id}").status_code == 204
    assert office.flow.cancelled == [call_id]
    problem(office.client.get(f"/v1/calls/{call_id}"), 404, "call_not_found")
    problem(office.client.delete(f"/v1/calls/{call_id}"), 404, "call_not_found")
    assert office.client.get("/v1/calls", params={"q": "보험"}).json()["calls"] == []
    assert office.kept() == []


def test_the_events_of_a_call_end_with_it(office: Office) -> None:
    call_id = office.analysed()
    answer = office.client.get(f"/v1/calls/{call_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = dict(line.split(": ", 1) for line in answer.text.splitlines() if ": " in line)
    assert json.loads(lines["data"])["id"] == call_id
    again = office.client.get(f"/v1/calls/{call_id}/events", headers={"Last-Event-ID": lines["id"]})
    assert again.status_code == 204, "a browser does not connect again after this"


def test_the_same_key_of_two_senders_stands_for_two_calls(settings: ApiSettings) -> None:
    made = [new_key(name, [KeyScope.CALLS]) for name in ("one", "two")]
    door = Door(KeyRing("\n".join(stored.line() for _, stored in made)))
    office = Office(TestClient(None), Flow(), settings)  # type: ignore[arg-type]
    with TestClient(office_app(settings, office, door), raise_server_exceptions=False) as office.client:
        answers = [
            office.send(headers={"Idempotency-Key": "k", "X-API-Key": key}, agent_id=stored.name)
            for key, stored in made
        ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len(office.flow.submitted) == 2


def test_a_database_that_does_not_answer_is_503_and_no_fault_of_ours(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked"))

    call_id = office.sent()
    for name in ("accept", "page", "get", "event"):
        monkeypatch.setattr(CallStore, name, fail)
    answers = [
        office.send(),
        *map(office.client.get, ("/v1/calls", f"/v1/calls/{call_id}", f"/v1/calls/{call_id}/events")),
    ]
    for answer in answers:
        problem(answer, 503, "database_unavailable")
        assert int(answer.headers["retry-after"]) > 0


def test_who_was_refused_for_the_database_is_not_told_what_was_counted_before(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked"))

    office.sent()
    assert office.desk is not None
    monkeypatch.setattr(CallStore, "counts", fail)
    office.ask(office.desk.backlog.counts)
    monkeypatch.setattr(CallStore, "page", fail)
    problem(office.client.get("/v1/calls"), 503, "database_unavailable")
    with pytest.raises(OperationalError):
        office.ask(office.desk.backlog.counts)


def test_a_call_that_could_not_be_deleted_keeps_its_run(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise DatabaseAway("locked")

    call_id = office.sent()
    with monkeypatch.context() as away:
        away.setattr(CallStore, "delete", fail)
        problem(office.client.delete(f"/v1/calls/{call_id}"), 503, "database_unavailable")
    assert office.flow.cancelled == []
    assert office.client.delete(f"/v1/calls/{call_id}").status_code == 204
    assert office.flow.cancelled == [call_id]


def test_an_address_tells_all_the_methods_that_it_takes(office: Office) -> None:
    refused = office.client.put("/v1/calls")
    problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, POST"
    assert office.client.put(f"/v1/calls/{'0' * 32}").headers["allow"] == "DELETE, GET"
