"""Headless Firefox over WebDriver BiDi: as much of it as the tests of the page need."""

import base64
import itertools
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection

from tests.web.opened import PATIENCE, Driven, Failed, spoken_to

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
PREFERENCES = {
    "media.navigator.streams.fake": True,  # its microphone hears a tone
    "media.navigator.permission.disabled": True,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}

LATENCY = "Object.defineProperty(AudioContext.prototype, 'outputLatency', { get: () => 0.05 }) && 1"
"""Firefox 153 with a null sink of PulseAudio 16 hangs, most times, in the page's first look at it."""


class Page(Driven):
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._said: list[str] = []
        self.version = ""
        self._context = ""

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                if answer["type"] == "error":
                    raise Failed(f"{method}: {answer['message']}")
                return dict(answer["result"])
            if answer.get("method") == "log.entryAdded" and answer["params"]["level"] in {"error", "warn"}:
                self._said.append(f"{answer['params']['text']} {answer['params'].get('stackTrace', '')}")

    def begin(self) -> None:
        self.version = self.send("session.new", capabilities={})["capabilities"]["browserVersion"]
        self._context = self.send("browsingContext.getTree")["contexts"][0]["context"]
        self.send("session.subscribe", events=["log.entryAdded"])

    def go(self, url: str) -> None:
        self.send("browsingContext.navigate", context=self._context, url=url, wait="complete")
        self.wait("document.documentElement.lang")
        self.run(LATENCY)

    def size(self, width: int, height: int) -> None:
        self.send("browsingContext.setViewport", context=self._context, viewport={"width": width, "height": height})

    def run(self, script: str) -> Any:
        answer = self.send(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({script})))()",
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise Failed(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"].get("value", "null"))

    def act(self, source: dict[str, Any]) -> None:
        self.send("input.performActions", context=self._context, actions=[source])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(
            base64.b64decode(self.send("browsingContext.captureScreenshot", context=self._context)["data"])
        )

    def complaints(self) -> list[str]:
        """Errors and warnings of the console."""
        self.run("new Promise((resolve) => setTimeout(resolve, 50))")
        return self._said


@contextmanager
def page(folder: Path, environment: dict[str, str]) -> Iterator[Page]:
    assert FIREFOX is not None
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (folder / "user.js").write_text("\n".join(lines))
    command = [FIREFOX, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(folder)]
    with spoken_to(command, b"WebDriver BiDi listening on ", "/session", environment) as socket:
        opened = Page(socket)
        opened.begin()
        yield opened
