"""Recordings to transcripts: admission, decoding, reading, and the limits on each."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chammal_contracts.asr import (
    ChannelLayout,
    Channels,
    Include,
    TimestampGranularity,
    Transcription,
    TranscriptionFormat,
)
from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Readiness
from chammal_kit.deadline import current_deadline
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_stt.admission import Admission, Visit
from chammal_stt.decoder import Decoder
from chammal_stt.form import TranscriptionForm
from chammal_stt.messages import Piece
from chammal_stt.metrics import AUDIO_SECONDS, REAL_TIME_FACTOR
from chammal_stt.pace import Pace
from chammal_stt.pieces import Cut
from chammal_stt.reading import Reading, plan, read
from chammal_stt.settings import SttSettings
from chammal_stt.shelf import Shelf
from chammal_stt.transcript import text_between, transcription

log = component_logger("STT")

_PROGRESS_SHARE = 0.01
"""Of the recording, between two reports."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Seconds of the recording."""

    done: float
    total: float
    text: str
    """So far."""


class Transcriber:
    def __init__(self, settings: SttSettings) -> None:
        self.settings = settings
        self.decoder = Decoder(settings)
        self.admission = Admission(settings)
        self.shelf = Shelf(settings, self.admission.limiter.waited)
        self._pace = Pace()
        self._cut = Cut(settings.piece_seconds, settings.pause_seconds)

    def start(self) -> None:
        self.decoder.pool.warm()
        self.shelf.start()

    async def aclose(self) -> None:
        await asyncio.gather(self.decoder.pool.aclose(), self.shelf.aclose())

    async def readiness(self) -> Readiness:
        checks = [await self.shelf.check(), await self.decoder.check()]
        return Readiness(ready=all(check.ready for check in checks), checks=checks)

    async def transcribe(
        self, visit: Visit, upload: int, form: TranscriptionForm, report: Callable[[Progress], None] | None = None
    ) -> Transcription:
        """`upload` is a descriptor of the recording as it came. At most a hundred reports. Raises Problem."""
        self.shelf.check_name(form.model)
        async with self._limits(visit), self.shelf.use(form.model) as resident:
            if form.language is not None:
                self.shelf.catalogue.check_language(resident.id, form.language)
            started = time.perf_counter()
            with tempfile.TemporaryFile(prefix="chammal-") as samples:
                split = form.channels is Channels.SPLIT
                async with self.admission.decoding(visit):
                    decoded = await self.decoder.decode(upload, samples.fileno(), split=split)
                reading = await asyncio.to_thread(plan, decoded, split, self._cut)  # hours of it take a while
                spoken = reading.spoken
                self._pace.check(resident.id, spoken, current_deadline())
                if not reading.is_short:
                    await visit.turned_out_long()
                began = time.perf_counter()
                options = self._options(form, decoded.channels)
                await read(resident.batcher, samples.fileno(), reading, options, self._reports(reading, report))
                self._pace.learn(resident.id, spoken, time.perf_counter() - began)
        AUDIO_SECONDS.inc(reading.duration)
        REAL_TIME_FACTOR.observe((time.perf_counter() - started) / reading.duration)
        speakers = self.settings.speaker_names  # a thread: hours of text take a second
        rules, model = self.settings.mood_rules, resident.recogniser.model
        transcript = await asyncio.to_thread(transcription, reading, form, model, speakers, rules)
        if self.settings.log_text:
            log.info("Transcript: %s", transcript.text)
        return transcript.model_copy(update={"damaged_packets": decoded.damaged_packets})

    def _reports(self, reading: Reading, report: Callable[[Progress], None] | None) -> Callable[[], None]:
        reported, text = 0.0, ""
        separator = "\n" if reading.layout is ChannelLayout.SPLIT else " "

        def came_further() -> None:
            nonlocal reported, text
            if report is None or reading.done - reported < reading.duration * _PROGRESS_SHARE:
                return
            grown = text_between(reading, reported, reading.done, self.settings.speaker_names)
            text = separator.join(part for part in (text, grown) if part)
            reported = reading.done
            report(Progress(reading.done, reading.duration, text))

        return came_further

    @asynccontextmanager
    async def _limits(self, visit: Visit) -> AsyncIterator[None]:
        """A place at work, and a limit on the time of all of it."""
        deadline = current_deadline()
        seconds = self.settings.max_request_seconds
        if deadline is not None:
            seconds = min(seconds, deadline.remaining())
        try:
            async with asyncio.timeout(seconds):
                try:
                    await visit.begin()
                    yield
                finally:
                    visit.leave()
        except TimeoutError:
            detail = f"The transcript was not done within {seconds:.0f} s."
            raise Problem(504, ErrorCode.DEADLINE_EXCEEDED, detail) from None

    def _options(self, form: TranscriptionForm, channels: int) -> Piece:
        verbose = form.response_format is TranscriptionFormat.VERBOSE_JSON
        return Piece(
            first=0,
            samples=0,
            channels=channels,
            language=form.language or self.settings.language,
            prompt=form.prompt,
            hotwords=form.hotwords,
            temperature=form.temperature or None,
            words=verbose and TimestampGranularity.WORD in form.timestamp_granularities,
            voice=verbose and Include.VOICE in form.include,
        )
