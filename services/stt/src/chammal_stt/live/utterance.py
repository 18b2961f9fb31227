"""One utterance of a live session: its audio, and what is written of it."""

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from chammal_contracts.asr import Suspect, Word
from chammal_contracts.live import Final, FinalSeconds, Partial
from chammal_stt.honesty import examine
from chammal_stt.live.agreement import Agreement, text
from chammal_stt.live.ear import Frame
from chammal_stt.live.endpoint import Ended, Started
from chammal_stt.live.tape import Tape
from chammal_stt.messages import SAMPLE_RATE, SPEECH_FRAME, RecognisedSegment, RecognisedWord, Recognition

T = TypeVar("T")

FRAME_SECONDS = SPEECH_FRAME / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Decoded:
    recognition: Recognition
    took: float
    """Seconds, waiting included."""


@dataclass(frozen=True, slots=True)
class Decode:
    """A final decode, under way or done."""

    task: asyncio.Task[Decoded]
    end: int
    """Frame that it hears up to."""

    @property
    def failed(self) -> bool:
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


@dataclass(slots=True)
class Utterance:
    number: int
    started: Started
    tape: Tape
    speech: bytearray = field(default_factory=bytearray)
    """Probability (0-255) of each frame."""
    agreement: Agreement = field(default_factory=Agreement)
    language: str | None = None
    decode: Decode | None = None
    ended: Ended | None = None
    ended_at: float = 0.0
    """On the loop's clock."""
    partials_dropped: int = 0
    _readers: set[asyncio.Task[Any]] = field(default_factory=set)

    def read(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that needs the tape."""
        task = asyncio.create_task(work)
        self._readers.add(task)
        task.add_done_callback(self._forget)
        return task

    async def close(self) -> None:
        for task in self._readers:
            task.cancel()
        if self._readers:
            await asyncio.wait(self._readers)
        self.tape.close()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._readers.discard(task)
        if not task.cancelled():
            task.exception()  # one that nobody waits for any more is not reported as lost

    @property
    def heard(self) -> int:
        """The frame after its last."""
        return self.started.first + len(self.speech)

    def append(self, frame: Frame) -> None:
        self.tape.append(frame.samples)
        self.speech.append(round(frame.speech * 255))

    def partial(self, recognition: Recognition, end: int) -> Partial | None:
        """None when nothing is worth showing."""
        kept = self._examine(recognition, end)[0]
        words = [word for segment in kept for word in segment.words or ()]
        if not words:
            return None
        agreed = self.agreement.hear(words)
        return Partial(
            utterance=self.number,
            start=seconds(self.started.onset),
            end=seconds(end),
            text=agreed.text,
            stable=agreed.stable,
        )

    def final(self, recognition: Recognition, ended: Ended, took: FinalSeconds) -> Final:
        """It begins with what has been shown as stable, whatever its own decode wrote there."""
        kept, suspect = self._examine(recognition, ended.end)
        own, stable = _text(kept), self.agreement.stable
        words = self.agreement.conclude([word for segment in kept for word in segment.words or ()])
        return Final(
            utterance=self.number,
            start=seconds(self.started.onset),
            end=seconds(ended.speech_end),
            text=text(words) if stable else own,
            words=[self._word(word) for word in words],
            language=recognition.language,
            confidence=_confidence(kept),
            suspect=suspect,
            reread=None if own.startswith(stable) else own,
            partials_dropped=self.partials_dropped,
            seconds=took,
        )

    def _examine(self, recognition: Recognition, end: int) -> tuple[list[RecognisedSegment], list[Suspect]]:
        speech = np.frombuffer(bytes(self.speech[: end - self.started.first]), np.uint8)
        examined = examine(recognition.segments, speech, recognition.language)
        shifted = [
            doubt.model_copy(update={"start": self._at(doubt.start), "end": self._at(doubt.end)})
            for doubt in examined.suspect
        ]
        return examined.kept, shifted

    def _word(self, word: RecognisedWord) -> Word:
        return Word(
            word=word.word.strip(), start=self._at(word.start), end=self._at(word.end), probability=word.probability
        )

    def _at(self, time: float) -> float:
        return round(seconds(self.started.first) + time, 3)


def seconds(frame: int) -> float:
    """From the beginning of the stream."""
    return round(frame * FRAME_SECONDS, 3)


def _text(segments: list[RecognisedSegment]) -> str:
    return "".join(segment.text for segment in segments).strip()


def _confidence(segments: list[RecognisedSegment]) -> float:
    """Mean probability of a token, over all of them."""
    tokens = sum(len(segment.tokens) for segment in segments)
    if not tokens:
        return 0.0
    total = sum(segment.avg_logprob * len(segment.tokens) for segment in segments)
    return round(min(1.0, math.exp(total / tokens)), 3)
