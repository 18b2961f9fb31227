"""Media to samples, in sandboxed processes."""

import asyncio
import os
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Check
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_stt.messages import SAMPLE_BYTES, SAMPLE_RATE, DecodeJob, DecodeOutcome, DecodeReply
from chammal_stt.metrics import STAGE_SECONDS, WORKER_RESTARTS, WorkerKind
from chammal_stt.pool import Pool, StartFailed
from chammal_stt.settings import SttSettings
from chammal_stt.worker import Worker, WorkerCommand, WorkerDied

log = component_logger("STT")

_REPLY = TypeAdapter(DecodeReply)
_START_SECONDS = 30.0
_ACCEPTED = "WAV, FLAC, MP3, OGG, WebM, M4A, AAC or AIFF"
_FAULT_OF_THE_MEDIA = {
    -signal.SIGXCPU,
    -signal.SIGSEGV,
    -signal.SIGBUS,
    -signal.SIGABRT,
    -signal.SIGFPE,
    -signal.SIGILL,
}


class Decoder:
    def __init__(self, settings: SttSettings) -> None:
        self._settings = settings
        file_bytes = settings.max_audio_seconds * SAMPLE_RATE * SAMPLE_BYTES + (1 << 20)
        self._job = DecodeJob(settings.max_audio_seconds * SAMPLE_RATE, settings.decode_seconds)
        self._command = WorkerCommand(
            name=WorkerKind.DECODER,
            module="chammal_stt.decoder_process",
            arguments=(str(settings.decoder_memory_bytes), str(file_bytes)),
            directory=Path("/"),
            start_seconds=_START_SECONDS,
        )
        restarts = WORKER_RESTARTS.labels(WorkerKind.DECODER)
        self.pool = Pool(self._start, settings.decoders, grace_seconds=0, on_death=restarts.inc)

    async def decode(self, upload: int, samples: int) -> int:
        """Fills the descriptor `samples` and returns how many there are. Raises Problem."""
        try:
            async with self.pool.lease() as worker:
                with STAGE_SECONDS.labels(WorkerKind.DECODER).time():
                    reply = await self._call(worker, upload, samples)
        except WorkerDied as error:
            raise _died(error) from error
        except StartFailed as error:
            raise Problem(503, ErrorCode.WORKER_DIED, f"No decoder: {error}", headers={"Retry-After": "5"}) from error
        if reply.outcome is not DecodeOutcome.OK:
            raise self._refusal(reply)
        if os.fstat(samples).st_size != reply.samples * SAMPLE_BYTES:
            raise Problem(500, ErrorCode.INTERNAL_ERROR, "The decoder miscounted.")
        if reply.damaged_packets:
            log.warning("%d damaged packets of an upload were left out.", reply.damaged_packets)
        return reply.samples

    async def _call(self, worker: Worker, upload: int, samples: int) -> DecodeReply:
        try:
            async with asyncio.timeout(self._settings.decode_seconds):
                return await worker.call(self._job, (upload, samples), _REPLY)
        except TimeoutError:
            raise _unprocessable(f"decoding it took more than {self._settings.decode_seconds} s") from None

    async def check(self) -> Check:
        workers = self.pool.workers
        if workers:
            defences = sorted({defence for worker in workers for defence in worker.hello.defences})
            return Check(name=WorkerKind.DECODER, ready=True, hint=f"sandboxed by {', '.join(defences) or 'nothing'}")
        self.pool.warm()
        return Check(name=WorkerKind.DECODER, ready=False, reason=str(self.pool.failure or "it is starting"))

    async def _start(self) -> Worker:
        with tempfile.TemporaryDirectory(prefix="chammal-") as empty:
            worker = await Worker.start(replace(self._command, directory=Path(empty)))
        log.info("Decoder process %d, sandboxed by %s.", worker.pid, ", ".join(worker.hello.defences) or "nothing")
        return worker

    def _refusal(self, reply: DecodeReply) -> Problem:
        limit = self._settings.max_audio_seconds
        match reply.outcome:
            case DecodeOutcome.EMPTY:
                return Problem(422, ErrorCode.AUDIO_EMPTY, "The file holds no audio samples. Send a recording.")
            case DecodeOutcome.TOO_LONG:
                detail = f"The recording is longer than {limit} s. Send it in parts."
                return Problem(413, ErrorCode.AUDIO_TOO_LONG, detail, max_audio_seconds=limit)
            case DecodeOutcome.TOO_COSTLY:
                return _unprocessable(reply.detail)
            case DecodeOutcome.STORAGE_FULL:
                return Problem(507, ErrorCode.INTERNAL_ERROR, "The service has no room to decode the recording.")
            case _:
                detail = f"The file cannot be read as audio ({reply.detail}). Send {_ACCEPTED}."
                return Problem(422, ErrorCode.AUDIO_UNREADABLE, detail)


def _died(error: WorkerDied) -> Problem:
    if error.code in _FAULT_OF_THE_MEDIA:
        return _unprocessable("decoding it went past a limit")
    detail = "The decoder process ended while it read the recording. Send it again."
    return Problem(503, ErrorCode.WORKER_DIED, detail, headers={"Retry-After": "1"})


def _unprocessable(reason: str) -> Problem:
    detail = f"The recording was given up: {reason}. Convert it to 16 kHz WAV or FLAC and send that."
    return Problem(422, ErrorCode.AUDIO_UNPROCESSABLE, detail)
