from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from prometheus_client.registry import REGISTRY
from starlette.routing import Route
from starlette.testclient import TestClient, WebSocketDenialResponse

from chammal_contracts.errors import ErrorCode
from chammal_kit.app import create_app
from chammal_kit.door import ANY_KEY, Access, Door, Guard
from chammal_kit.keys import KeyRing, KeyScope, new_key
from chammal_kit.metrics import metrics_endpoint
from chammal_kit.operations import OperationsPort
from chammal_kit.rate_limit import RateLimiter
from chammal_kit.serve import configure
from chammal_kit.settings import ServiceSettings

router = APIRouter()
CHAT: Access = frozenset({KeyScope.CHAT})
ACCESS = {"/chat/{name}": CHAT, "/any": ANY_KEY, "/live": CHAT}


@router.get("/chat/{name}")
async def chat(name: str) -> str:
    return name


@router.post("/any")
async def post_any() -> int:
    return 1


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("in")
    await socket.close()


@asynccontextmanager
async def nothing(app: FastAPI) -> AsyncIterator[None]:
    yield


def served(door: Door | None, access: dict[str, Access] | None = None, **settings: object) -> TestClient:
    app = create_app(
        service="probe",
        distribution="chammal-kit",
        lifespan=nothing,
        routers=[router],
        settings=ServiceSettings.model_validate(settings),
        door=door,
        access=access,
    )
    return TestClient(app, raise_server_exceptions=False)


KEYS = {name: new_key(name, [KeyScope(name)]) for name in ("chat", "speech", "operations", "admin")}
OLD = new_key("old", [KeyScope.ADMIN])
LINES = "\n".join(stored.line() for _, stored in KEYS.values()) + f"\n{OLD[1].line()} expires=2001-01-01"


def key(name: str) -> str:
    return KEYS[name][0]


@pytest.fixture
def client() -> Iterator[TestClient]:
    with served(Door(KeyRing(LINES)), ACCESS) as client:
        yield client


def refused(code: str) -> float:
    return REGISTRY.get_sample_value("chammal_refused_total", {"code": code}) or 0.0


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_comes_as_a_bearer(client: TestClient, scheme: str) -> None:
    assert client.get("/chat/a", headers={"Authorization": f"{scheme} {key('chat')}"}).status_code == 200


def test_a_key_comes_in_its_own_header(client: TestClient) -> None:
    assert client.get("/chat/a", headers={"X-API-Key": key("chat")}).status_code == 200


@pytest.mark.parametrize("name", ["api_key", "key", "token", "access_token", "X-API-Key"])
def test_a_key_in_the_query_is_no_key(client: TestClient, name: str) -> None:
    answer = client.get("/chat/a", params={name: key("chat")})
    assert (answer.status_code, answer.json()["code"]) == (401, ErrorCode.KEY_MISSING)


