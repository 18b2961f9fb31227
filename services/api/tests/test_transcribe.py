import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.sample_calls import segment

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from chammal_contracts.transcribe import Finding, TranscribeResult

from .conftest import TRANSCRIPT, Mesh, completion, transcription

STT = "/v1/audio/transcriptions"
LLM = "/v1/chat/completions"
WAV = {"file": ("call.wav", b"RIFF....", "audio/wav")}
CHECK = {"incomplete_elements_check": "true"}
ANSWER = json.dumps(
    {
        "summary": "상담원이 상품을 설명했다.",
        "elements": {
            "TM-01": 1,
            "EXP-02": 0,
            "EXP-07": {"verdict": "충족", "quote": "꾸며 낸 말은 없습니다"},
            "EXP-09": 3,
            "SOL-01": 0,
        },
    },
    ensure_ascii=False,
)
KEYS = ["q1", "q2", "q3", "q4", "q5"]
FIELDS = {
    "success", "text", "duration", "language", "error", "error_type", "backend", "is_dummy", "dummy_reason",
    "incomplete_elements", "agent_analysis", "agent_type", "is_agent_dummy", "agent_dummy_reason",
    "is_partial_failure", "partial_failure_reason", "stages", "channels", "segments", "suspect",
}  # fmt: skip


def post(client: TestClient, **fields: str) -> TranscribeResult:
    answer = client.post("/transcribe", files=WAV, data=fields)
    assert answer.status_code == 200, answer.text
    return TranscribeResult.model_validate(answer.json())


