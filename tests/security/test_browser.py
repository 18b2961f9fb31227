"""A real browser against the door: a page of another origin, a name that points here, and the service's own page."""

import asyncio
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request, WebSocket
from prometheus_client.registry import REGISTRY
from starlette.responses import HTMLResponse

from chammal_kit.app import create_app
from chammal_kit.door import ANY_KEY, ANYONE, Access, Door
from chammal_kit.keys import KeyRing, KeyScope, new_key
from chammal_kit.serve import Server, configure
from chammal_kit.settings import ServiceSettings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no browser")
PATIENCE = 60.0
KEY, STORED = new_key("page", [KeyScope.ADMIN])
SCRIPT = """<!doctype html><iframe name="frame"></iframe>
<form method="post" enctype="multipart/form-data" target="frame" action="API/upload"><input name="a" value="b"></form>
<script>
const tried = async (what) => { try { return await what() } catch (error) { return "failed" } };
const form = () => { const made = new FormData(); made.append("file", new Blob(["RIFF"]), "a.wav"); return made };
const live = () => new Promise((resolve) => {
  const socket = new WebSocket("API/live".replace("http", "ws"), ["chammal.live", "chammal.key.KEY"]);
  socket.onopen = () => { resolve(socket.protocol); socket.close() };
  socket.onerror = () => resolve("failed");
});
(async () => {
  const headers = HEADERS, said = {}, simple = {method: "POST", mode: "MODE", headers};
  said.upload = await tried(async () => (await fetch("API/upload", {...simple, body: form()})).status);
  said.plain = await tried(async () => (await fetch("API/upload", {...simple, body: "{}"})).status);
  said.read = await tried(async () => await (await fetch("API/read", {headers})).json());
  said.live = await live();
  if ("NAMED") said.named = await tried(async () => (await fetch("NAMED/read", {mode: "no-cors"})).type);
  if ("MODE" == "no-cors") await new Promise((resolve) => {
    document.querySelector("iframe").onload = resolve; document.querySelector("form").submit();
  });
  await fetch("/report", {method: "POST", body: JSON.stringify(said)});
})();
</script>"""


@dataclass
class Seen:
    uploads: int = 0
    reads: int = 0
    lives: int = 0
    reports: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)


def router(seen: Seen) -> APIRouter:
    routes = APIRouter()

    @routes.post("/upload")
    async def upload(request: Request) -> int:
        seen.uploads += 1
        return len(await request.body())

    @routes.get("/read")
    async def read() -> str:
        seen.reads += 1
        return "a secret"

    @routes.websocket("/live")
    async def live(socket: WebSocket) -> None:
        seen.lives += 1
        await socket.accept()
        await socket.close()

    @routes.get("/page")
    async def page(request: Request) -> HTMLResponse:
        text = script(str(request.base_url).rstrip("/"), mode="cors", headers=f'{{"X-API-Key": "{KEY}"}}', key=KEY)
        return HTMLResponse(text, headers={"Content-Security-Policy": "default-src 'self' 'unsafe-inline' ws:"})

    @routes.post("/report")
    async def report(request: Request) -> None:
        seen.reports.put(await request.json())

    return routes


def script(api: str, *, mode: str, headers: str = "{}", key: str = "none", named: str = "") -> str:
    told = {"API": api, "MODE": mode, "HEADERS": headers, "KEY": key, "NAMED": named}
    text = SCRIPT
    for word, value in told.items():
        text = text.replace(word, value)
    return text


@asynccontextmanager
async def nothing(app: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def serve(seen: Seen) -> Iterator[Any]:
    stops = []

    def serve(door: Door | None = None, **settings: object) -> int:
        access: dict[str, Access] = dict.fromkeys(("/upload", "/read", "/live"), ANY_KEY)
        app = create_app(
            service="probe",
            distribution="chammal-kit",
            lifespan=nothing,
            routers=[router(seen)],
            settings=ServiceSettings.model_validate(settings),
            door=door,
            access=access | {"/page": ANYONE, "/report": ANYONE},
        )
        server = Server(configure(app, ServiceSettings(port=0, shutdown_seconds=1), websockets=True))
        started = threading.Event()

        async def run() -> None:
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 uvicorn tells nobody
                await asyncio.sleep(0.01)
            started.set()
            await serving

        thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        thread.start()
        assert started.wait(PATIENCE)

        def stop() -> None:
            server.should_exit = True
            thread.join(PATIENCE)

        stops.append(stop)
        return int(server.servers[0].sockets[0].getsockname()[1])

    yield serve
    for stop in stops:
        stop()


@pytest.fixture
def foreign(seen: Seen) -> Iterator[Any]:
    """Another site, with a page of our choice."""
    pages: list[str] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(pages[0].encode())

        def do_POST(self) -> None:
            seen.reports.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    site = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield lambda page: (pages.append(page), site.server_address[1])[1]
    site.shutdown()
    site.server_close()


@pytest.fixture
def browse(seen: Seen, tmp_path: Path) -> Iterator[Any]:
    running: list[subprocess.Popen[bytes]] = []

    def browse(url: str) -> dict[str, Any]:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                 f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP *.example 127.0.0.1"]  # fmt: skip
        assert CHROMIUM is not None
        running.append(subprocess.Popen([CHROMIUM, *flags, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return seen.reports.get(timeout=PATIENCE)

    yield browse
    for process in running:
        process.terminate()
        process.wait(PATIENCE)


def refused(code: str) -> float:
    return REGISTRY.get_sample_value("chammal_refused_total", {"code": code}) or 0.0


def test_a_page_of_another_site_gets_nothing_done_on_this_machine(
    serve: Any, foreign: Any, browse: Any, seen: Seen
) -> None:
    port = serve()
    origins, hosts = refused("origin_not_allowed"), refused("host_not_allowed")
    page = script(f"http://127.0.0.1:{port}", mode="no-cors", named=f"http://evil.example:{port}")
    said = browse(f"http://evil.example:{foreign(page)}/")
    assert seen.uploads == seen.lives == 0
    assert said["read"] == "failed"
    assert said["live"] == "failed"
    assert seen.reads <= 1, "the browser asks, and keeps the answer from the page"
    assert refused("origin_not_allowed") >= origins + 4, "two uploads, the form, and the WebSocket"
    assert refused("host_not_allowed") >= hosts + 1, "a browser asks twice where it is told 421"


def test_the_same_page_gets_it_done_where_all_are_allowed(serve: Any, foreign: Any, browse: Any, seen: Seen) -> None:
    """Else the test above would show nothing."""
    port = serve(origins="*", hosts="*")
    page = script(f"http://127.0.0.1:{port}", mode="no-cors", named=f"http://evil.example:{port}")
    said = browse(f"http://evil.example:{foreign(page)}/")
    assert (seen.uploads, seen.reads, seen.lives) == (3, 2, 1)
    assert said["read"] == "a secret"


def test_the_services_own_page_may_do_all_with_its_key(serve: Any, browse: Any, seen: Seen) -> None:
    port = serve(Door(KeyRing(STORED.line())))
    said = browse(f"http://127.0.0.1:{port}/page")
    assert said == {"upload": 200, "plain": 200, "read": "a secret", "live": "chammal.live"}
    assert (seen.uploads, seen.reads, seen.lives) == (2, 1, 1)
