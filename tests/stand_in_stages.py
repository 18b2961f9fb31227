"""Stand-ins for stt, the llm-gateway and tts of a conversation, on a real socket, that hear and say what a test says.

stt hears by loudness: each run of loud samples is an utterance, and its words are the next of `words`.
"""

import asyncio
import contextlib
import json
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from chammal_contracts.live import (
    CLIENT_MESSAGE,
    AudioEncoding,
    Commit,
    Committed,
    Done,
    EndReason,
    Final,
    FinalSeconds,
    Finish,
    Partial,
    Ready,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    Start,
)

LOUD_SECOND = struct.pack("<2h", 9000, -9000) * 12_000
QUIET_SECOND = bytes(48_000)
_FRAME_SECONDS = 0.02


class Stages:
    def __init__(self) -> None:
        self.url = ""
        self.writing = threading.Event()
        """Unset, the language model stops after its first word."""
        self._ears: set[Ear] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.reset()

    def reset(self) -> None:
        self.words: list[str] = []
        """What is heard next; when there are none, noise."""
        self.language = "ko"
        self.replies: list[str] = []
        """What the language model says next; when there are none, two sentences."""
        self.writing.set()
        self.broken: set[str] = set()
        """Of `stt`, `llm` and `tts`: answered with 503."""
        self.starts: list[Start] = []
        self.asked: list[dict[str, Any]] = []
        self.read_ahead: list[dict[str, Any]] = []
        """Requests for one token."""
        self.spoken: list[dict[str, Any]] = []
        self.speech_bytes = 4800
        """Of one piece: a tenth of a second at 24 kHz."""

    def lose_stt(self) -> None:
        """Every stream breaks off, without a close."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for ear in self._ears:
            ear.lose()

    async def hear(self, socket: WebSocket) -> None:
        if "stt" in self.broken:
            await socket.send_denial_response(Response(status_code=503))
            return
        self._loop = asyncio.get_running_loop()
        await socket.accept()
        ear = Ear(self, socket)
        self._ears.add(ear)
        try:
            await ear.run()
        finally:
            self._ears.discard(ear)

    async def write(self, request: Request) -> Response:
        asked = await request.json()
        if asked.get("max_tokens") == 1:
            self.read_ahead.append(asked)
            return Response(status_code=503) if "llm" in self.broken else _streamed(self._chunks("."))
        self.asked.append(asked)
        if "llm" in self.broken:
            return Response(status_code=503)
        text = self.replies.pop(0) if self.replies else "알겠습니다. 또 말씀해 주세요."
        return _streamed(self._chunks(text))

    async def _chunks(self, text: str) -> AsyncIterator[str]:
        for number, word in enumerate(text.split(" ")):
            if number:
                await asyncio.to_thread(self.writing.wait, 30)
            yield _chunk({"content": f" {word}" if number else word}, None)
        attempt = {"backend": "vllm", "outcome": "ok", "http_status": 200, "seconds": 0.1}
        usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
        provenance = {"backend": "vllm", "model": "stand-in", "attempts": [attempt]}
        yield _chunk({}, "stop", usage=usage, chammal=provenance)
        yield "data: [DONE]\n\n"

    async def speak(self, request: Request) -> Response:
        self.spoken.append(await request.json())
        if "tts" in self.broken:
            return Response(status_code=503)
        return StreamingResponse(_pieces(self.speech_bytes), media_type="audio/pcm")


def _streamed(chunks: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(chunks, media_type="text/event-stream")


class Ear:
    def __init__(self, stages: Stages, socket: WebSocket) -> None:
        self._stages = stages
        self._socket = socket
        self._start = Start(sample_rate=24_000)
        self._audio = bytearray()
        self._frames = self._quiet = self._number = 0
        self._speaking = False
        self._task: asyncio.Task[None] | None = None

    def lose(self) -> None:
        """As when the process is killed."""
        assert self._task is not None
        self._task.cancel()

    async def run(self) -> None:
        self._task = asyncio.create_task(self._serve())
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
            await self._task
            return
        with contextlib.suppress(RuntimeError):
            await self._socket.close(1011)

    async def _serve(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                await self._hear(message["bytes"])
                continue
            match CLIENT_MESSAGE.validate_json(message["text"]):
                case Start() as start:
                    self._start = start
                    self._stages.starts.append(start)
                    await self._tell(
                        Ready(
                            session="s",
                            sample_rate=start.sample_rate,
                            encoding=start.encoding,
                            language=start.language,
                            silence_ms=start.silence_ms or 600,
                        )
                    )
                case Commit():
                    speaking = self._speaking
                    await self._stop(EndReason.COMMIT, final=False)
                    await self._tell(Committed(utterance=self._number if speaking else None))
                    if speaking:
                        await self._tell_final()
                case Finish():
                    await self._stop(EndReason.FINISH)
                    await self._tell(Done(audio_seconds=self._now, utterances=self._number))
                    await self._socket.close()
                    return

    @property
    def _now(self) -> float:
        return self._frames * _FRAME_SECONDS

    async def _hear(self, data: bytes) -> None:
        self._audio += data
        pcm = self._start.encoding is AudioEncoding.PCM_S16LE
        size = int(self._start.sample_rate * _FRAME_SECONDS) * (2 if pcm else 1)
        while len(self._audio) >= size:
            frame, self._audio = bytes(self._audio[:size]), self._audio[size:]
            self._frames += 1
            await self._hear_frame(_is_loud(frame, pcm))

    async def _hear_frame(self, loud: bool) -> None:
        self._quiet = 0 if loud else self._quiet + 1
        if loud and not self._speaking:
            self._speaking = True
            self._number += 1
            await self._tell(SpeechStarted(utterance=self._number, start=self._now))
            if self._stages.words:
                first = self._stages.words[0].split(" ")[0]
                await self._tell(Partial(utterance=self._number, start=0, end=1, text=f"{first} 어쩌면", stable=first))
        elif self._speaking and self._quiet * _FRAME_SECONDS * 1000 >= (self._start.silence_ms or 600):
            await self._stop(EndReason.SILENCE)

    async def _stop(self, reason: EndReason, *, final: bool = True) -> None:
        if self._speaking:
            self._speaking = False
            await self._tell(SpeechStopped(utterance=self._number, end=self._now, reason=reason))
            if final:
                await self._tell_final()

    async def _tell_final(self) -> None:
        await self._tell(
            Final(
                utterance=self._number,
                start=0,
                end=1,
                text=self._stages.words.pop(0) if self._stages.words else "",
                words=[],
                language=self._start.language or self._stages.language,
                confidence=0.9,
                suspect=[],
                reread=None,
                partials_dropped=0,
                seconds=FinalSeconds(silence=0.5, recognise=0.2, after_endpoint=0.05),
            )
        )

    async def _tell(self, event: ServerEvent) -> None:
        await self._socket.send_text(event.model_dump_json())


def _is_loud(frame: bytes, pcm: bool) -> bool:
    if pcm:
        return abs(int.from_bytes(frame[:2], "little", signed=True)) > 1000
    return frame[0] not in (0xFF, 0x7F, 0xD5, 0x55)


async def _pieces(count: int) -> AsyncIterator[bytes]:
    yield bytes(count // 2)
    yield bytes(count - count // 2)


def _chunk(delta: dict[str, str], finish: str | None, **more: object) -> str:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "stand-in"}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return f"data: {json.dumps(chunk | {'choices': choices} | more)}\n\n"


async def _ready(request: Request) -> Response:
    return JSONResponse({"ready": True})


async def _models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [{"id": "stand-in", "object": "model"}]})


@contextmanager
def stand_in_stages() -> Iterator[Stages]:
    stages = Stages()
    app = Starlette(
        routes=[
            WebSocketRoute("/v1/stream", stages.hear),
            Route("/v1/chat/completions", stages.write, methods=["POST"]),
            Route("/v1/audio/speech", stages.speak, methods=["POST"]),
            Route("/v1/models", _models),
            Route("/ready", _ready),
        ]
    )
    config = uvicorn.Config(
        app, port=0, log_config=None, lifespan="off", ws="websockets-sansio", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def startup_and_tell(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = startup_and_tell  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(10)
    stages.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield stages
    finally:
        stages.writing.set()
        server.should_exit = True
        thread.join(10)