def test_a_call_comes_back_with_transcript_verdicts_and_stages(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    mesh.says(LLM, completion(ANSWER))
    answer = client.post("/transcribe", files=WAV, data=CHECK)
    assert set(answer.json()) == FIELDS
    assert "Chammal-Degraded" not in answer.headers
    result = TranscribeResult.model_validate(answer.json())
    assert (result.success, result.text, result.language, result.backend) == (True, TRANSCRIPT, "ko", "faster-whisper")
    assert (result.is_dummy, result.is_agent_dummy, result.is_partial_failure) == (False, False, False)
    assert result.agent_type == "vllm"
    assert [(s.stage, s.status) for s in result.stages] == [("stt", "ok"), ("analysis", "ok")]
    assert result.incomplete_elements is not None
    verdicts = {e.id: e.verdict for e in result.incomplete_elements.elements}
    assert verdicts["TM-01"] is Finding.MET
    assert verdicts["EXP-02"] is Finding.MET, "a rule finds what the model does not"
    assert verdicts["EXP-07"] is Finding.NOT_EVALUATED, "its quote is not in the transcript"


def test_the_recording_and_the_language_reach_the_recogniser(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    post(client, language="en")
    form = mesh.calls(STT)[0]["form"]
    assert form["file"] == b"RIFF...."
    assert (form["language"], form["response_format"]) == ("en", "verbose_json")


def test_what_the_recogniser_may_be_told_reaches_it(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    post(client, channels="split", hotwords="참말증권, 김상담", normalise="yes")
    form = mesh.calls(STT)[0]["form"]
    assert (form["channels"], form["hotwords"], form["normalise"]) == ("split", "참말증권, 김상담", "true")
    post(client)
    form = mesh.calls(STT)[1]["form"]
    assert form["channels"] == "mix"
    assert {"hotwords", "normalise"}.isdisjoint(form)


SPLIT = {
    **transcription("agent: 참말 김상담이라고 불러 주세요. 잘 따라오고 계시죠?\ncustomer: 네. 큰돈을 버는 상품이군요."),
    "channels": "split",
    "segments": [
        segment(0, "참말 김상담이라고 불러 주세요. 잘 따라오고 계시죠?", "agent").model_dump(),
        segment(1, "네. 큰돈을 버는 상품이군요.", "customer").model_dump(),
    ],
    "suspect": [
        {
            "start": 9.0, "end": 10.0, "text": "시청해 주셔서 감사합니다", "reason": "phantom", "dropped": True,
            "detail": "x", "speaker": "customer",
        },
    ],
}  # fmt: skip


def test_who_said_what_and_what_is_doubted_come_back(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, SPLIT)
    result = post(client, channels="split")
    assert result.text == SPLIT["text"]
    assert result.channels == "split"
    assert [(s.speaker, s.confidence) for s in result.segments] == [("agent", 0.9), ("customer", 0.9)]
    assert [(s.speaker, s.reason, s.dropped) for s in result.suspect] == [("customer", "phantom", True)]
    assert (result.success, result.is_dummy) == (True, False)


def test_a_call_in_two_channels_is_analysed_with_its_speakers(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, SPLIT)
    claims: dict[str, Any] = {
        "TM-01": {"verdict": "충족", "quote": "참말 김상담이라고"},
        "EXP-02": 2,
        "EXP-07": {"verdict": "충족", "quote": "customer: 네"},
        "EXP-09": 1,
        "SOL-01": 2,
    }
    mesh.says(LLM, completion(json.dumps({"summary": "설명했다.", "elements": claims})))
    result = post(client, channels="split", **CHECK)
    sent = json.loads(mesh.calls(LLM)[0]["body"])["messages"][1]["content"]
    assert "[2] 고객: 네. 큰돈을 버는 상품이군요." in sent
    assert result.incomplete_elements is not None
    found = {e.id: (e.verdict, e.quote) for e in result.incomplete_elements.elements}
    assert found["TM-01"] == (Finding.MET, "참말 김상담이라고 불러 주세요.")
    assert found["EXP-02"][0] is Finding.NOT_EVALUATED, "a customer explains nothing"
    assert found["EXP-07"][0] is Finding.NOT_EVALUATED, "the name of a speaker proves nothing"
    assert found["EXP-09"] == (Finding.MET, "참말 김상담이라고 불러 주세요. 잘 따라오고 계시죠?")
    assert found["SOL-01"][0] is Finding.NOT_EVALUATED, "a customer promises nothing"


def test_what_the_gateway_is_asked_is_one_short_question(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    mesh.says(LLM, completion(json.dumps({"summary": "설명했다.", "elements": dict.fromkeys(KEYS, 0)})))
    result = post(client, **CHECK)
    (asked,) = [json.loads(seen["body"]) for seen in mesh.calls(LLM)]
    schema = asked["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]["elements"]["properties"]) == KEYS
    assert asked["max_tokens"] == 400
    assert result.incomplete_elements is not None
    assert Finding.NOT_EVALUATED not in {element.verdict for element in result.incomplete_elements.elements}


def test_numbers_of_persons_are_masked_before_a_model_is_asked(client: TestClient, mesh: Mesh) -> None:
    said = segment(0, "제 전화는 010-1234-5678이에요.", "customer")
    mesh.says(STT, {**SPLIT, "segments": [said.model_dump()]})
    mesh.says(LLM, completion(ANSWER))
    post(client, **CHECK)
    sent = mesh.calls(LLM)[0]["body"].decode()
    assert "1234" not in sent
    assert "***-****-****" in sent


def test_without_a_rule_set_the_transcript_comes_and_no_element_passes(
    settings: ApiSettings, mesh: Mesh, tmp_path: Path
) -> None:
    mesh.says(STT, transcription())
    with TestClient(create(settings.model_copy(update={"rules_dir": tmp_path}))) as client:
        result = post(client, **CHECK)
        readiness = client.get("/ready").json()
    assert (result.success, result.text, result.is_partial_failure) == (True, TRANSCRIPT, True)
    assert (result.stages[1].status, result.stages[1].error_type) == ("dummy", "rule_set_unknown")
    assert result.incomplete_elements is not None
    assert (result.incomplete_elements.evaluated, result.incomplete_elements.elements) == (False, [])
    assert "no rule set" in json.dumps(readiness)
    assert mesh.calls(LLM) == []


def test_auto_leaves_the_language_to_the_recogniser(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    post(client, language="auto")
    assert "language" not in mesh.calls(STT)[0]["form"]


def test_nothing_is_analysed_that_nobody_asked_for(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    result = post(client)
    assert mesh.calls(LLM) == []
    assert (result.stages[1].status, result.stages[1].error) == ("skipped", "not asked for")
    assert (result.incomplete_elements, result.agent_analysis, result.agent_type) == (None, None, None)


def test_without_a_recogniser_the_transcript_is_null_and_never_analysed(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, {"detail": "no"}, status=500)
    answer = client.post("/transcribe", files=WAV, data=CHECK)
    assert answer.status_code == 200
    assert answer.headers["Chammal-Degraded"] == "stt=dummy"
    result = TranscribeResult.model_validate(answer.json())
    assert (result.success, result.text, result.is_dummy) == (False, None, True)
    assert result.error_type == "http_error"
    assert result.dummy_reason is not None
    assert "500" in result.dummy_reason
    assert (result.stages[1].status, result.stages[1].error) == ("skipped", "no transcript")
    assert mesh.calls(LLM) == []
    assert result.incomplete_elements is not None
    assert {e.verdict for e in result.incomplete_elements.elements} == {Finding.NOT_EVALUATED}


def test_without_a_language_model_the_transcript_still_comes(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    attempts = [{"backend": "vllm", "outcome": "failed", "error_type": "connect_error", "seconds": 0.1}]
    problem = {
        "type": "urn:chammal:problem:backends_failed", "title": "x", "status": 503, "detail": "every backend failed",
        "code": "backends_failed", "attempts": attempts, "error": {"message": "x", "type": "x", "code": "x"},
    }  # fmt: skip
    mesh.says(LLM, problem, status=503, headers={"Retry-After": "7"})
    answer = client.post("/transcribe", files=WAV, data=CHECK)
    assert answer.headers["Chammal-Degraded"] == "analysis=dummy"
    result = TranscribeResult.model_validate(answer.json())
    assert (result.success, result.text) == (True, TRANSCRIPT)
    assert (result.is_agent_dummy, result.agent_type, result.is_partial_failure) == (True, "dummy", True)
    assert result.agent_analysis is None
    assert result.agent_dummy_reason == "llm-gateway: unavailable: every backend failed"
    assert [a.backend for a in result.stages[1].attempts] == ["vllm"], "the gateway's own attempts are told"


def test_an_answer_from_a_fall_back_backend_is_real_and_marked_degraded(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    attempts = [
        {"backend": "vllm", "outcome": "failed", "error_type": "connect_error", "seconds": 0.1},
        {"backend": "llamacpp", "outcome": "ok", "http_status": 200, "seconds": 0.4},
    ]
    mesh.says(LLM, completion(ANSWER, attempts))
    answer = client.post("/transcribe", files=WAV, data=CHECK)
    assert answer.headers["Chammal-Degraded"] == "analysis=degraded"
    result = TranscribeResult.model_validate(answer.json())
    assert (result.agent_type, result.is_agent_dummy, result.is_partial_failure) == ("llamacpp", False, False)
    assert result.agent_analysis is not None


def test_an_answer_that_took_a_retry_or_a_repair_is_still_the_first_choice(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    attempts = [
        {"backend": "vllm", "outcome": "failed", "error_type": "invalid_response", "seconds": 0.1},
        {"backend": "vllm", "outcome": "ok", "http_status": 200, "seconds": 0.4},
    ]
    mesh.says(LLM, completion(ANSWER, attempts))
    assert post(client, **CHECK).stages[1].status == "ok"


@pytest.mark.parametrize("content", ["not json", "[]", '{"summary": ""}', '{"summary": "x", "elements": []}'])
def test_an_analysis_of_the_wrong_shape_is_none(client: TestClient, mesh: Mesh, content: str) -> None:
    mesh.says(STT, transcription())
    mesh.says(LLM, completion(content))
    result = post(client, **CHECK)
    assert (result.is_agent_dummy, result.stages[1].error_type) == (True, "invalid_response")
    assert result.agent_analysis is None


def test_silence_is_a_transcript_that_is_empty_and_not_analysed(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription(text=""))
    result = post(client, **CHECK)
    assert (result.success, result.text, result.is_dummy, result.is_partial_failure) == (True, "", False, False)
    assert mesh.calls(LLM) == []
    assert result.incomplete_elements is not None
    assert not result.incomplete_elements.evaluated


def test_five_failures_open_the_breaker_and_the_sixth_is_not_sent(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, {}, status=500)
    for _ in range(5):
        post(client)
    assert len(mesh.calls(STT)) == 5
    result = post(client)
    assert len(mesh.calls(STT)) == 5
    assert (result.error_type, result.stages[0].breaker) == ("breaker_open", "open")
    assert result.stages[0].attempts[0].outcome == "refused"
    assert 'chammal_breaker_state{state="open",upstream="stt"} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize("where", ["field", "query", "header"])
def test_a_caller_may_ask_for_an_error_instead_of_a_dummy(client: TestClient, mesh: Mesh, where: str) -> None:
    mesh.says(STT, transcription())
    mesh.says(LLM, {}, status=503, headers={"Retry-After": "7"})
    answer = client.post(
        "/transcribe" + ("?on_failure=error" if where == "query" else ""),
        files=WAV,
        data={**CHECK, **({"on_failure": "error"} if where == "field" else {})},
        headers={"Chammal-On-Failure": "error"} if where == "header" else {},
    )
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "7"
    assert answer.json()["code"] == "stage_failed"
    assert [s["status"] for s in answer.json()["stages"]] == ["ok", "dummy"]


@pytest.mark.parametrize("code", ["audio_unreadable", "audio_unprocessable"])
def test_a_recording_at_fault_is_the_callers_mistake_and_no_dummy(client: TestClient, mesh: Mesh, code: str) -> None:
    problem = {
        "type": f"urn:chammal:problem:{code}", "title": "x", "status": 422, "detail": "not audio",
        "code": code, "error": {"message": "x", "type": "x", "code": "x"},
    }  # fmt: skip
    mesh.says(STT, problem, status=422)
    for _ in range(6):
        answer = client.post("/transcribe", files=WAV)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert client.get("/v1/failures").json()["stages"][0]["breaker"] == "closed"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"file_path": "../../etc/passwd"}, 400, "path_not_allowed"),
        ({"file_path": "none.wav"}, 404, "file_not_found"),
        ({}, 422, "audio_missing"),
        ({"file": "text, not a file"}, 422, "audio_missing"),
    ],
)
def test_a_recording_that_cannot_be_had_is_refused(
    client: TestClient, fields: dict[str, str], status: int, code: str
) -> None:
    answer = client.post("/transcribe", data=fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"agent_url": "http://169.254.169.254/latest"}, 403, "agent_url_not_allowed"),
        ({"agent_request_format": "yaml"}, 422, "invalid_request"),
        ({"incomplete_elements_check": "perhaps"}, 422, "invalid_request"),
        ({"on_failure": "panic"}, 422, "invalid_request"),
        ({"channels": "three"}, 422, "invalid_request"),
        ({"normalise": "perhaps"}, 422, "invalid_request"),
        ({"hotwords": "가" * 1001}, 422, "invalid_request"),
        ({"file_path": "call.wav"}, 422, "audio_missing"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(
    client: TestClient, mesh: Mesh, fields: dict[str, str], status: int, code: str
) -> None:
    answer = client.post("/transcribe", files=WAV, data=fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert mesh.seen == []


def test_an_empty_recording_and_one_too_large_are_refused(client: TestClient, mesh: Mesh) -> None:
    empty = client.post("/transcribe", files={"file": ("a.wav", b"", "audio/wav")})
    assert (empty.status_code, empty.json()["code"]) == (400, "audio_empty")
    large = client.post("/transcribe", files={"file": ("a.wav", b"x" * 1_000_001, "audio/wav")})
    assert (large.status_code, large.json()["code"]) == (413, "upload_too_large")
    assert mesh.seen == []


def test_a_form_that_is_none_is_refused(client: TestClient) -> None:
    answer = client.post("/transcribe", content=b"--x", headers={"Content-Type": "multipart/form-data"})
    assert answer.status_code == 400
    assert client.post("/transcribe", content=b"{}").json()["code"] == "audio_missing"


def test_a_recording_below_the_audio_root_is_read_from_there(
    client: TestClient, mesh: Mesh, settings: ApiSettings
) -> None:
    settings.audio_root.mkdir()
    (settings.audio_root / "call.wav").write_bytes(b"RIFF on disk")
    mesh.says(STT, transcription())
    answer = client.post("/transcribe", data={"file_path": "call.wav"})
    assert answer.status_code == 200
    assert mesh.calls(STT)[0]["form"]["file"] == b"RIFF on disk"


@pytest.mark.parametrize(("request_format", "key"), [("prompt_based", "prompt"), ("text_only", "text")])
def test_an_allowed_agent_is_asked_in_the_format_that_was_named(
    client: TestClient, mesh: Mesh, request_format: str, key: str
) -> None:
    mesh.says(STT, transcription())
    mesh.says("/agent", {"summary": "외부 요약"})
    result = post(client, agent_url=f"{mesh.url}/agent", agent_request_format=request_format)
    sent = json.loads(mesh.calls("/agent")[0]["body"])
    assert list(sent) == [key]
    assert "이 상품은 원금 손실이 날 수 있습니다." in sent[key]
    assert (result.agent_type, result.stages[1].backend) == ("external", "external")
    assert result.agent_analysis is not None
    assert result.agent_analysis.summary == "외부 요약"
    assert mesh.calls(LLM) == []


def test_an_agent_that_says_nothing_of_the_elements_has_evaluated_none(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    mesh.says("/agent", {"summary": "외부 요약"})
    result = post(client, agent_url=f"{mesh.url}/agent", **CHECK)
    assert (result.is_agent_dummy, result.stages[1].status) == (False, "ok")
    assert result.incomplete_elements is not None
    assert not result.incomplete_elements.evaluated
    assert {e.verdict for e in result.incomplete_elements.elements} == {Finding.NOT_EVALUATED}
    assert len(result.incomplete_elements.elements) == len(KEYS)


def test_when_the_agent_fails_the_gateway_answers_and_both_attempts_are_told(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    mesh.says("/agent", {"other": "shape"})
    mesh.says(LLM, completion(ANSWER))
    result = post(client, agent_url=f"{mesh.url}/agent", **CHECK)
    stage = result.stages[1]
    assert (stage.status, stage.backend, result.agent_type) == ("degraded", "vllm", "vllm")
    assert [a.outcome for a in stage.attempts] == ["failed", "ok"]
    assert stage.error is not None
    assert "no summary" in stage.error


def test_every_dummy_logs_its_cause_and_that_a_fall_back_was_used(
    client: TestClient, mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    mesh.says(STT, transcription())
    mesh.says(LLM, {}, status=500)
    post(client, **CHECK)
    lines = [(r.name, r.levelname, r.getMessage()) for r in caplog.records if r.name == "chammal.AgentBackend"]
    assert lines[0][1] == "ERROR"
    assert "500" in lines[0][2]
    assert lines[1][1:] == ("WARNING", "fall-back used: dummy analysis")
    assert TRANSCRIPT not in caplog.text


def test_failures_are_totalled_by_stage(client: TestClient, mesh: Mesh) -> None:
    mesh.says(STT, transcription())
    mesh.says(LLM, completion(ANSWER))
    post(client, **CHECK)
    mesh.says(LLM, {}, status=500)
    post(client, **CHECK)
    rows: dict[str, Any] = {row["stage"]: row for row in client.get("/v1/failures").json()["stages"]}
    assert (rows["stt"]["total"], rows["stt"]["failures"], rows["stt"]["rate"]) == (2, 0, 0.0)
    assert (rows["analysis"]["total"], rows["analysis"]["failures"], rows["analysis"]["rate"]) == (2, 1, 0.5)
    assert rows["tts"]["total"] == 0
    assert rows["analysis"]["breaker"] == "closed"


def test_the_committed_openapi_document_is_the_one_that_is_served() -> None:
    committed = json.loads((Path(__file__).parents[1] / "openapi.json").read_text(encoding="utf-8"))
    assert create(ApiSettings()).openapi() == committed, "run: python -m chammal_api --openapi > openapi.json"
