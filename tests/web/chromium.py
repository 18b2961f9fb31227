"""Headless Chromium over its DevTools protocol: as much of it as the tests of the page need."""

import base64
import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection

from tests.web.opened import PATIENCE, Failed, Opened, spoken_to

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no internet
)


class Browser:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.events: dict[str, list[dict[str, Any]]] = {}

    def send(self, method: str, session: str | None = None, /, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                if "error" in answer:
                    raise Failed(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])
            if "method" in answer:
                self.events.setdefault(answer.get("sessionId", ""), []).append(answer)

    @contextmanager
    def page(self, language: str = "ko-KR", width: int = 1280, height: int = 900) -> Iterator["Page"]:
        """In a profile of its own."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            page.send(f"{domain}.enable")
        agent = self.send("Browser.getVersion")["userAgent"]
        page.send("Network.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        page.size(width, height)
        try:
            yield page
        finally:
            self.send("Target.disposeBrowserContext", browserContextId=context)


class Page(Opened):
    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.expected: list[str] = []
        """What the browser may complain of in this test."""

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.send(method, self._session, **params)

    def size(self, width: int, height: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def media(self, **features: str) -> None:
        told = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.send("Emulation.setEmulatedMedia", features=told)

    def go(self, url: str) -> None:
        """And is there when the page's own script has run."""
        answer = self.send("Page.navigate", url=url)
        if "errorText" in answer:
            raise Failed(f"{url}: {answer['errorText']}")
        self.wait("document.readyState === 'complete' && document.documentElement.lang")

    def run(self, script: str) -> Any:
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise Failed(answer["exceptionDetails"].get("exception", {}).get("description", script))
        return answer["result"].get("value")

    def click(self, selector: str, contains: str = "") -> None:
        """With the mouse, in the middle of the first that is visible and holds this text."""
        x, y = self.place(selector, contains)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def choose_files(self, selector: str, files: list[Path]) -> None:
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def drop_files(self, files: list[Path]) -> None:
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.send("Input.dispatchDragEvent", type=kind, x=300, y=300, data=data)

    def heard(self) -> list[tuple[str, str]]:
        """Role and name of all that a screen reader is told of, in its order."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        told = [one for one in nodes if not one["ignored"]]
        return [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in told if "role" in one]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    @property
    def events(self) -> list[dict[str, Any]]:
        return self._browser.events.get(self._session, [])

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, and of the browser itself."""
        self.run("new Promise((resolve) => setTimeout(resolve, 50))")
        said = []
        for event in self.events:
            method, params = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                said.append(params["exceptionDetails"].get("exception", {}).get("description", "an exception"))
            elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning", "assert"}:
                said.append(str(params["args"]))
            elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
                said.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        return [one for one in said if not any(part in one for part in self.expected)]

    def requested(self) -> list[str]:
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent]


def speaking(recording: Path) -> tuple[str, ...]:
    """Flags for a microphone that hears this WAV file over and over, and that nobody forbids."""
    return (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}",
    )


@contextmanager
def browser(folder: Path, more: Sequence[str] = ()) -> Iterator[Browser]:
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, *more, f"--user-data-dir={folder}", "about:blank"]
    with spoken_to(command, b"DevTools listening on ") as socket:
        yield Browser(socket)
