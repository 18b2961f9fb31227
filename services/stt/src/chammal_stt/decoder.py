"""Media to samples, in sandboxed processes."""

import asyncio
import os
import signal
import tempfile
import wave
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Check
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_stt.messages import SAMPLE_BYTES, SAMPLE_RATE, DecodeJob, DecodeOutcome, DecodeReply
from chammal_stt.metrics import STAGE_SECONDS, WORKER_RESTARTS, WORKERS_HUNG, WorkerKind
from chammal_stt.patience import Patience
from chammal_stt.pool import Pool, StartFailed
from chammal_stt.settings import SttSettings
from chammal_stt.trial import Trial, TrialFailed
from chammal_stt.worker import Worker, WorkerCommand, WorkerDied, WorkerHung

log = component_logger("STT")

_REPLY = TypeAdapter(DecodeReply)
_START_SECONDS = 30.0
_WALL_SECONDS = 3
"""For each second of processor time that decoding may take: others work on the same cores."""
_ACCEPTED = "WAV, FLAC, MP3, OGG, WebM, M4A, AAC or AIFF"


class Decoder:
    def __init__(self, settings: SttSettings) -> None:
        self._settings = settings
        file_bytes = settings.max_audio_seconds * SAMPLE_RATE * SAMPLE_BYTES * 2 + (1 << 20)
        self._job = DecodeJob(settings.max_audio_seconds * SAMPLE_RATE, settings.decode_seconds)
        self._command = WorkerCommand(
            name=WorkerKind.DECODER,
            module="chammal_stt.decoder_process",
            arguments=(str(settings.decoder_memory_bytes), str(file_bytes)),
            directory=Path("/"),
            start_seconds=_START_SECONDS,
        )
        restarts = WORKER_RESTARTS.labels(WorkerKind.DECODER)
        self.pool = Pool(self._start, settings.decoders, on_death=restarts.inc)
        self._trial = Trial(self.pool, "decoding a second of silence", self._try, settings.ready_fresh_seconds)

    async def decode(self, upload: int, samples: int, *, split: bool = False) -> DecodeReply:
        """Fills the descriptor `samples`. A worker that dies is replaced and tried once more. Raises Problem."""
        job = replace(self._job, split=split)
        try:
            try:
                reply = await self._attempt(job, upload, samples)
            except WorkerDied as error:
                if error.code == -signal.SIGXCPU:
                    raise _unprocessable(f"decoding it took more than {job.cpu_seconds} s of processor time") from error
                log.warning("A decoder ended with status %s; its recording is tried once more.", error.code)
                reply = await self._attempt(job, upload, samples)
        except WorkerDied as error:
            raise _unprocessable("two decoders ended while they read it") from error
        except StartFailed as error:
            raise Problem(503, ErrorCode.WORKER_DIED, f"No decoder: {error}", headers={"Retry-After": "5"}) from error
        if reply.outcome is not DecodeOutcome.OK:
            raise self._refusal(reply)
        if os.fstat(samples).st_size != reply.samples * reply.channels * SAMPLE_BYTES:
            raise Problem(500, ErrorCode.INTERNAL_ERROR, "The decoder miscounted.")
        if reply.damaged_packets:
            log.warning("%d damaged packets of an upload were left out.", reply.damaged_packets)
        return reply

    async def _attempt(self, job: DecodeJob, upload: int, samples: int) -> DecodeReply:
        os.ftruncate(samples, 0)
        os.lseek(samples, 0, os.SEEK_SET)
        async with self.pool.lease() as worker:
            return await self._run(worker, job, upload, samples)

    async def _run(self, worker: Worker, job: DecodeJob, upload: int, samples: int) -> DecodeReply:
        patience = Patience(job.cpu_seconds * _WALL_SECONDS, self._settings.hung_seconds)
        try:
            with STAGE_SECONDS.labels(WorkerKind.DECODER).time():
                reply = await worker.call(job, (upload, samples), _REPLY, patience)
        except TimeoutError:
            raise _unprocessable(f"decoding it took more than {patience.seconds:g} s") from None
        except WorkerHung as error:
            WORKERS_HUNG.labels(WorkerKind.DECODER).inc()
            log.error("%s while it had a recording; it is replaced.", error)
            raise
        worker.worked_at = asyncio.get_running_loop().time()
        return reply

    async def _try(self, worker: Worker) -> None:
        with tempfile.TemporaryFile(prefix="chammal-") as upload, tempfile.TemporaryFile(prefix="chammal-") as samples:
            with wave.open(upload, "wb") as recording:
                recording.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
                recording.writeframes(bytes(SAMPLE_BYTES * SAMPLE_RATE))
            upload.flush()
            reply = await self._run(worker, self._job, upload.fileno(), samples.fileno())
        if reply.outcome is not DecodeOutcome.OK:
            raise TrialFailed(reply.detail or reply.outcome)

    async def check(self) -> Check:
        workers = self.pool.workers
        if workers:
            defences = sorted({defence for worker in workers for defence in worker.hello.defences})
            hint = f"sandboxed by {', '.join(defences) or 'nothing'}"
            reason = await self._trial.reason()
            return Check(name=WorkerKind.DECODER, ready=reason is None, reason=reason, hint=hint)
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
                detail = "The service has no room to decode the recording."
                return Problem(507, ErrorCode.STORAGE_FULL, detail, headers={"Retry-After": "30"})
            case _:
                detail = f"The file cannot be read as audio ({reply.detail}). Send {_ACCEPTED}."
                return Problem(422, ErrorCode.AUDIO_UNREADABLE, detail)


def _unprocessable(reason: str) -> Problem:
    detail = f"The recording was given up: {reason}. Convert it to 16 kHz WAV or FLAC and send that."
    return Problem(422, ErrorCode.AUDIO_UNPROCESSABLE, detail)
