"""A page in a browser, whichever: what a test sees in it, and how it is waited for."""

import json
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

PATIENCE = float(os.environ.get("CHAMMAL_TEST_PATIENCE", "30"))
"""Seconds; a machine that does much else needs more."""
MAX_MESSAGE = 64 * 1024 * 1024
WAIT = """new Promise((resolve, reject) => {
  const until = Date.now() + %d;
  const look = () => {
    let found;
    try { found = (%s) } catch (error) { return reject(error) }
    if (found) return resolve(found);
    if (Date.now() > until) return reject(new Error("not in time: " + %s));
    setTimeout(look, 20);
  };
  look();
})"""


class Failed(AssertionError):
    """Of what was asked of the page."""


class Opened(ABC):
    @abstractmethod
    def run(self, script: str) -> Any: ...

    def wait(self, script: str) -> Any:
        """Until it is true; looked at within the page."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self.run(WAIT % (int(PATIENCE * 800), script, json.dumps(script)))
            except Failed as error:
                if ("context" not in str(error) and "navigat" not in str(error)) or time.monotonic() > until:
                    raise

    def text(self, selector: str) -> str:
        found = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"{found} !== null")
        return str(self.run(f"{found}.innerText"))

    def shows(self, text: str, selector: str = "body") -> None:
        try:
            self.wait(f"document.querySelector({json.dumps(selector)})?.innerText.includes({json.dumps(text)})")
        except Failed as error:
            shown = self.run(f"document.querySelector({json.dumps(selector)})?.innerText")
            raise Failed(f"{text!r} is not in {selector}: {shown!r}") from error

    def place(self, selector: str, contains: str = "") -> tuple[float, float]:
        """The middle of the first that is visible and holds this text."""
        find = (
            f"[...document.querySelectorAll({json.dumps(selector)})].find((one) => one.checkVisibility() && "
            f"one.innerText.includes({json.dumps(contains)}))"
        )
        self.wait(f"{find} && ({find}.scrollIntoView({{block: 'center', behavior: 'instant'}}), true)")
        x, y = self.run(
            f"(() => {{ const at = {find}.getBoundingClientRect();"
            "return [at.x + at.width / 2, at.y + at.height / 2] })()"
        )
        return x, y


class Driven(Opened):
    """By WebDriver, classic or bidirectional: both speak of the same actions."""

    @abstractmethod
    def act(self, source: dict[str, Any]) -> None:
        """What one mouse or one keyboard does."""

    def click(self, selector: str, contains: str = "") -> None:
        x, y = self.place(selector, contains)
        moves = [{"type": "pointerMove", "x": int(x), "y": int(y)}]
        presses = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        self.act({"type": "pointer", "id": "mouse", "actions": moves + presses})

    def type(self, text: str) -> None:
        presses = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.act({"type": "key", "id": "keyboard", "actions": presses})


@contextmanager
def spoken_to(
    command: Sequence[str], says: bytes, path: str = "", environment: dict[str, str] | None = None
) -> Iterator[ClientConnection]:
    """A browser, which says the address of its socket on standard error."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    try:
        address = _address(process, says) + path
        with connect(address, max_size=MAX_MESSAGE, compression=None, proxy=None, open_timeout=PATIENCE) as socket:
            yield socket
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def _address(process: "subprocess.Popen[bytes]", says: bytes) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if says in line:
            return line.split()[-1].decode()
    raise Failed(f"{process.args!r} did not start.")
