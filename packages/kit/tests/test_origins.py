from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI, UploadFile, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse

from chammal_contracts.errors import ErrorCode
from chammal_kit.app import create_app
from chammal_kit.door import Door
from chammal_kit.keys import KeyRing, KeyScope, new_key
from chammal_kit.settings import ServiceSettings

router = APIRouter()
HERE, OURS, THEIRS = "http://127.0.0.1:8003", "https://app.example.org", "https://evil.example"


@router.post("/upload")
async def upload(file: UploadFile) -> int:
    return file.size or 0


@router.get("/read")
async def read() -> str:
    return "a secret"


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


@asynccontextmanager
async def nothing(app: FastAPI) -> AsyncIterator[None]:
    yield


def served(door: Door | None = None, **settings: object) -> TestClient:
    app = create_app(
        service="probe",
        distribution="chammal-kit",
        lifespan=nothing,
        routers=[router],
        settings=ServiceSettings.model_validate(settings),
        door=door,
    )
    return TestClient(app, base_url=HERE)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with served() as client:
        yield client


def post(client: TestClient, **headers: str) -> tuple[int, str | None]:
    answer = client.post(
        "/upload", files={"file": b"abc"}, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    return answer.status_code, answer.json()["code"] if answer.status_code != 200 else None


FOREIGN = (403, ErrorCode.ORIGIN_NOT_ALLOWED)


def test_what_is_no_browser_may_call(client: TestClient) -> None:
    assert post(client) == (200, None)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_of_another_page_is_refused(client: TestClient, site: str) -> None:
    assert post(client, Origin=THEIRS, Sec_Fetch_Site=site) == FOREIGN
    assert post(client, Sec_Fetch_Site=site) == FOREIGN


@pytest.mark.parametrize("origin", [THEIRS, "null", "http://127.0.0.1", "http://127.0.0.1:3000", "", "http://[", "x"])
def test_without_fetch_metadata_the_origin_decides(client: TestClient, origin: str) -> None:
    assert post(client, Origin=origin) == FOREIGN


def test_the_same_origin_may_call_also_behind_a_proxy_that_ends_tls(client: TestClient) -> None:
    assert post(client, Origin=HERE) == (200, None)
    assert post(client, Origin="https://localhost", Host="localhost") == (200, None)
    assert post(client, Origin=HERE, Sec_Fetch_Site="same-origin") == (200, None)
    assert post(client, Sec_Fetch_Site="none") == (200, None)


def test_an_origin_on_the_list_may_call_and_read(client: TestClient) -> None:
    with served(origins=(OURS,)) as client:
        answer = client.post(
            "/upload", files={"file": b"abc"}, headers={"Origin": OURS, "Sec-Fetch-Site": "cross-site"}
        )
        assert answer.headers["access-control-allow-origin"] == OURS
        assert "chammal-degraded" in answer.headers["access-control-expose-headers"].lower()
        assert answer.status_code == 200
        assert post(client, Origin=THEIRS, Sec_Fetch_Site="cross-site") == FOREIGN
        assert post(client, Origin=OURS + ".evil.example") == FOREIGN


def test_a_preflight_is_answered_for_origins_on_the_list_alone() -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    with served(origins=(OURS,)) as client:
        assert client.options("/upload", headers={"Origin": OURS, **asked}).status_code == 200
        refused = client.options("/upload", headers={"Origin": THEIRS, **asked})
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers


def test_without_a_list_no_other_page_can_read(client: TestClient) -> None:
    answer = client.get("/read", headers={"Origin": THEIRS, "Sec-Fetch-Site": "cross-site"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(("origin", "may"), [(None, True), (HERE, True), (THEIRS, False), ("null", False)])
def test_a_websocket_of_another_page_is_refused_in_its_handshake(
    client: TestClient, origin: str | None, may: bool
) -> None:
    headers = {"Origin": origin} if origin else {}
    if may:
        with client.websocket_connect("/live", headers=headers | {"Host": "127.0.0.1:8003"}):
            return
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/live", headers=headers | {"Host": "127.0.0.1:8003"}),
    ):
        pass
    assert (denied.value.status_code, denied.value.json()["code"]) == FOREIGN


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8003", "127.0.0.1", "[::1]:8003", "192.0.2.7", "localhost:8003", "api:8003", "LOCALHOST.",
     "a.localhost", "host.docker.internal:8003"],
)  # fmt: skip
def test_names_that_nobody_can_register_are_answered_to(client: TestClient, host: str) -> None:
    assert client.get("/read", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example:8003", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example.", "a b", "", "127.0.0.1:x",
     "evil.example/@127.0.0.1", "[::1].evil.example"],
)  # fmt: skip
def test_a_name_that_somebody_could_point_here_is_not(client: TestClient, host: str) -> None:
    answer = client.get("/read", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, ErrorCode.HOST_NOT_ALLOWED)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [
        ("chammal.example.org", "chammal.example.org:443", 200),
        ("chammal.example.org", "evil.example.org", 421),
        ("*.example.org", "chammal.example.org", 200),
        ("*.example.org", "example.org.evil", 421),
        ("*.example.org", "evilexample.org", 421),
        ("*", "evil.example", 200),
    ],
)
def test_an_operator_names_further_hosts(hosts: str, host: str, status: int) -> None:
    with served(hosts=hosts) as client:
        assert client.get("/read", headers={"Host": host}).status_code == status


def test_with_keys_any_name_will_do_since_a_foreign_page_has_none() -> None:
    secret, stored = new_key("app", [KeyScope.ADMIN])
    with served(Door(KeyRing(stored.line()))) as client:
        assert client.get("/read", headers={"Host": "evil.example"}).status_code == 401
        assert client.get("/read", headers={"Host": "my.example", "X-API-Key": secret}).status_code == 200
