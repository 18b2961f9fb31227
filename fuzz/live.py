"""Broken clients against the live socket: whatever they send, sessions end in order and nothing is left of them.

    python fuzz/live.py --seconds 60 --seed 7

Half of the clients speak WebSocket and send messages at random: sound, noise, odd sizes, JSON that is cut or lied in.
The others send bytes that are almost frames. The recogniser is a stand-in that fails and dawdles at random. It fails
when an utterance has no end, events come out of order, the service logs an error of its own, or a task, a session or a
descriptor stays behind.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chammal_contracts.errors import ErrorCode
from chammal_contracts.live import SERVER_EVENT, CloseCode, ServerEvent
from chammal_kit.app import create_app
from chammal_kit.problems import Problem
from chammal_kit.serve import Server, configure
from chammal_stt.batcher import Priority
from chammal_stt.live.sessions import LiveSessions, router
from chammal_stt.messages import Piece, RecognisedSegment, RecognisedWord, Recognition
from chammal_stt.settings import SttSettings

AT_ONCE = 8
PATIENCE = 20.0
"""Seconds that a session may take to end after its client's last message."""
START = {"type": "start", "sample_rate": 16_000}
MESSAGES = [
    START,
    {"type": "commit"},
    {"type": "finish"},
    {"type": "start"},
    {"type": "start", "sample_rate": 44_100},
    {"type": "start", "sample_rate": 8_000, "encoding": "g711_ulaw", "language": "ko", "silence_ms": 200},
    {"type": "start", "sample_rate": 48_000, "partials": False, "hotwords": "참말", "prompt": ""},
    {"type": "start", "sample_rate": 24_000, "language": "xx"},
    {"type": None},
    [],
    "",
    1e400,
]
KNOWN_CODES = {int(code) for code in CloseCode} | {1002, 1005, 1006, 1007}
HANDSHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Recogniser:
    """Reads what it is given, and now and then fails or takes its time."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    async def recognise(self, descriptor: int, piece: Piece, priority: Priority) -> Recognition:
        if len(os.pread(descriptor, piece.samples * 2, piece.first * 2)) != piece.samples * 2:
            raise RuntimeError("the tape is shorter than the piece")
        await asyncio.sleep(self._chance.choice([0, 0, 0.01, 0.05]))
        if self._chance.random() < 0.1:
            raise Problem(503, ErrorCode.WORKER_DIED, "It died.")
        seconds = piece.samples / 16_000
        said = [
            f" {self._chance.choice(['네', '보험료', '아니요', '❤️', 'you'])}" for _ in range(self._chance.randrange(6))
        ]
        words = [RecognisedWord(word, 0.0, seconds, self._chance.random()) for word in said]
        segment = RecognisedSegment(0.0, seconds, "".join(said), [1] * len(said), 0.0, -0.3, 1.0, 0.1, words)
        return Recognition("ko", [segment] if said else [])


@dataclass
class Summary:
    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)

    def table(self) -> str:
        lines = [f"live: {self.outcomes.total()} clients, seed {self.seed}"]
        lines += [f"  {count:7d} {outcome}" for outcome, count in self.outcomes.most_common()]
        lines.append(f"  the slowest took {self.slowest:.2f} s to end")
        return "\n".join(lines + [f"  FAULT {fault}" for fault in self.faults])


class Faults(logging.Handler):
    """Errors that the service logs are faults here."""

    def __init__(self, summary: Summary) -> None:
        super().__init__(logging.ERROR)
        self._summary = summary

    def emit(self, record: logging.LogRecord) -> None:
        self._summary.faults.append(f"logged by {record.name}: {self.format(record)}")


def sound(chance: random.Random) -> bytes:
    """Something like a voice, noise, silence or rubbish; never more than a message may hold."""
    count = chance.choice([0, 1, 160, 1601, 16_000, 40_000, 400_000])
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(count)
    if kind == 1:
        return bytes(count)
    places = np.arange(count // 2) / 16_000
    pitch = 120 + 30 * np.sin(places * 9)
    voice = sum(np.sin(2 * np.pi * pitch * n * places) / n for n in range(1, 12)) * (np.sin(places * 25) > -0.3)
    return np.asarray(voice * 6_000, np.float64).astype("<i2").tobytes()


def text(chance: random.Random) -> str:
    message = json.dumps(chance.choice(MESSAGES))
    match chance.randrange(6):
        case 0:
            return message[: chance.randrange(len(message) + 1)]
        case 1:
            place = chance.randrange(len(message) + 1)
            return message[:place] + chr(chance.randrange(1, 0xD7FF)) + message[place:]
        case 2:
            return chance.choice(["[" * 50_000, "\0" * 9, "9" * 5000, '{"type":' * 2000])
        case _:
            return message


def frame(chance: random.Random) -> bytes:
    """Almost a frame."""
    payload = chance.choice([json.dumps(START).encode(), sound(chance)[:2000], chance.randbytes(chance.randrange(130))])
    head = bytes([chance.choice([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A, chance.randrange(256)])])
    masked = 0x80 if chance.random() < 0.9 else 0
    told = len(payload) if chance.random() < 0.8 else chance.choice([0, 125, 126, 127, 65_535, 1 << 20, 1 << 62])
    if told < 126:
        head += bytes([masked | told])
    elif told < 1 << 16:
        head += bytes([masked | 126]) + told.to_bytes(2, "big")
    else:
        head += bytes([masked | 127]) + told.to_bytes(8, "big")
    return head + (bytes(4) if masked else b"") + payload


def check(events: list[ServerEvent], code: int | None, summary: Summary) -> None:
    state: dict[int, str] = {}
    stable: dict[int, str] = {}
    for event in events:
        match event.type:
            case "speech_started":
                state[event.utterance] = "speaking"
            case "partial":
                if not event.text.startswith(event.stable) or not event.stable.startswith(
                    stable.get(event.utterance, "")
                ):
                    summary.faults.append(f"stable text changed: {event}")
                stable[event.utterance] = event.stable
                expect(state, event.utterance, "speaking", "speaking", summary)
            case "speech_stopped":
                expect(state, event.utterance, "speaking", "stopped", summary)
            case "final":
                expect(state, event.utterance, "stopped", "ended", summary)
            case "error" if event.utterance is not None:
                expect(state, event.utterance, "stopped", "ended", summary)
    if code not in KNOWN_CODES:
        summary.faults.append(f"closed with {code}")
    whole = bool(events) and (events[-1].type == "done" or code == CloseCode.INVALID)
    if whole and set(state.values()) - {"ended"}:
        summary.faults.append(f"an utterance has no end: {state}, closed with {code}")


def expect(state: dict[int, str], utterance: int, before: str, after: str, summary: Summary) -> None:
    if state.get(utterance) != before:
        summary.faults.append(f"utterance {utterance} was {state.get(utterance)}, not {before}")
    state[utterance] = after


class Fuzzer:
    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.summary = Summary(seed)
        settings = SttSettings(live_sessions=AT_ONCE - 1, live_partial_seconds=0.02, shutdown_seconds=5)
        self._sessions = LiveSessions(Recogniser(self._chance), settings)

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
            yield {"live": self._sessions}

        app = create_app(service="stt", distribution="chammal-stt", lifespan=lifespan, routers=[router])
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self._server = Server(configure(app, settings, websockets=True))

    async def run(self, seconds: float) -> None:
        serving = asyncio.create_task(self._server.serve([self._listener]))
        while not self._server.started:  # noqa: ASYNC110 uvicorn tells nobody
            await asyncio.sleep(0.01)
        end = time.monotonic() + seconds
        await self._meet()
        held = open_descriptors()
        while time.monotonic() < end:
            await self._meet()
            await self._until_nobody()
            if open_descriptors() > held + 2 or len(asyncio.all_tasks()) > 8:
                self.summary.faults.append(f"{open_descriptors()} descriptors, {len(asyncio.all_tasks())} tasks stay")
                break
        self._server.should_exit = True
        await serving

    async def _meet(self) -> None:
        clients = [self._talk() if self._chance.random() < 0.6 else self._babble() for _ in range(AT_ONCE)]
        await asyncio.gather(*clients)

    async def _talk(self) -> None:
        events: list[ServerEvent] = []
        try:
            socket_ = await connect(f"ws://127.0.0.1:{self._port}/v1/stream", proxy=None, close_timeout=1)
        except InvalidStatus as refusal:
            self.summary.outcomes[f"refused with {refusal.response.status_code}"] += 1
            return
        speaking = asyncio.create_task(self._say(socket_))
        started = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionClosed):
                    async for message in socket_:
                        events.append(SERVER_EVENT.validate_json(message))
        except TimeoutError:
            self.summary.faults.append(f"no end after {[event.type for event in events][-5:]}")
        speaking.cancel()
        await asyncio.wait((speaking,))
        await socket_.close()
        self.summary.slowest = max(self.summary.slowest, time.monotonic() - started)
        self.summary.outcomes[f"closed with {socket_.close_code}"] += 1
        check(events, socket_.close_code, self.summary)

    async def _say(self, socket_: object) -> None:
        chance = self._chance
        with contextlib.suppress(ConnectionClosed):
            if chance.random() < 0.9:
                start = chance.choice([m for m in MESSAGES if isinstance(m, dict) and "sample_rate" in m])
                await socket_.send(json.dumps(start))  # type: ignore[attr-defined]
            for _ in range(chance.randrange(30)):
                await socket_.send(text(chance) if chance.random() < 0.04 else sound(chance))  # type: ignore[attr-defined]
                if chance.random() < 0.1:
                    await socket_.send('{"type": "commit"}')  # type: ignore[attr-defined]
            if chance.random() < 0.7:
                await socket_.send('{"type": "finish"}')  # type: ignore[attr-defined]
            else:
                await socket_.close()  # type: ignore[attr-defined]

    async def _babble(self) -> None:
        """Over plain TCP."""
        chance = self._chance
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        with contextlib.suppress(ConnectionError, TimeoutError):
            head = HANDSHAKE if chance.random() < 0.9 else HANDSHAKE[: chance.randrange(len(HANDSHAKE))]
            writer.write(head + b"".join(frame(chance) for _ in range(chance.randrange(40))))
            async with asyncio.timeout(PATIENCE):
                await writer.drain()
                if chance.random() < 0.5:
                    await reader.read(1000)
        writer.transport.abort()
        self.summary.outcomes["babble"] += 1

    async def _until_nobody(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while self._sessions.count or self._server.server_state.connections:  # noqa: ASYNC110 nor here
                    await asyncio.sleep(0.01)
        except TimeoutError:
            left = len(self._server.server_state.connections)
            self.summary.faults.append(f"{self._sessions.count} sessions and {left} connections stay")


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    fuzzer = Fuzzer(arguments.seed)
    logging.getLogger().handlers[:] = [Faults(fuzzer.summary)]
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    asyncio.run(fuzzer.run(arguments.seconds))
    print(fuzzer.summary.table())
    return bool(fuzzer.summary.faults)


if __name__ == "__main__":
    sys.exit(main())
