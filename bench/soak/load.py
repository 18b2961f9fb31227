"""A light mix of all that the api does, and of callers who misbehave."""

import asyncio
import io
import json
import random
import wave
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

PATIENCE = 150.0
_DEADLINE = {"Chammal-Deadline": "120"}
"""Seconds. Whoever says so and gets no answer long after has met a hang."""
"""An answer that takes longer hangs: a live session or a stream may take the 120 s that the api grants speech."""


@dataclass
class Outcomes:
    """How often each job ended in which way."""

    by_job: dict[str, Counter[str]] = field(default_factory=dict)
    hung: int = 0

    def count(self, job: str, outcome: str) -> None:
        self.by_job.setdefault(job, Counter())[outcome] += 1


class Load:
    def __init__(self, api: str, clip: bytes, seed: int) -> None:
        self.outcomes = Outcomes()
        self._api = api
        self._clip = clip
        self._random = random.Random(seed)

    async def run(self) -> None:
        """Until cancelled."""
        jobs: list[tuple[str, float, Callable[[httpx2.AsyncClient], Awaitable[str]]]] = [
            ("transcribe", 12, self._transcribe),
            ("transcriptions, streamed", 30, self._transcribe_streamed),
            ("chat", 1.5, self._chat),
            ("chat, streamed", 3, self._chat_streamed),
            ("chat, left early", 7, self._chat_left),
            ("speech", 12, self._speech),
            ("speech, left early", 40, self._speech_left),
            ("live", 45, self._live),
            ("live, left early", 60, self._live_left),
            ("bad audio", 9, self._bad_audio),
            ("upload, left early", 20, self._upload_left),
            ("bad request", 5, self._bad_request),
            ("ready", 5, self._ready),
            ("models", 11, self._models),
        ]
        async with (
            httpx2.AsyncClient(base_url=self._api, timeout=PATIENCE, trust_env=False, headers=_DEADLINE) as client,
            asyncio.TaskGroup() as group,
        ):
            for name, seconds, job in jobs:
                group.create_task(self._repeat(name, seconds, job, client))

    async def _repeat(
        self, name: str, seconds: float, job: Callable[[httpx2.AsyncClient], Awaitable[str]], client: httpx2.AsyncClient
    ) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / seconds))
            try:
                async with asyncio.timeout(PATIENCE):
                    outcome = await job(client)
            except TimeoutError:
                self.outcomes.hung += 1
                outcome = "HUNG"
            except (httpx2.HTTPError, OSError, WebSocketException) as error:
                outcome = type(error).__name__
            self.outcomes.count(name, outcome)

    async def _transcribe(self, client: httpx2.AsyncClient) -> str:
        answer = await client.post("/transcribe", files={"file": ("a.wav", self._clip)}, data={"language": "en"})
        return _outcome(answer)

    async def _transcribe_streamed(self, client: httpx2.AsyncClient) -> str:
        form = {"model": "whisper-1", "language": "en", "stream": "true"}
        files = {"file": ("a.wav", self._clip)}
        async with client.stream("POST", "/v1/audio/transcriptions", files=files, data=form) as answer:
            return await _last(answer, "transcript.text.done")

    async def _chat(self, client: httpx2.AsyncClient) -> str:
        return _outcome(await client.post("/v1/chat/completions", json=_question()))

    async def _chat_streamed(self, client: httpx2.AsyncClient) -> str:
        async with client.stream("POST", "/v1/chat/completions", json=_question(stream=True)) as answer:
            return await _last(answer, "[DONE]")

    async def _chat_left(self, client: httpx2.AsyncClient) -> str:
        return await _leave(client, "/v1/chat/completions", _question(stream=True))

    async def _speech(self, client: httpx2.AsyncClient) -> str:
        return _outcome(await client.post("/v1/audio/speech", json=_words()))

    async def _speech_left(self, client: httpx2.AsyncClient) -> str:
        return await _leave(client, "/v1/audio/speech", _words())

    async def _live(self, client: httpx2.AsyncClient) -> str:
        async with connect(f"{self._api.replace('http', 'ws')}/v1/stream", proxy=None) as socket:
            await self._talk(socket)
            await socket.send(json.dumps({"type": "finish"}))
            kinds = [json.loads(message)["type"] async for message in socket]
        return kinds[-1] if kinds else "nothing"

    async def _live_left(self, client: httpx2.AsyncClient) -> str:
        async with connect(f"{self._api.replace('http', 'ws')}/v1/stream", proxy=None) as socket:
            await self._talk(socket)
            socket.transport.abort()
        return "left"

    async def _talk(self, socket: ClientConnection) -> None:
        with wave.open(io.BytesIO(self._clip)) as recording:
            await socket.send(json.dumps({"type": "start", "sample_rate": recording.getframerate()}))
            while frames := recording.readframes(recording.getframerate() // 10):
                await socket.send(frames)

    async def _bad_audio(self, client: httpx2.AsyncClient) -> str:
        return _outcome(await client.post("/transcribe", files={"file": ("a.wav", self._random.randbytes(20_000))}))

    async def _upload_left(self, client: httpx2.AsyncClient) -> str:
        async def half() -> AsyncIterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + self._clip[:50_000]
            raise ConnectionAbortedError

        headers = {"content-type": "multipart/form-data; boundary=b"}
        return _outcome(await client.post("/transcribe", content=half(), headers=headers))

    async def _bad_request(self, client: httpx2.AsyncClient) -> str:
        bodies = [b"{", b"[]", b'{"model": 3}', b'{"messages": []}', b"\xff" * 100]
        body, path = (
            self._random.choice(bodies),
            self._random.choice(["/v1/chat/completions", "/v1/audio/speech", "/no"]),
        )
        return _outcome(await client.post(path, content=body, headers={"content-type": "application/json"}))

    async def _ready(self, client: httpx2.AsyncClient) -> str:
        return _outcome(await client.get("/ready"))

    async def _models(self, client: httpx2.AsyncClient) -> str:
        return _outcome(await client.get("/v1/models"))


def _question(*, stream: bool = False) -> dict[str, object]:
    return {"model": "default", "messages": [{"role": "user", "content": "Is it?"}], "stream": stream}


def _words() -> dict[str, str]:
    return {"model": "tts-1", "voice": "alloy", "input": "Yes."}


def _outcome(answer: httpx2.Response) -> str:
    degraded = answer.headers.get("chammal-degraded")
    return f"{answer.status_code} {degraded}" if degraded else str(answer.status_code)


async def _last(answer: httpx2.Response, end: str) -> str:
    text = (await answer.aread()).decode(errors="replace")
    if answer.status_code != 200:
        return str(answer.status_code)
    return "200" if end in text else "200, broken off" if "error" in text else "200, cut"


async def _leave(client: httpx2.AsyncClient, path: str, body: dict[str, object]) -> str:
    async with client.stream("POST", path, json=body) as answer:
        async for _ in answer.aiter_bytes():
            break
    return "left"
