"""WebKitGTK, the nearest thing to Safari here, over WebDriver: as much of it as the tests of the page need."""

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.web.opened import PATIENCE, Driven, Failed

DRIVER, SCREEN = shutil.which("WebKitWebDriver"), shutil.which("Xvfb")
BROWSER = next(Path("/usr").glob("lib*/**/webkit2gtk-4.1/MiniBrowser"), None)
FLAGS = ["--automation", "--enable-media-stream=true", "--enable-mock-capture-devices=true"]
"""Its microphone hears a beep now and then."""
WATCH = """(() => {
  const said = (window.said = []);
  for (const name of ["error", "warn"]) console[name] = (...told) => said.push(told.join(" "));
  addEventListener("error", (event) => said.push(event.message));
  addEventListener("unhandledrejection", (event) => said.push(String(event.reason)));
})()"""
RUN = """const [done] = arguments;
(async () => JSON.stringify(await (%s)))().then(done, (error) => done({ failed: String(error) }));"""


class Page(Driven):
    def __init__(self, driver: httpx2.Client) -> None:
        self._driver = driver
        options = {"binary": str(BROWSER), "args": FLAGS}
        asked = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        begun = self._answer(driver.post("/session", json=asked))
        self.version = begun["capabilities"]["browserVersion"]
        self._session = f"/session/{begun['sessionId']}"
        self.send("timeouts", script=int(PATIENCE * 1000))

    def send(self, command: str, **params: Any) -> Any:
        return self._answer(self._driver.post(f"{self._session}/{command}", json=params))

    def _answer(self, response: httpx2.Response) -> Any:
        value = response.json()["value"]
        if response.status_code != 200:
            raise Failed(value["message"])
        return value

    def end(self) -> None:
        self._driver.delete(self._session)

    def go(self, url: str) -> None:
        self.send("url", url=url)
        self.wait("document.documentElement.lang")
        self.run(WATCH)

    def size(self, width: int, height: int) -> None:
        self.send("window/rect", width=width, height=height)

    def run(self, script: str) -> Any:
        answer = self.send("execute/async", script=RUN % script, args=[])
        if isinstance(answer, dict):
            raise Failed(answer["failed"])
        return json.loads(answer or "null")

    def act(self, source: dict[str, Any]) -> None:
        self.send("actions", actions=[source])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._answer(self._driver.get(f"{self._session}/screenshot"))))

    def complaints(self) -> list[str]:
        """Errors and warnings since the page was there."""
        self.run("new Promise((resolve) => setTimeout(resolve, 50))")
        return list(self.run("window.said"))


@contextmanager
def page(environment: dict[str, str]) -> Iterator[Page]:
    assert DRIVER is not None
    assert SCREEN is not None
    reading, writing = os.pipe()
    screen = subprocess.Popen(
        [SCREEN, "-displayfd", str(writing), "-screen", "0", "1280x1024x24"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            environment = environment | {"DISPLAY": f":{told.readline().strip()}"}
        with _driver(environment) as driver:
            opened = Page(driver)
            try:
                yield opened
            finally:
                opened.end()
    finally:
        screen.terminate()
        screen.wait(PATIENCE)


@contextmanager
def _driver(environment: dict[str, str]) -> Iterator[httpx2.Client]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    process = subprocess.Popen([str(DRIVER), f"--port={port}"], env=environment, stderr=subprocess.DEVNULL)
    try:
        transport = httpx2.HTTPTransport(retries=7)
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=PATIENCE * 2) as driver:
            yield driver
    finally:
        process.terminate()
        process.wait(PATIENCE)
