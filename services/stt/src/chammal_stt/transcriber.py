"""One recording to one transcript."""

import asyncio
import tempfile
import time

from chammal_contracts.asr import Segment, TimestampGranularity, Transcription, TranscriptionFormat, Word
from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Readiness
from chammal_kit.bulkhead import Bulkhead, BulkheadFull
from chammal_kit.deadline import current_deadline
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_stt.decoder import Decoder
from chammal_stt.form import TranscriptionForm
from chammal_stt.messages import SAMPLE_RATE, RecognisedSegment, RecogniseJob, RecogniseReply
from chammal_stt.metrics import AUDIO_SECONDS, QUEUE_DEPTH, REAL_TIME_FACTOR
from chammal_stt.recogniser import Recogniser
from chammal_stt.settings import SttSettings

log = component_logger("STT")

_UNTOLD = "und"
"""ISO 639 for a language that cannot be told: nothing was said."""


class Transcriber:
    def __init__(self, settings: SttSettings) -> None:
        self.settings = settings
        self.decoder = Decoder(settings)
        self.recogniser = Recogniser(settings)
        self._bulkhead = Bulkhead("stt", settings.workers, settings.queue, settings.queue_seconds, retry_after=5.0)
        self._uploads = Bulkhead("stt uploads", settings.max_uploads, 0)
        QUEUE_DEPTH.set_function(lambda: self._bulkhead.waiting)

    def start(self) -> None:
        self.decoder.pool.warm()
        if self.settings.preload:
            self.recogniser.pool.warm()

    async def aclose(self) -> None:
        await asyncio.gather(self.decoder.pool.aclose(), self.recogniser.pool.aclose())

    async def readiness(self) -> Readiness:
        checks = [await self.recogniser.check(), await self.decoder.check()]
        return Readiness(ready=all(check.ready for check in checks), checks=checks)

    async def admit_upload(self) -> Bulkhead:
        """Refuses before a byte of the upload is read. The caller releases what it is given. Raises Problem."""
        if self._bulkhead.queue and self._bulkhead.waiting >= self._bulkhead.queue:
            raise _overloaded(5.0)
        try:
            await self._uploads.acquire()
        except BulkheadFull as error:
            raise _overloaded(error.retry_after) from error
        return self._uploads

    async def transcribe(self, upload: int, form: TranscriptionForm) -> Transcription:
        """`upload` is a descriptor of the recording as it came. Raises Problem."""
        deadline = current_deadline()
        seconds = self.settings.max_request_seconds
        if deadline is not None:
            seconds = min(seconds, deadline.remaining())
        try:
            async with asyncio.timeout(seconds):
                await self._acquire()
                try:
                    return await self._work(upload, form)
                finally:
                    self._bulkhead.release()
        except TimeoutError:
            detail = f"The transcript was not done within {seconds:.0f} s."
            raise Problem(504, ErrorCode.DEADLINE_EXCEEDED, detail) from None

    async def _acquire(self) -> None:
        try:
            await self._bulkhead.acquire()
        except BulkheadFull as error:
            raise _overloaded(error.retry_after) from error

    async def _work(self, upload: int, form: TranscriptionForm) -> Transcription:
        started = time.perf_counter()
        with tempfile.TemporaryFile(prefix="chammal-") as recording:
            samples = await self.decoder.decode(upload, recording.fileno())
            job = self._job(samples, form)
            reply = await self.recogniser.recognise(recording.fileno(), job)
        duration = samples / SAMPLE_RATE
        AUDIO_SECONDS.inc(duration)
        REAL_TIME_FACTOR.observe((time.perf_counter() - started) / duration)
        transcription = _assemble(reply, duration, self.recogniser.model, form)
        if self.settings.log_text:
            log.info("Transcript: %s", transcription.text)
        return transcription

    def _job(self, samples: int, form: TranscriptionForm) -> RecogniseJob:
        verbose = form.response_format is TranscriptionFormat.VERBOSE_JSON
        return RecogniseJob(
            samples=samples,
            language=form.language or self.settings.language,
            prompt=form.prompt,
            temperature=form.temperature or None,
            words=verbose and TimestampGranularity.WORD in form.timestamp_granularities,
        )


def _assemble(reply: RecogniseReply, duration: float, model: str, form: TranscriptionForm) -> Transcription:
    words = None
    if TimestampGranularity.WORD in form.timestamp_granularities:
        words = [
            Word(word=word.word.strip(), start=word.start, end=word.end, probability=word.probability)
            for segment in reply.segments
            for word in segment.words or ()
        ]
    return Transcription(
        language=reply.language or _UNTOLD,
        duration=duration,
        text="".join(segment.text for segment in reply.segments).strip(),
        segments=[_segment(number, segment) for number, segment in enumerate(reply.segments)],
        words=words,
        model=model,
    )


def _segment(number: int, segment: RecognisedSegment) -> Segment:
    return Segment(
        id=number,
        start=segment.start,
        end=segment.end,
        text=segment.text,
        tokens=segment.tokens,
        temperature=segment.temperature,
        avg_logprob=segment.avg_logprob,
        compression_ratio=segment.compression_ratio,
        no_speech_prob=segment.no_speech_prob,
    )


def _overloaded(retry_after: float) -> Problem:
    detail = "Every recogniser is busy and the queue is full. Send it again a little later."
    return Problem(503, ErrorCode.OVERLOADED, detail, headers={"Retry-After": str(max(1, round(retry_after)))})
