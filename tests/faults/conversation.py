"""One turn of a conversation: push-to-talk, so that its end is known whatever is broken."""

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

from websockets.sync.client import ClientConnection, connect

from chammal_contracts.stages import Stage, StageReport
from tests.faults.exchange import CALLER_SECONDS, Seen, recording

RATE = 24_000
PIECE = 9_600
_HEARD = "conversation.item.input_audio_transcription.completed"
_UNHEARD = "conversation.item.input_audio_transcription.failed"


@dataclass
class Talk:
    """What came of it."""

    stages: list[StageReport] = field(default_factory=list)
    """But for the mood."""
    transcript: str | None = None
    reply: str | None = None
    audio: int = 0
    """Bytes."""
    status: str | None = None
    """Of the response; None where there was none to ask for."""


def one_turn(url: str, seen: Seen) -> None:
    """It is over when the session has answered once more after it. Raises ConnectionClosed and TimeoutError."""
    with connect(
        "ws" + url.removeprefix("http") + "/v1/realtime",
        additional_headers={"X-Request-Id": seen.request_id},
        open_timeout=CALLER_SECONDS,
        proxy=None,
    ) as socket:
        talk = seen.body = Talk()
        audio = {"input": {"turn_detection": None, "transcription": {"language": "en"}}}
        _send(socket, "session.update", session={"type": "realtime", "audio": audio})
        samples = _at_24_khz(recording()[44:])
        for place in range(0, len(samples), PIECE):
            _send(socket, "input_audio_buffer.append", audio=base64.b64encode(samples[place : place + PIECE]).decode())
        _send(socket, "input_audio_buffer.commit")
        heard = _until(socket, seen, _HEARD, _UNHEARD)
        if heard["type"] == _HEARD:
            talk.transcript = heard["transcript"]
            _send(socket, "response.create")
            response = _until(socket, seen, "response.done")["response"]
            talk.status = response["status"]
            talk.reply = "".join(part["transcript"] for item in response["output"] for part in item["content"])
            talk.stages = _reports(heard["chammal"]["stages"] + response["chammal"]["stages"])
        else:
            talk.stages = _reports([heard["error"]["chammal"]])
        _send(socket, "session.update", session={"type": "realtime", "instructions": "Go on."})
        _until(socket, seen, "session.updated")
        seen.status = 1000


def _until(socket: ClientConnection, seen: Seen, *kinds: str) -> dict[str, Any]:
    give_up = time.monotonic() + CALLER_SECONDS
    while True:
        event: dict[str, Any] = json.loads(socket.recv(timeout=max(0.0, give_up - time.monotonic())))
        if event["type"] == "error":
            seen.error_event = seen.error_event or event["error"]
        elif event["type"] == "response.output_audio.delta":
            seen.body.audio += len(base64.b64decode(event["delta"]))
        if event["type"] in kinds:
            return event


def _send(socket: ClientConnection, kind: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


def _reports(told: list[dict[str, Any]]) -> list[StageReport]:
    reports = {report.stage: report for report in map(StageReport.model_validate, told)}
    return [report for stage, report in reports.items() if stage is not Stage.EMOTION]


def _at_24_khz(samples: bytes) -> bytes:
    """From 16 kHz, by the sample before and the one after."""
    values = memoryview(samples).cast("h")
    made = bytearray()
    for place in range(0, len(values) - 2, 2):
        first, second, third = values[place], values[place + 1], values[place + 2]
        for value in (first, (first + 2 * second) // 3, (2 * second + third) // 3):
            made += value.to_bytes(2, "little", signed=True)
    return bytes(made)
