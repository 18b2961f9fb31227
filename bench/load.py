"""Load on the mesh, from a process of its own: `python -m bench.load` takes a Plan on stdin and prints a Report.

Open: requests leave when they are due, whatever has become of those before (Poisson). Closed: so many clients, each of
which sends its next request when it has the answer to the last.
"""

import asyncio
import contextlib
import gc
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import TypeAdapter

_TICK_SECONDS = 0.005


class Kind(StrEnum):
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"
    CHAT = "chat"
    CALL = "call"
    """`POST /transcribe` with its analysis."""


PATIENCE = {Kind.TRANSCRIPTION: 10.0, Kind.SPEECH: 10.0, Kind.CHAT: 5.0, Kind.CALL: 15.0}
"""Seconds. What comes later is worth nothing."""
SENTENCE = "네, 고객님."


@dataclass
class Plan:
    api: str
    clip: str
    """Path of the recording that is sent."""
    seconds: float
    rates: dict[Kind, float] = field(default_factory=dict)
    """Requests a second, open."""
    clients: dict[Kind, int] = field(default_factory=dict)
    """Closed."""
    seed: int = 0


@dataclass
class Answer:
    kind: Kind
    due: float
    """Second of the run; of closed clients, when it was sent."""
    sent: float
    done: float
    status: int
    """0: none within the patience of the caller, or the connection broke."""
    good: bool
    code: str = ""
    """Of a problem."""
    stages: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Of a call: status and seconds."""

    @property
    def seconds(self) -> float:
        return self.done - self.sent


@dataclass
class Report:
    seconds: float
    answers: list[Answer]
    began: float
    """As of time.perf_counter; all other times are seconds since then."""
    lags: list[float]
    """How late the generator's own event loop was, every 5 ms: what it adds to each time."""
    stalls: list[tuple[float, float]] | None = None
    """When the machine itself stood still, as `sent` and `done` of the answers; None where nobody could watch."""

    def stood_still(self, answer: Answer) -> float:
        """For how many of the answer's seconds the machine did, on the core where it did so for longest."""
        return max((min(end, answer.done) - max(begin, answer.sent) for begin, end in self.stalls or ()), default=0.0)

    def of(self, kind: Kind, *, good: bool | None = None) -> list[Answer]:
        return [a for a in self.answers if a.kind is kind and good in (None, a.good)]

    def goodput(self, kind: Kind, begin: float) -> float:
        """Good answers a second that came between `begin` and the end of sending."""
        return sum(begin <= a.done < self.seconds for a in self.of(kind, good=True)) / (self.seconds - begin)

    @property
    def shed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status == 503]


def run(plan: Plan) -> Report:
    """In a process of its own, with watchers of the machine beside it."""
    watchers = subprocess.Popen([sys.executable, "-m", "bench.stalls"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=TypeAdapter(Plan).dump_json(plan),
        stdout=subprocess.PIPE,
        check=True,
    )
    seen, _ = watchers.communicate()
    report = TypeAdapter(Report).validate_json(done.stdout)
    if seen:
        report.stalls = [(begin - report.began, end - report.began) for begin, end in json.loads(seen)]
    return report


class Generator:
    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._session = session
        self._clip = Path(plan.clip).read_bytes()
        self._random = random.Random(plan.seed)
        self.began = time.perf_counter()
        self.answers: list[Answer] = []
        self.lags: list[float] = []

    @property
    def _now(self) -> float:
        return time.perf_counter() - self.began

    async def run(self) -> None:
        ticking = asyncio.create_task(self._tick())
        async with asyncio.TaskGroup() as tasks:
            for kind, rate in self._plan.rates.items():
                if rate > 0:
                    tasks.create_task(self._open(kind, rate, tasks))
            for kind, count in self._plan.clients.items():
                for _ in range(count):
                    tasks.create_task(self._closed(kind))
        ticking.cancel()

    async def _tick(self) -> None:
        while True:
            due = time.perf_counter() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            self.lags.append(time.perf_counter() - due)

    async def _open(self, kind: Kind, rate: float, tasks: asyncio.TaskGroup) -> None:
        due = self._random.expovariate(rate)
        while due < self._plan.seconds:
            await asyncio.sleep(max(0.0, due - self._now))
            tasks.create_task(self._ask(kind, due))
            due += self._random.expovariate(rate)

    async def _closed(self, kind: Kind) -> None:
        while (due := self._now) < self._plan.seconds:
            if not (await self._ask(kind, due)).good:
                await asyncio.sleep(0.2)  # a client that is refused does not come back at once

    async def _ask(self, kind: Kind, due: float) -> Answer:
        answer = Answer(kind, due, self._now, 0.0, 0, good=False)
        with contextlib.suppress(TimeoutError, aiohttp.ClientError, ConnectionError):
            async with asyncio.timeout(PATIENCE[kind]), self._request(kind) as reply:
                body = await reply.read()
                answer.status = reply.status
                await self._judge(answer, reply, body)
        answer.done = self._now
        self.answers.append(answer)
        return answer

    def _request(self, kind: Kind) -> Any:
        api = self._plan.api
        if kind is Kind.CHAT:
            body = {"model": "default", "messages": [{"role": "user", "content": "들리세요?"}]}
            return self._session.post(f"{api}/v1/chat/completions", json=body)
        if kind is Kind.SPEECH:
            body = {"model": "kokoro", "voice": "alloy", "input": SENTENCE, "response_format": "pcm"}
            return self._session.post(f"{api}/v1/audio/speech", json=body)
        form = aiohttp.FormData()
        form.add_field("file", self._clip, filename="clip.wav", content_type="audio/wav")
        form.add_field("language", "ko")
        if kind is Kind.TRANSCRIPTION:
            return self._session.post(f"{api}/v1/audio/transcriptions", data=form)
        form.add_field("incomplete_elements_check", "true")
        return self._session.post(f"{api}/transcribe", data=form)

    async def _judge(self, answer: Answer, reply: aiohttp.ClientResponse, body: bytes) -> None:
        if reply.status != 200:
            with contextlib.suppress(ValueError, TypeError):
                answer.code = str((await reply.json(content_type=None)).get("code", ""))
            return
        if answer.kind is Kind.SPEECH:
            answer.good = len(body) > 10_000
            return
        told = await reply.json()
        if answer.kind is Kind.CHAT:
            answer.good = bool(told["choices"][0]["message"]["content"])
        elif answer.kind is Kind.TRANSCRIPTION:
            answer.good = bool(told["text"].strip())
        else:
            answer.stages = {stage["stage"]: (stage["status"], stage["seconds"]) for stage in told["stages"]}
            answer.good = not told["is_dummy"] and not told["is_agent_dummy"]


@contextlib.contextmanager
def _ahead_of_the_models() -> Iterator[None]:
    """Where that is allowed: a generator that waits for a processor, or collects garbage, measures itself."""
    with contextlib.suppress(OSError):
        os.nice(-10)
    gc.disable()
    yield


async def _main(plan: Plan) -> Report:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout()) as session:
        generator = Generator(plan, session)
        await generator.run()
        return Report(plan.seconds, generator.answers, generator.began, generator.lags)


if __name__ == "__main__":
    with _ahead_of_the_models():
        report = asyncio.run(_main(TypeAdapter(Plan).validate_json(sys.stdin.buffer.read())))
    sys.stdout.buffer.write(TypeAdapter(Report).dump_json(report))
