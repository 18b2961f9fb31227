"""A client of `WS /v1/realtime` that keeps the time of every event."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.conversation.said import Said, speak
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

RATE = 24_000
TURN_SECONDS = 90.0
Event = dict[str, Any]


class Talker:
    """One session. Events are kept as they come, with the second on the monotonic clock."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._changed = threading.Condition()
        self.events: list[tuple[float, Event]] = []
        self.closed = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def send(self, **event: Any) -> None:
        self._socket.send(json.dumps(event))

    def hear(self, samples: bytes) -> None:
        self.send(type="input_audio_buffer.append", audio=base64.b64encode(samples).decode())

    def say(self, said: Said, until: str = "response.done") -> float:
        """Speaks and stays silent until the event; the second at which the last sound was sent."""
        seen, give_up = len(self.events), time.monotonic() + TURN_SECONDS

        def over() -> bool:
            return self.closed or time.monotonic() > give_up or self.first(until, seen) is not None

        return speak(said.samples(RATE), RATE, self.hear, over)

    def first(self, kind: str, after: int = 0) -> float | None:
        """When it came."""
        return next((at for at, event in self.events[after:] if event["type"] == kind), None)

    def find(self, kind: str, after: int = 0) -> Event | None:
        return next((event for _, event in self.events[after:] if event["type"] == kind), None)

    def wait(self, kind: str, after: int = 0, seconds: float = TURN_SECONDS) -> float:
        give_up = time.monotonic() + seconds
        with self._changed:
            while (at := self.first(kind, after)) is None:
                left = give_up - time.monotonic()
                if self.closed or left <= 0 or not self._changed.wait(left):
                    raise TimeoutError(f"no {kind}; there were {[event['type'] for _, event in self.events[after:]]}")
        return at

    def errors(self) -> list[str]:
        return [event["error"]["message"] for _, event in self.events if event["type"] == "error"]

    def _listen(self) -> None:
        try:
            for message in self._socket:
                now, event = time.monotonic(), json.loads(message)
                with self._changed:
                    self.events.append((now, event))
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            with self._changed:
                self.closed = True
                self._changed.notify_all()


@contextmanager
def session(url: str, language: str | None, **turn_detection: Any) -> Iterator[Talker]:
    address = "ws" + url.removeprefix("http") + "/v1/realtime?model=chammal"
    with connect(address, proxy=None, max_size=None) as socket:
        talker = Talker(socket)
        talker.wait("session.created", seconds=10)
        audio: dict[str, Any] = {"input": {"transcription": {"language": language}}}
        if turn_detection:
            audio["input"]["turn_detection"] = turn_detection
        talker.send(type="session.update", session={"type": "realtime", "audio": audio})
        talker.wait("session.updated", seconds=10)
        yield talker
