"""One turn on each side: from the last sound that the person made to the first of the answer."""

import json
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench.conversation.said import Said, speak
from bench.conversation.talker import TURN_SECONDS, session
from bench.mesh import Mesh
from bench.stt.audio import write_wave
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


@dataclass
class Turn:
    said: str
    first_audio: float
    """Seconds after the last sound."""
    parts: dict[str, float] = field(default_factory=dict)
    """Where they went, as the side itself tells."""
    reply: str = ""
    heard: str = ""
    silence_until: float = 0.0
    """Seconds after the last sound until the turn was held to be over."""


class Side(Protocol):
    name: str

    def turn(self, said: Said) -> Turn: ...


class Chammal:
    name = "Chammal"

    def __init__(self, url: str) -> None:
        self._url = url

    def turn(self, said: Said) -> Turn:
        with session(self._url, said.clip.language) as talker:
            ended = talker.say(said)
            first, done = talker.first("response.output_audio.delta"), talker.find("response.done")
            if first is None or done is None or done["response"]["status"] != "completed":
                raise RuntimeError(f"{said.name}: no answer: {talker.errors()} {done}")
            heard = talker.find("conversation.item.input_audio_transcription.completed") or {}
            written = talker.find("response.output_audio_transcript.done") or {}
            parts = dict(done["response"]["chammal"]["seconds"])
            parts |= {f"hearing {name}": took for name, took in heard.get("chammal", {}).get("seconds", {}).items()}
            stopped = talker.first("conversation.item.input_audio_transcription.completed") or ended
            return Turn(
                said.name,
                first - ended,
                parts,
                written.get("transcript", ""),
                heard.get("transcript", ""),
                stopped - ended,
            )


class OneAfterAnother:
    """The same services by REST: the recording, then the whole reply, then all of its speech."""

    name = "one after another"

    def __init__(self, mesh: Mesh, folder: Path, silence_seconds: float) -> None:
        self._mesh = mesh
        self._file = folder / "said.wav"
        self._silence = silence_seconds
        """After the last sound, before anything can be asked: the same as our endpoint takes."""

    def turn(self, said: Said) -> Turn:
        write_wave(self._file, said.samples(16_000))
        times = [time.monotonic()]
        heard = self._transcribe(said.clip.language)
        times.append(time.monotonic())
        reply = self._chat(heard)
        times.append(time.monotonic())
        self._mesh.spoken(reply, "pcm")
        times.append(time.monotonic())
        names = ("stt", "llm", "tts")
        parts = {name: times[place + 1] - times[place] for place, name in enumerate(names)}
        total = self._silence + times[-1] - times[0]
        return Turn(said.name, total, {"silence": self._silence, **parts}, reply, heard, self._silence)

    def _transcribe(self, language: str) -> str:
        edge = b"--bench\r\nContent-Disposition: form-data; name="
        body = b"".join(
            (
                edge + f'"language"\r\n\r\n{language}\r\n'.encode(),
                edge + b'"file"; filename="said.wav"\r\nContent-Type: audio/wav\r\n\r\n',
                self._file.read_bytes(),
                b"\r\n--bench--\r\n",
            )
        )
        answer = _post(self._mesh.url("api") + "/v1/audio/transcriptions", body, "multipart/form-data; boundary=bench")
        return str(answer["text"])

    def _chat(self, heard: str) -> str:
        asked = {"model": "default", "messages": [{"role": "user", "content": heard}], "max_tokens": 200}
        answer = _post(self._mesh.url("api") + "/v1/chat/completions", json.dumps(asked).encode(), "application/json")
        return str(answer["choices"][0]["message"]["content"])


class Pipecat:
    """A bot that runs already, for one language."""

    name = "pipecat 1.14.0"

    def __init__(self, ports: dict[str, int]) -> None:
        self._ports = ports

    def turn(self, said: Said) -> Turn:
        first: list[float] = []
        with connect(f"ws://127.0.0.1:{self._ports[said.clip.language]}", proxy=None, max_size=None) as socket:
            give_up = time.monotonic() + TURN_SECONDS

            def send(samples: bytes) -> None:
                socket.send(samples)
                while True:
                    try:
                        message = socket.recv(timeout=0)
                    except (TimeoutError, ConnectionClosed):
                        return
                    if isinstance(message, bytes) and any(message):
                        first.append(time.monotonic())

            ended = speak(said.samples(16_000), 16_000, send, lambda: bool(first) or time.monotonic() > give_up)
        if not first:
            raise RuntimeError(f"{said.name}: pipecat did not answer within {TURN_SECONDS:.0f} s")
        return Turn(said.name, first[0] - ended)


def _post(url: str, body: bytes, media_type: str) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": media_type})
    with urllib.request.urlopen(request, timeout=TURN_SECONDS) as answer:
        told: dict[str, Any] = json.load(answer)
        return told
