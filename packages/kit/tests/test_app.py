from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient

from chammal_contracts.errors import ErrorCode, ProblemBody
from chammal_kit.app import create_app
from chammal_kit.deadline import current_deadline
from chammal_kit.problems import Problem
from chammal_kit.request_id import current_request_id
from chammal_kit.settings import ServiceSettings

router = APIRouter()


@router.get("/context")
async def get_context() -> dict[str, float | str | None]:
    deadline = current_deadline()
    return {"request_id": current_request_id(), "remaining": deadline.remaining() if deadline else None}


@router.get("/refuse")
async def refuse() -> None:
    raise Problem(409, ErrorCode.INVALID_REQUEST, "Not twice.", headers={"Retry-After": "3"}, hint="wait")


@router.get("/crash")
async def crash() -> None:
    raise RuntimeError("a secret of the inside")


class Named(BaseModel):
    name: str


@router.put("/named")
async def put_named(named: Named) -> int:
    return len(named.name)


@router.get("/page")
async def get_page() -> HTMLResponse:
    return HTMLResponse("<p>", headers={"Content-Security-Policy": "default-src 'self'"})


@router.get("/items/{number}")
async def get_item(number: int) -> int:
    return number


@asynccontextmanager
async def nothing(app: FastAPI) -> AsyncIterator[None]:
    yield


@router.get("/ready")
async def ready() -> float | None:
    deadline = current_deadline()
    return deadline.remaining() if deadline else None


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = create_app(service="probe", distribution="chammal-kit", lifespan=nothing, routers=[router])
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_health_names_the_service_and_its_version(client: TestClient) -> None:
    body = client.get("/health").json()
    assert body["status"] == "ok"
    assert body["service"] == "probe"
    assert body["version"]


def test_a_callers_request_id_is_kept_and_returned(client: TestClient) -> None:
    answer = client.get("/context", headers={"X-Request-Id": "call-17"})
    assert answer.json()["request_id"] == "call-17"
    assert answer.headers["X-Request-Id"] == "call-17"


@pytest.mark.parametrize("forged", ["a b", "x" * 129, "line%0abreak", '"quoted"'])
def test_an_id_that_could_forge_log_lines_is_replaced(client: TestClient, forged: str) -> None:
    answer = client.get("/context", headers={"X-Request-Id": forged})
    assert answer.json()["request_id"] != forged
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_the_callers_deadline_bounds_the_request(client: TestClient) -> None:
    assert client.get("/context").json()["remaining"] is None
    remaining = client.get("/context", headers={"Chammal-Deadline": "12.5"}).json()["remaining"]
    assert 0 < remaining <= 12.5


def test_no_caller_s_patience_decides_a_probe_whose_answer_is_kept_for_others(client: TestClient) -> None:
    for value in ("0", "0.000001", "soon"):
        answer = client.get("/ready", headers={"Chammal-Deadline": value})
        assert (answer.status_code, answer.json()) == (200, None)


@pytest.mark.parametrize(("sent", "most"), [(None, 7.0), ("60", 7.0), ("2", 2.0)])
def test_a_service_s_own_limit_bounds_callers_who_name_none_or_too_much(sent: str | None, most: float) -> None:
    settings = ServiceSettings(deadline_seconds=7)
    app = create_app(service="probe", distribution="chammal-kit", lifespan=nothing, routers=[router], settings=settings)
    with TestClient(app) as client:
        answer = client.get("/context", headers={"Chammal-Deadline": sent} if sent else {})
    assert most - 1 < answer.json()["remaining"] <= most


@pytest.mark.parametrize("value", ["soon", "nan", "inf", ""])
def test_a_deadline_that_is_no_number_is_the_callers_mistake(client: TestClient, value: str) -> None:
    answer = client.get("/context", headers={"Chammal-Deadline": value})
    assert answer.status_code == 400
    assert ProblemBody.model_validate(answer.json()).code is ErrorCode.INVALID_REQUEST


def test_a_request_whose_deadline_has_passed_is_not_worked_on(client: TestClient) -> None:
    answer = client.get("/context", headers={"Chammal-Deadline": "-1"})
    assert answer.status_code == 504
    assert answer.json()["code"] == ErrorCode.DEADLINE_EXCEEDED


def test_a_problem_is_sent_as_problem_json_with_its_extensions(client: TestClient) -> None:
    answer = client.get("/refuse")
    body = ProblemBody.model_validate(answer.json())
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "3"
    assert (answer.status_code, body.status, body.detail) == (409, 409, "Not twice.")
    assert answer.json()["hint"] == "wait"
    assert body.request_id == answer.headers["X-Request-Id"]


def test_openai_clients_find_their_error_object(client: TestClient) -> None:
    assert client.get("/refuse").json()["error"] == {
        "message": "Not twice.",
        "type": "invalid_request_error",
        "code": "invalid_request",
        "param": None,
    }


def test_a_crash_answers_500_without_its_inside(client: TestClient) -> None:
    answer = client.get("/crash")
    assert answer.status_code == 500
    assert answer.json()["code"] == ErrorCode.INTERNAL_ERROR
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, ErrorCode.NOT_FOUND),
        ("POST", "/health", 405, ErrorCode.METHOD_NOT_ALLOWED),
        ("GET", "/items/seven", 422, ErrorCode.INVALID_REQUEST),
    ],
)
def test_every_callers_mistake_has_a_code(
    client: TestClient, method: str, path: str, status: int, code: ErrorCode
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["code"] == code


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/health")])
def test_whoever_is_lost_is_told_where_the_addresses_are(client: TestClient, method: str, path: str) -> None:
    assert "/openapi.json" in client.request(method, path).json()["detail"]
    assert client.get("/openapi.json").status_code == 200


def test_metrics_count_by_route_template_and_not_by_path(client: TestClient) -> None:
    client.get("/items/41")
    client.get("/items/42")
    client.get("/never/heard/of")
    client.get("/crash")
    text = client.get("/metrics").text
    assert 'chammal_http_requests_total{method="GET",route="/items/{number}",status="200"} 2.0' in text
    assert 'route="unmatched",status="404"' in text
    assert 'route="/crash",status="500"' in text
    assert "/items/41" not in text


def test_every_answer_tells_browsers_to_leave_it_alone(client: TestClient) -> None:
    for path in ("/health", "/refuse", "/crash", "/nowhere"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_page_keeps_the_policy_of_its_own(client: TestClient) -> None:
    headers = client.get("/page").headers
    assert headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_documentation_page_is_there_only_when_asked_for_and_may_load_its_scripts(client: TestClient) -> None:
    assert client.get("/docs").status_code == 404
    settings = ServiceSettings(docs=True)
    app = create_app(service="probe", distribution="chammal-kit", lifespan=nothing, routers=[router], settings=settings)
    page = TestClient(app).get("/docs")
    assert page.status_code == 200
    assert "script-src 'unsafe-inline' https://cdn.jsdelivr.net" in page.headers["content-security-policy"]


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_fastapi_reads_has_a_limit(client: TestClient, declared: bool) -> None:
    body = b'{"name": "' + b"x" * 100_000 + b'"}'
    answer = client.put(
        "/named",
        content=body if declared else iter([body[:50_000], body[50_000:]]),
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, ErrorCode.UPLOAD_TOO_LARGE)
    assert client.put("/named", json={"name": "x" * 60_000}).json() == 60_000


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 12_000, b'{"name": ' + b"[" * 50_000, b"1" * 60_000])
def test_json_of_great_depth_or_length_is_the_callers_mistake(client: TestClient, body: bytes) -> None:
    answer = client.put("/named", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert ProblemBody.model_validate(answer.json())
