"""Any server with OpenAI's `/v1/audio/speech`, asked for raw samples and read as they come."""

from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

import httpx2
import numpy as np

from chammal_contracts.health import Check, Readiness
from chammal_contracts.stages import BreakerState
from chammal_contracts.voice import Emotion
from chammal_kit.breaker import BreakerPolicy
from chammal_kit.retry import RetryPolicy
from chammal_kit.upstream import StreamReply, Timeouts, Upstream, UpstreamError, UpstreamPolicy
from chammal_tts.backend import Sound, Turn
from chammal_tts.engine import Capabilities, Samples, Utterance
from chammal_tts.prosody import MAX_SPEED, MIN_SPEED
from chammal_tts.settings import EngineName, TtsSettings
from chammal_tts.voices import ALIASES, Voice

Transport = Callable[[], httpx2.AsyncBaseTransport | None]

_LEAST_BYTES = 2_400
"""A piece is at least 50 ms long at 24 kHz, so that each is worth its way through a thread."""
_ENCODING_THREADS = 2


class RemoteBackend:
    name = EngineName.OPENAI.value

    def __init__(self, settings: TtsSettings, url: str, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        """`transport` stands in for the network in tests."""
        self._model = settings.openai_model
        self._voice = settings.openai_voice
        self._sample_rate = settings.openai_sample_rate
        self._upstream = Upstream(
            f"tts-{self.name}", _with_path(url), _policy(settings), headers=_headers(settings), transport=transport
        )
        self.executor: Executor = ThreadPoolExecutor(_ENCODING_THREADS, thread_name_prefix="tts-encode")
        self.capabilities = Capabilities(
            languages=frozenset(settings.openai_languages),
            speeds=(MIN_SPEED, MAX_SPEED),
            instructions=settings.openai_instructions,
            streaming=True,
        )

    @property
    def voices(self) -> frozenset[str]:
        return frozenset({self._voice} if self._voice else ALIASES)

    def voice(self, name: str) -> Voice | None:
        """OpenAI's names as they are, or all of them the one that the settings name."""
        if name.lower() in ALIASES or name == self._voice:
            voice = self._voice or name.lower()
            return Voice(name, voice, voice)
        return None

    async def audio(self, utterance: Utterance, turn: Turn) -> AsyncGenerator[bytes]:
        async with self._upstream.stream("POST", "/audio/speech", json=self._asked(utterance)) as answer:
            kind = answer.headers.get("content-type", "")
            if not kind.startswith(("audio/", "application/octet-stream")):
                raise _unusable(answer, f"answered {kind or 'nothing known'} where samples were asked for")
            units = 0
            async for piece in _pieces(answer, whole=turn.whole):
                counted = 0 if units else len(utterance.text)
                units += counted
                yield await turn.in_thread(partial(turn.finish, self._sound(piece, counted)))
            if not units:
                raise _unusable(answer, "an answer without a sample")
        yield await turn.in_thread(partial(turn.finish, Sound(np.zeros(0, np.float32), self._sample_rate)))

    async def readiness(self) -> Readiness:
        """By its breaker: to ask a server for speech may cost money."""
        state = self._upstream.breaker.state
        ready = state is not BreakerState.OPEN
        reason = None if ready else "Its calls have failed; it is asked again when its breaker closes."
        return Readiness(ready=ready, checks=[Check(name=self.name, ready=ready, reason=reason, breaker=state)])

    async def aclose(self) -> None:
        await self._upstream.aclose()
        self.executor.shutdown(wait=False, cancel_futures=True)

    def _asked(self, utterance: Utterance) -> dict[str, object]:
        asked: dict[str, object] = {
            "model": self._model,
            "input": utterance.text,
            "voice": utterance.voice,
            "response_format": "pcm",
            "speed": utterance.speed,
        }
        if told := _told(utterance):
            asked["instructions"] = told
        return asked

    def _sound(self, data: bytes, units: int) -> Sound:
        samples: Samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32_768.0)
        return Sound(samples, self._sample_rate, units, last=False)


def _told(utterance: Utterance) -> str:
    """What it is to know of the manner, in words."""
    mood = utterance.emotion
    tone = f"Speak in a tone that is {mood}." if mood and mood is not Emotion.NEUTRAL else ""
    return " ".join(filter(None, (utterance.instructions, tone)))


def _unusable(answer: StreamReply, detail: str) -> UpstreamError:
    """With the attempts as they will be once the answer is closed."""
    error = answer.unusable(detail)
    error.attempts = answer.attempts
    return error


async def _pieces(answer: StreamReply, *, whole: bool) -> AsyncGenerator[bytes]:
    """Whole samples, of two bytes each."""
    held = bytearray()
    async for data in answer:
        held += data
        if whole or len(held) < _LEAST_BYTES:
            continue
        end = len(held) // 2 * 2
        yield bytes(held[:end])
        del held[:end]
    if len(held) > 1:
        yield bytes(held[: len(held) // 2 * 2])


def _with_path(url: str) -> str:
    return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1"


def _headers(settings: TtsSettings) -> Mapping[str, str]:
    key = settings.openai_key
    return {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}


def _policy(settings: TtsSettings) -> UpstreamPolicy:
    """No retry at the same server: the next engine is the retry."""
    return UpstreamPolicy(
        timeouts=Timeouts(
            connect=settings.openai_connect_seconds,
            first_byte=settings.openai_first_audio_seconds,
            idle=settings.openai_idle_seconds,
            total=settings.openai_total_seconds,
        ),
        max_response_bytes=settings.openai_max_bytes,
        concurrency=settings.openai_concurrency,
        breaker=BreakerPolicy(
            failures_in_a_row=settings.openai_breaker_failures, open_seconds=settings.openai_breaker_seconds
        ),
        retry=RetryPolicy(retries=0),
    )
