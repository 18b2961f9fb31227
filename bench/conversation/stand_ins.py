"""Stages at a known pace: a language model that writes a fixed reply, and speech that is a tone.

Both note when they were asked, what they had given when, and when their caller hung up, on the machine's monotonic
clock, which all its processes share; `GET /log` tells. They spend next to no processor time.

    python -m bench.conversation.stand_ins PORT
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field

from aiohttp import web
from bench.conversation.replies import pieces, reply_to

FIRST_TOKEN_SECONDS = 0.45
TOKENS_PER_SECOND = 11.0
"""As Qwen2.5 1.5B on one thread under llama.cpp."""
SPEECH_SECONDS = 0.25
"""To the first audio of a sentence."""
RATE = 24_000
SECONDS_PER_LETTER = 0.09
CHUNK_SECONDS = 0.2
REAL_TIME_FACTOR = 0.5


@dataclass
class Work:
    stage: str
    asked: float
    text: str
    given: list[tuple[float, int]] = field(default_factory=list)
    """When, and how much had been given by then: letters, or bytes."""
    ended: float = 0.0
    hung_up: bool = False


class StandIns:
    def __init__(self) -> None:
        self.log: list[Work] = []

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "paced", "object": "model"}]})

    async def told(self, _: web.Request) -> web.Response:
        log, self.log = [asdict(work) for work in self.log], []
        return web.json_response(log)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        said = [message for message in asked["messages"] if message["role"] == "user"]
        reply = reply_to(_text(said[-1]["content"]) if said else "")
        work = Work("llm", time.monotonic(), reply)
        if asked.get("max_tokens") == 1:  # to read ahead: nothing is said
            work.text = "."
        else:
            self.log.append(work)
        if asked.get("stream"):
            return await self._write(request, work)
        await asyncio.sleep(FIRST_TOKEN_SECONDS + (len(pieces(reply)) - 1) / TOKENS_PER_SECOND)
        work.ended = time.monotonic()
        choice = {"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}
        return web.json_response({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _usage(reply)})

    async def _write(self, request: web.Request, work: Work) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        due, letters = work.asked + FIRST_TOKEN_SECONDS, 0
        try:
            for piece in pieces(work.text):
                await asyncio.sleep(due - time.monotonic())
                due += 1 / TOKENS_PER_SECOND
                letters += len(piece)
                work.given.append((time.monotonic(), letters))
                await answer.write(_event({"content": piece}))
            await answer.write(_event({}, "stop"))
            await answer.write(_sse({**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _usage("")}))
            await answer.write(b"data: [DONE]\n\n")
            await answer.write_eof()
        except (ConnectionResetError, asyncio.CancelledError):
            work.hung_up = True
            raise
        finally:
            work.ended = time.monotonic()
        return answer

    async def speech(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        work = Work("tts", time.monotonic(), asked["input"])
        self.log.append(work)
        answer = web.StreamResponse(headers={"Content-Type": "audio/pcm", "Chammal-Sample-Rate": str(RATE)})
        await asyncio.sleep(SPEECH_SECONDS)
        left, given = round(max(0.4, len(work.text) * SECONDS_PER_LETTER) * RATE) * 2, 0
        try:
            await answer.prepare(request)
            while left > 0:
                size = min(left, round(CHUNK_SECONDS * RATE) * 2)
                left -= size
                given += size
                work.given.append((time.monotonic(), given))
                await answer.write(_TONE[:size])
                await asyncio.sleep(CHUNK_SECONDS * REAL_TIME_FACTOR)
            await answer.write_eof()
        except (ConnectionResetError, asyncio.CancelledError):
            work.hung_up = True
            raise
        finally:
            work.ended = time.monotonic()
        return answer


_HEAD = {"id": "paced", "created": 0, "model": "paced"}
_TONE = b"\x00\x10\x00\xf0" * round(CHUNK_SECONDS * RATE)


def _text(content: object) -> str:
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)  # type: ignore[attr-defined]


def _usage(reply: str) -> dict[str, int]:
    tokens = len(pieces(reply)) if reply else 0
    return {"prompt_tokens": 50, "completion_tokens": tokens, "total_tokens": 50 + tokens}


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _sse({**_HEAD, "object": "chat.completion.chunk", "choices": [choice]})


def _sse(data: object) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def main() -> None:
    async def app() -> web.Application:
        stages = StandIns()
        made = web.Application(handler_args={"handler_cancellation": True})
        made.add_routes(
            [
                web.get("/v1/models", stages.models),
                web.get("/log", stages.told),
                web.get("/ready", stages.models),
                web.post("/v1/chat/completions", stages.chat),
                web.post("/v1/audio/speech", stages.speech),
            ]
        )
        return made

    web.run_app(app(), host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None, handler_cancellation=True)


if __name__ == "__main__":
    main()