@pytest.mark.parametrize(
    ("headers", "status", "code", "challenge"),
    [
        ({}, 401, ErrorCode.KEY_MISSING, "Bearer"),
        ({"Authorization": ""}, 401, ErrorCode.KEY_MISSING, "Bearer"),
        ({"Authorization": "Bearer "}, 401, ErrorCode.KEY_MISSING, "Bearer"),
        ({"Authorization": "Basic YTpi"}, 401, ErrorCode.KEY_MISSING, "Bearer"),
        ({"Authorization": "Bearer chm_nobody"}, 401, ErrorCode.KEY_INVALID, 'Bearer error="invalid_token"'),
        ({"X-API-Key": OLD[0]}, 401, ErrorCode.KEY_INVALID, 'Bearer error="invalid_token"'),
        ({"X-API-Key": key("speech")}, 403, ErrorCode.SCOPE_MISSING, 'Bearer error="insufficient_scope"'),
    ],
)
def test_a_refusal_has_a_code_and_a_challenge_and_is_counted(
    client: TestClient, headers: dict[str, str], status: int, code: ErrorCode, challenge: str
) -> None:
    before = refused(code)
    answer = client.get("/chat/a", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["WWW-Authenticate"] == challenge
    assert answer.headers["content-type"] == "application/problem+json"
    assert refused(code) == before + 1


def test_no_refusal_repeats_the_key(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    for secret in (OLD[0], key("speech"), "chm_nobody-knows-this"):
        for headers in ({"X-API-Key": secret}, {"Authorization": f"Bearer {secret}"}):
            assert secret not in client.get("/chat/a", headers=headers).text
    assert "chm_" not in caplog.text
    assert "chm_" not in client.get("/metrics", headers={"X-API-Key": key("operations")}).text


def test_a_scope_opens_its_routes_alone_and_admin_all(client: TestClient) -> None:
    def status(name: str, path: str) -> int:
        return client.get(path, headers={"X-API-Key": key(name)}).status_code

    assert [status(name, "/chat/a") for name in KEYS] == [200, 403, 403, 200]
    assert [status(name, "/metrics") for name in KEYS] == [403, 403, 200, 200]
    assert [client.post("/any", headers={"X-API-Key": key(name)}).status_code for name in KEYS] == [200] * 4


@pytest.mark.parametrize("path", ["/health", "/openapi.json"])
def test_some_routes_are_for_anyone(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["//chat/a", "/chat/a/", "/chat/a/..%2f..%2fhealth", "/chat/%2e%2e/health", "/CHAT/a"])
@pytest.mark.parametrize("host", ["probe", "probe/health?", "probe:80/health#", "a@probe"])
def test_no_spelling_of_path_or_host_leads_past_the_door(client: TestClient, path: str, host: str) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code in (401, 404)


def test_the_port_for_operations_asks_for_no_key() -> None:
    with served(Door(KeyRing(LINES)), ACCESS) as client:
        assert client.get("/metrics").status_code == 401
        inside = TestClient(OperationsPort(client.app))  # type: ignore[arg-type]
        assert inside.get("/metrics").status_code == 200
        assert inside.get("/chat/a").status_code == 404


def test_without_keys_the_door_is_open() -> None:
    with served(Door(), ACCESS) as client:
        assert client.get("/chat/a").status_code == 200
        assert client.get("/chat/a", headers={"Authorization": "Bearer whatever"}).status_code == 200
        assert client.get("/metrics").status_code == 200


def test_a_route_that_nobody_may_enter_keeps_the_service_from_starting() -> None:
    with pytest.raises(LookupError, match="/live"):
        served(Door(), {path: access for path, access in ACCESS.items() if path != "/live"})


def test_every_route_is_behind_the_door_and_the_routers_own_are_untouched() -> None:
    first = Route("/first", metrics_endpoint)
    app = create_app(
        service="probe", distribution="chammal-kit", lifespan=nothing, routers=[router], first=[first], door=Door()
    )
    assert all(isinstance(route.app, Guard) for route in app.router.routes)  # type: ignore[attr-defined]
    assert not any(isinstance(route.app, Guard) for route in [first, *router.routes])  # type: ignore[attr-defined]


def test_an_internal_key_closes_a_service_to_all_who_have_it_not() -> None:
    with served(None, internal_key="between-us") as client:
        assert client.get("/chat/a").status_code == 401
        assert client.get("/chat/a", headers={"X-API-Key": "between-them"}).status_code == 401
        assert client.get("/chat/a", headers={"X-API-Key": "between-us"}).status_code == 200
        assert client.get("/health").status_code == 200


def connect(client: TestClient, *offered: str, headers: dict[str, str] | None = None) -> str | None:
    with client.websocket_connect("/live", subprotocols=list(offered), headers=headers or {}) as live:
        assert live.receive_text() == "in"
        return live.accepted_subprotocol


@pytest.mark.parametrize("prefix", ["chammal.key.", "openai-insecure-api-key."])
def test_a_browser_offers_its_key_as_a_subprotocol_and_does_not_get_it_back(client: TestClient, prefix: str) -> None:
    assert connect(client, "chammal.live", prefix + key("chat")) == "chammal.live"


def test_a_websocket_takes_the_key_from_a_header(client: TestClient) -> None:
    assert connect(client, headers={"Authorization": f"Bearer {key('chat')}"}) is None


@pytest.mark.parametrize("offered", [(), ("chammal.live",), ("chammal.live", "chammal.key.chm_x"), ("chammal.key.",)])
def test_a_websocket_without_a_key_is_refused_in_its_handshake(client: TestClient, offered: tuple[str, ...]) -> None:
    with pytest.raises(WebSocketDenialResponse) as denied:
        connect(client, *offered)
    assert denied.value.status_code == 401
    assert denied.value.json()["code"] in (ErrorCode.KEY_MISSING, ErrorCode.KEY_INVALID)


def test_an_open_door_chooses_the_subprotocol_too() -> None:
    with served(Door(), ACCESS) as client:
        assert connect(client, "chammal.live", "chammal.key.any") == "chammal.live"
        assert connect(client) is None


def test_each_key_has_a_rate_and_answers_tell_it() -> None:
    with served(Door(KeyRing(LINES), RateLimiter(2)), ACCESS) as client:
        chat, admin = {"X-API-Key": key("chat")}, {"X-API-Key": key("admin")}
        answer = client.get("/chat/a", headers=chat)
        assert answer.headers["RateLimit-Policy"] == '"requests";q=2;w=60'
        assert answer.headers["RateLimit"].startswith('"requests";r=1;t=')
        client.get("/chat/a", headers=chat)
        refusal = client.get("/chat/a", headers=chat)
        assert (refusal.status_code, refusal.json()["code"]) == (429, ErrorCode.RATE_LIMITED)
        assert 0 < int(refusal.headers["Retry-After"]) <= 30
        assert client.get("/chat/a", headers=admin).status_code == 200
        assert client.get("/health").status_code == 200


def test_a_line_of_a_key_may_set_its_own_rate() -> None:
    slow, stored = new_key("slow", [KeyScope.CHAT], per_minute=1)
    with served(Door(KeyRing(stored.line()), RateLimiter(0)), ACCESS) as client:
        statuses = [client.get("/chat/a", headers={"X-API-Key": slow}).status_code for _ in range(2)]
    assert statuses == [200, 429]


def test_guesses_are_limited_by_address_and_do_not_hinder_who_has_a_key() -> None:
    with served(Door(KeyRing(LINES), RateLimiter(3)), ACCESS) as client:
        statuses = [client.get("/chat/a", headers={"X-API-Key": f"chm_{n}"}).status_code for n in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        assert client.get("/chat/a", headers={"X-API-Key": key("chat")}).status_code == 200


def test_without_keys_an_address_has_the_rate_and_ipv6_a_network_of_64() -> None:
    door = Door(None, RateLimiter(2))
    hosts = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1", "fe80::1%eth0"]
    entered = [door.enter({"type": "http", "headers": [], "client": (host, 1)}, ANY_KEY) for host in hosts]
    assert [taken.remaining for taken in entered if taken] == [1, 0, 1, 1, 1]


def test_whoever_may_know_more_is_told_by_the_key() -> None:
    door = Door(KeyRing(LINES))

    def may(headers: list[tuple[bytes, bytes]]) -> bool:
        return door.may({"type": "http", "headers": headers}, CHAT)

    assert may([(b"x-api-key", key("chat").encode())])
    assert not may([(b"x-api-key", key("speech").encode())])
    assert not may([(b"x-api-key", OLD[0].encode())])
    assert not may([])
    assert Door().may({"type": "http", "headers": []}, CHAT)


@pytest.mark.parametrize(
    ("proxies", "statuses"), [("", [200, 429]), ("testclient", [200, 200]), ("192.0.2.1", [200, 429])]
)
def test_only_a_trusted_proxy_says_who_calls(proxies: str, statuses: list[int]) -> None:
    with served(Door(None, RateLimiter(1)), ACCESS) as client:
        config = configure(client.app, ServiceSettings(trusted_proxies=proxies), websockets=False)  # type: ignore[arg-type]
        config.load()
        proxied = TestClient(config.loaded_app)
        answers = [proxied.get("/chat/a", headers={"X-Forwarded-For": f"198.51.100.{n}"}) for n in (1, 2)]
    assert [answer.status_code for answer in answers] == statuses
