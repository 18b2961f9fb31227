"""`POST /v1/checks` and `GET /v1/rules`, over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from chammal_contracts.checks import CheckResult, CheckStatus, Verdict

RULES = Path(__file__).parents[3] / "rules"


@pytest.fixture
def client(settings: ApiSettings) -> Iterator[TestClient]:
    told = settings.model_copy(update={"rules_dir": RULES, "max_json_bytes": 200_000})
    with TestClient(create(told), raise_server_exceptions=False) as client:
        yield client


def body(*texts: str, **more: Any) -> dict[str, Any]:
    said = [{"id": f"u{n}", "speaker": "agent", "start": n, "end": n + 1, "text": t} for n, t in enumerate(texts)]
    return {"product_type": "투자성", "utterances": said, **more}


def test_rules_alone_answer_at_once_when_no_model_is_asked_for(client: TestClient) -> None:
    answer = client.post("/v1/checks", json=body("이 상품은 무조건 이득이에요.", model=False))
    assert answer.status_code == 200
    result = CheckResult.model_validate_json(answer.content)
    assert result.status is CheckStatus.RULES_ONLY
    assert [e.id for e in result.elements if e.verdict is Verdict.SUSPECTED] == ["SOL-01"]
    assert "Chammal-Degraded" not in answer.headers


def test_words_that_two_rules_find_are_shown_once(client: TestClient) -> None:
    answer = client.post("/v1/checks", json=body("이 상품은 원금이 무조건 보장됩니다.", model=False)).json()
    (found,) = [element for element in answer["elements"] if element["id"] == "SOL-01"]
    quotes = [one["quote"] for one in found["evidence"]]
    assert quotes == ["이 상품은 원금이 무조건 보장됩니다."]


def test_a_model_that_is_down_is_told_of_in_the_header_and_the_reason(client: TestClient) -> None:
    answer = client.post("/v1/checks", json=body("이 상품은 원금이 보장됩니다."))
    assert answer.status_code == 200
    assert answer.headers["Chammal-Degraded"] == "analysis=dummy"
    assert answer.json()["status"] == "rules_only"
    assert answer.json()["reason"]


def test_numbers_of_persons_reach_no_model_and_are_in_no_quote(client: TestClient, mesh: Any) -> None:
    answer = client.post("/v1/checks", json=body("이 상품은 원금이 보장됩니다. 제 번호는 010-1234-5678입니다."))
    asked = b"".join(seen["body"] for seen in mesh.calls("/v1/chat/completions"))
    assert b"***-****-****" in asked
    assert b"1234-5678" not in asked + answer.content


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (body("가", product_type="주식"), "invalid_request"),
        (body("가", rule_set="nothing"), "rule_set_unknown"),
        (body("가", more=1), "invalid_request"),
        (body("가" * 4001), "invalid_request"),
        (body("가") | {"utterances": [{"id": "a", "text": "가"}, {"id": "a", "text": "나"}]}, "invalid_request"),
        (body("가") | {"utterances": [{"id": "a", "text": "가", "start": -1}]}, "invalid_request"),
        ({"product_type": "투자성"}, "invalid_request"),
        ([], "invalid_request"),
        (None, "invalid_request"),
    ],
)
def test_a_wrong_body_is_told_what_is_wrong(client: TestClient, wrong: object, code: str) -> None:
    answer = client.post("/v1/checks", json=wrong)
    assert answer.status_code == 422
    assert answer.json()["code"] == code


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b'{"utterances":' + b"[" * 5_000])
def test_what_is_no_json_is_refused(client: TestClient, raw: bytes) -> None:
    assert client.post("/v1/checks", content=raw).status_code == 422


def test_a_body_past_its_limit_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/checks", json=body(*["가나다라마바사" * 30] * 1000))
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


def test_an_empty_call_is_not_evaluated(client: TestClient) -> None:
    answer = client.post("/v1/checks", json=body())
    assert answer.json()["status"] == "not_evaluated"
    assert {e["verdict"] for e in answer.json()["elements"]} == {"판정불가"}


def test_rules_are_listed_without_the_words_that_they_look_for(client: TestClient) -> None:
    told = client.get("/v1/rules").json()
    assert told["default"] == "fcpa-kr"
    assert len(told["rule_sets"][0]["elements"]) == 24
    assert told["problems"] == []


def test_a_broken_rule_file_is_in_ready_and_the_rest_goes_on(settings: ApiSettings, tmp_path: Path) -> None:
    (tmp_path / "fcpa-kr.yaml").write_bytes((RULES / "fcpa-kr.yaml").read_bytes())
    (tmp_path / "broken.yaml").write_text("name: [")
    with TestClient(create(settings.model_copy(update={"rules_dir": tmp_path}))) as client:
        ready = client.get("/ready").json()
        assert "rules" in ready["degraded"]
        assert "broken.yaml" in next(check["reason"] for check in ready["checks"] if check["name"] == "rules")
        assert client.post("/v1/checks", json=body("원금이 보장됩니다.", model=False)).status_code == 200
        assert "chammal_rules_broken 1.0" in client.get("/metrics").text
    with TestClient(create(settings.model_copy(update={"rules_dir": RULES}))) as client:
        assert "chammal_rules_broken 0.0" in client.get("/metrics").text
