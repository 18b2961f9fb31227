"""How audio leaves: as bytes, or as OpenAI's server-sent events."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from chammal_kit.deadline import Deadline
from chammal_kit.logs import component_logger
from chammal_tts.metrics import REQUESTS, Outcome
from chammal_tts.rendering import Usage

log = component_logger("TTS")


class SpeechResponse(StreamingResponse):
    """Ends at the deadline even when nobody reads."""

    def __init__(
        self, body: AsyncGenerator[bytes], media_type: str, deadline: Deadline, headers: Mapping[str, str]
    ) -> None:
        own = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(body, media_type=media_type, headers={**own, **headers})
        self._body = body
        self._deadline = deadline
        self._done: Callable[[], None] = lambda: None

    def when_done(self, call: Callable[[], None]) -> None:
        """However it ends."""
        self._done = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outcome = Outcome.GONE
        finished = False

        async def send_and_note(message: Message) -> None:
            nonlocal finished
            await send(message)
            finished = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            async with asyncio.timeout(self._deadline.remaining()):
                await super().__call__(scope, receive, send_and_note)
            outcome = Outcome.OK if finished else Outcome.GONE
        except TimeoutError:
            outcome = Outcome.DEADLINE
            log.error("the deadline passed while audio was being sent; the answer is cut")
            raise
        except Exception:
            outcome = Outcome.FAILED
            raise
        finally:
            REQUESTS.labels(outcome).inc()
            self._done()
            await self._body.aclose()


async def audio_body(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for data in rest:
        yield data


async def sse_body(first: bytes, rest: AsyncIterator[bytes], usage: Usage) -> AsyncGenerator[bytes]:
    """speech.audio.delta for each chunk, then speech.audio.done; on failure an error event ends it."""
    yield _delta(first)
    try:
        async for data in rest:
            yield _delta(data)
    except Exception as error:  # noqa: BLE001  the answer has begun: an event is the only way left to say what failed
        log.error("synthesis failed in the middle: %s: %s", type(error).__name__, error)
        code = "deadline_exceeded" if isinstance(error, TimeoutError) else "internal_error"
        yield _event({"type": "error", "error": {"type": "server_error", "code": code, "message": str(error) or code}})
        return
    tokens = {"input_tokens": usage.phonemes, "output_tokens": usage.frames}
    yield _event({"type": "speech.audio.done", "usage": {**tokens, "total_tokens": sum(tokens.values())}})


def _delta(data: bytes) -> bytes:
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})


def _event(data: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"
