"""Recorded calls as their sender meets them, and the stored ones that are read."""

import json
import time
from typing import Any

import httpx2

from tests.faults.exchange import CALLER_SECONDS, Driver, Given, Seen, recording, send
from tests.faults.service import HTTP
from tests.faults.stored_calls import stored_id

RUNNING = ("queued", "running")
POLL_SECONDS = 0.1
FIRST = stored_id(0)
PRODUCT = "투자성"
SPOKEN: dict[str, Any] = {
    "product_type": PRODUCT,
    "utterances": [
        {"id": "1", "speaker": "agent", "text": "원금은 무조건 보장됩니다. 손실 날 일이 없습니다."},
        {"id": "2", "speaker": "customer", "text": "네, 알겠습니다."},
    ],
}
"""Rules find the violation in it, whether or not a model answers."""


def life(url: str, seen: Seen, given: Given) -> None:
    """What is seen is the refusal, or the call when it had ended and whoever is to be told was told once."""
    form = {"language": "en", "product_type": PRODUCT, "started_at": "2026-11-20T14:30:00+09:00"}
    if given.agent_url:
        form["agent_url"] = given.agent_url
    if given.webhook_url:
        form["webhook_url"] = given.webhook_url
    if given.file_url:
        send(seen, "POST", f"{url}/v1/calls", data={**form, "file_url": given.file_url})
    else:
        send(seen, "POST", f"{url}/v1/calls", data=form, files={"file": ("call.wav", recording(seen.padding))})
    if seen.status != 202:
        return
    seen.call_id = seen.request_id = seen.body["id"]
    give_up = time.monotonic() + CALLER_SECONDS
    if not _ends(f"{url}/v1/calls/{seen.call_id}/events"):
        seen.hung = True
        return
    send(seen, "GET", f"{url}/v1/calls/{seen.call_id}")
    while given.webhook_url and seen.status == 200 and seen.body["webhook"] is None:
        if time.monotonic() > give_up:
            seen.hung = True
            return
        time.sleep(POLL_SECONDS)
        send(seen, "GET", f"{url}/v1/calls/{seen.call_id}")


def _ends(events: str) -> bool:
    """Whether the stream of the call's events comes to the end of its analysis."""
    with HTTP.stream("GET", events, timeout=CALLER_SECONDS) as answer:
        try:
            for line in answer.iter_lines():
                if line.startswith("data: ") and json.loads(line[6:])["status"] not in RUNNING:
                    return True
        except httpx2.TransportError:
            return False
    return False


def stored(method: str, path: str) -> Driver:
    def drive(url: str, seen: Seen, given: Given) -> None:
        call_id = given.stored() if method != "GET" else FIRST
        send(seen, method, f"{url}/v1/calls/{call_id}{path}")
        if seen.status == 202:
            seen.call_id = call_id

    return drive


def heals(url: str, call_id: str, seconds: float) -> dict[str, Any]:
    """The call once nothing more comes by itself, or after `seconds`."""
    give_up = time.monotonic() + seconds
    while True:
        call: dict[str, Any] = HTTP.get(f"{url}/v1/calls/{call_id}", timeout=CALLER_SECONDS).json()
        told = call["webhook"]
        is_told = told is None or (told["delivered"] and told["revision"] == call["revision"])
        if (call["status"] == "complete" and is_told) or time.monotonic() > give_up:
            return call
        time.sleep(POLL_SECONDS)


def delete(url: str, call_id: str) -> None:
    """So that nothing of it goes on in the background of other cells."""
    HTTP.delete(f"{url}/v1/calls/{call_id}", timeout=CALLER_SECONDS)
