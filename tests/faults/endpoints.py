"""Each endpoint as a caller meets it: one request, and all that came of it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.faults import calls, conversation
from tests.faults.exchange import CALLER_SECONDS, Driver, Given, Seen, recording, send
from tests.faults.matrix import Endpoint

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


NOTHING = Given()


def call(endpoint: Endpoint, url: str, given: Given = NOTHING, *, padding: int = 0) -> Seen:
    """`padding`: so many bytes more in a recording that is uploaded."""
    seen = Seen(request_id=f"cell-{uuid4().hex[:12]}", padding=padding)
    started = time.monotonic()
    _DRIVERS[endpoint](url, seen, given)
    seen.seconds = time.monotonic() - started
    return seen


def _transcribe(**fields: str) -> Driver:
    def drive(url: str, seen: Seen, given: Given) -> None:
        form = {"language": "en", "incomplete_elements_check": "true", **fields}
        if given.agent_url:
            form["agent_url"] = given.agent_url
        send(seen, "POST", f"{url}/transcribe", files={"file": recording(seen.padding)}, data=form)

    return drive


def _transcriptions(**fields: str) -> Driver:
    def drive(url: str, seen: Seen, _: Given) -> None:
        form = {"model": "whisper-1", "language": "en", **fields}
        send(seen, "POST", f"{url}/v1/audio/transcriptions", files={"file": recording(seen.padding)}, data=form)

    return drive


def _post(path: str, body: dict[str, Any]) -> Driver:
    return lambda url, seen, _: send(seen, "POST", url + path, json=body)


def _get(path: str) -> Driver:
    return lambda url, seen, _: send(seen, "GET", url + path)


def _chat(**more: Any) -> Driver:
    messages = [{"role": "user", "content": "One true word."}]
    return _post("/v1/chat/completions", {"model": "default", "max_tokens": 8, "messages": messages, **more})


def _live(url: str, seen: Seen, _: Given) -> None:
    with (
        _closing(seen),
        connect(
            "ws" + url.removeprefix("http") + "/v1/stream",
            additional_headers={"X-Request-Id": seen.request_id},
            open_timeout=CALLER_SECONDS,
            proxy=None,
        ) as socket,
    ):
        with suppress(ConnectionClosed):  # what it said before it closed is still to be read
            socket.send(json.dumps({"type": "start", "sample_rate": 16_000, "language": "en"}))
            samples = recording()[44:]
            for place in range(0, len(samples), 6400):
                socket.send(samples[place : place + 6400])
            socket.send(json.dumps({"type": "finish"}))
        while True:
            event = json.loads(socket.recv(timeout=CALLER_SECONDS))
            if event["type"] == "error":
                seen.error_event = event
            seen.body = event["type"]


def _realtime(url: str, seen: Seen, _: Given) -> None:
    with _closing(seen):
        conversation.one_turn(url, seen)


@contextmanager
def _closing(seen: Seen) -> Iterator[None]:
    try:
        yield
    except ConnectionClosed as closed:
        seen.status = closed.rcvd.code if closed.rcvd else 0
        seen.cut = closed.rcvd is None
    except InvalidStatus as refused:
        seen.status = refused.response.status_code
        seen.headers = {name.lower(): value for name, value in refused.response.headers.raw_items()}
        seen.body = json.loads(refused.response.body or b"null")
    except TimeoutError:
        seen.hung = True


_DRIVERS: dict[Endpoint, Driver] = {
    Endpoint.TRANSCRIBE: _transcribe(),
    Endpoint.TRANSCRIBE_OR_ERROR: _transcribe(on_failure="error"),
    Endpoint.TRANSCRIPTIONS: _transcriptions(),
    Endpoint.TRANSCRIPTIONS_STREAM: _transcriptions(stream="true"),
    Endpoint.SPEECH: _post("/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "Yes."}),
    Endpoint.CHAT: _chat(),
    Endpoint.CHAT_STREAM: _chat(stream=True),
    Endpoint.MODELS: _get("/v1/models"),
    Endpoint.LIVE: _live,
    Endpoint.REALTIME: _realtime,
    Endpoint.READY: _get("/ready"),
    Endpoint.FAILURES: _get("/v1/failures"),
    Endpoint.HEALTH: _get("/health"),
    Endpoint.CALL: calls.life,
    Endpoint.CALLS: _get("/v1/calls?q=one+true+word"),
    Endpoint.CALL_READ: calls.stored("GET", ""),
    Endpoint.CALL_EVENTS: calls.stored("GET", "/events"),
    Endpoint.CALL_TRANSCRIPT: calls.stored("GET", "/transcript.srt"),
    Endpoint.CALL_AUDIO: calls.stored("GET", "/audio"),
    Endpoint.CALL_REPORT: calls.stored("GET", "/report"),
    Endpoint.CALL_REANALYSE: calls.stored("POST", "/reanalyse"),
    Endpoint.CALL_DELETE: calls.stored("DELETE", ""),
    Endpoint.CHECKS: _post("/v1/checks", calls.SPOKEN),
    Endpoint.RULES: _get("/v1/rules"),
    Endpoint.PAGE: _get("/"),
    Endpoint.GATEWAY_CHAT: _chat(),
    Endpoint.GATEWAY_STREAM: _chat(stream=True),
    Endpoint.GATEWAY_JSON: _chat(
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
    ),
    Endpoint.GATEWAY_MODELS: _get("/v1/models"),
    Endpoint.GATEWAY_READY: _get("/ready"),
}
