"""The recognisers as live sessions share them: finals before everything, partials only while nobody waits for one."""

import time
from dataclasses import replace
from typing import Protocol

from chammal_stt.batcher import Priority
from chammal_stt.live.utterance import Decoded, Utterance
from chammal_stt.messages import SPEECH_FRAME, Piece, Recognition


class Recogniser(Protocol):
    async def recognise(self, descriptor: int, piece: Piece, priority: Priority) -> Recognition:
        """Raises Problem."""
        ...


class Dictation:
    """`workers` is how many decodes can run side by side."""

    def __init__(self, recogniser: Recogniser, workers: int) -> None:
        self._recogniser = recogniser
        self._workers = workers
        self._finals = 0
        self._partials = 0

    @property
    def takes_partial(self) -> bool:
        """One worker is kept free for the next final, where there is more than one."""
        return self._finals == 0 and self._partials < max(1, self._workers - 1)

    @property
    def takes_early(self) -> bool:
        """Whether a final that may be thrown away would keep no other final waiting."""
        return self._finals < self._workers

    async def final(self, utterance: Utterance, end: int, piece: Piece) -> Decoded:
        """Of the audio up to the frame `end`. Raises Problem."""
        self._finals += 1
        began = time.perf_counter()
        try:
            recognition = await self._recognise(utterance, end, piece, Priority.FINAL)
            return Decoded(recognition, time.perf_counter() - began)
        finally:
            self._finals -= 1

    async def partial(self, utterance: Utterance, end: int, piece: Piece) -> Recognition:
        """Raises Problem."""
        self._partials += 1
        try:
            return await self._recognise(utterance, end, piece, Priority.PARTIAL)
        finally:
            self._partials -= 1

    async def _recognise(self, utterance: Utterance, end: int, piece: Piece, priority: Priority) -> Recognition:
        whole = replace(piece, first=0, samples=(end - utterance.started.first) * SPEECH_FRAME)
        return await self._recogniser.recognise(utterance.tape.descriptor, whole, priority)
