"""The page's own routes: what is served, how long it is kept, and what the browser is told to refuse."""

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest
from starlette.testclient import TestClient

from chammal_api.access import ACCESS
from chammal_api.app import create
from chammal_api.routes import page
from chammal_api.settings import ApiSettings
from chammal_kit.app import create_app
from chammal_kit.door import Door, path_of
from chammal_kit.keys import KeyRing, KeyScope, new_key

WEB = files("chammal_api") / "web"


@pytest.fixture
def client() -> Iterator[TestClient]:
    """Behind a door with keys, and without one in hand."""
    _, stored = new_key("somebody", [KeyScope.CALLS])
    app = create_app(
        service="page",
        distribution="chammal-api",
        lifespan=lambda app: TestLifespan(),
        routers=[page.router],
        door=Door(KeyRing(stored.line())),
        access={path_of(route): ACCESS[path_of(route)] for route in page.router.routes},
    )
    with TestClient(app, base_url="http://localhost") as made:
        yield made


class TestLifespan:
    __test__ = False

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


def addresses(client: TestClient) -> list[str]:
    pages = client.get("/").text + client.get("/talk").text
    return re.findall(r'(?:href|src)="(/assets/[^"]+)"', pages)


@pytest.mark.parametrize("path", ["/", f"/calls/{1:032x}", "/calls/anything", "/talk"])
def test_the_page_is_there_for_anybody_and_no_script_runs_but_its_own(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "{{" not in answer.text
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=|https?://", answer.text)


def test_one_page_alone_may_hear_the_microphone(client: TestClient) -> None:
    for path in ("/", "/calls/anything", addresses(client)[0]):
        assert "microphone=()" in client.get(path).headers["permissions-policy"]
    assert client.get("/talk").headers["permissions-policy"] == "camera=(), geolocation=(), microphone=(self)"


def test_assets_are_kept_for_ever_and_the_page_is_asked_for_again(client: TestClient) -> None:
    for address in addresses(client):
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    for kept in ("/", "/talk", addresses(client)[-1]):
        etag = client.get(kept).headers["etag"]
        same = client.get(kept, headers={"If-None-Match": f'"other", W/{etag}'})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
        assert client.get(kept, headers={"If-None-Match": '"other"'}).status_code == 200
        assert client.head(kept).headers["content-length"] == str(len(client.get(kept).content))


def test_an_asset_of_another_version_is_answered_and_not_kept(client: TestClient) -> None:
    answer = client.get("/assets/0123456789abcdef/main.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    "path",
    [
        "/assets",
        "/assets/",
        "/assets/x/",
        "/assets/x/page.html",
        "/assets/x/..%2f..%2fsettings.py",
        "/assets/x/%2e%2e/app.py",
        "/web/main.js",
        "/calls/",
        "/calls/a/b",
    ],
)
def test_nothing_else_is_served_and_no_folder_is_listed(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in {401, 404}
    assert "main.js" not in answer.text


def test_nothing_but_reading_is_taken(client: TestClient) -> None:
    assert client.post("/").status_code == 405


def test_every_file_of_the_folder_is_served_and_every_module_that_is_imported_is_there() -> None:
    there = {one.name for one in WEB.iterdir()}
    assert there == {*page.PAGES, *page.ASSETS}
    for name in page.ASSETS:
        for imported in re.findall(r'from "([^"]+)"', (WEB / name).read_text()):
            assert imported.removeprefix("./") in page.ASSETS, (name, imported)


def test_no_asset_names_another_origin_or_turns_text_into_markup() -> None:
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function"
    forbidden = re.compile(markup + r"|https?://(?!www\.w3\.org/2000/svg)")
    for name in page.ASSETS:
        assert not forbidden.search((WEB / name).read_text()), name


def test_the_api_serves_it() -> None:
    paths = {path_of(route) for route in create(ApiSettings()).router.routes}
    assert {"/", "/calls/{call_id}", "/talk", page.ADDRESS} <= paths
