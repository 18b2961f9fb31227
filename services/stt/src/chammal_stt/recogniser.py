"""A model, and the processes that hold it."""

import asyncio
import json
import math
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from chammal_contracts.health import Check
from chammal_kit.logs import component_logger
from chammal_kit.models import Located, ModelError, find, load_manifest
from chammal_stt.messages import SAMPLE_RATE, Piece, RecogniseBatch, RecogniseReply, Recognition
from chammal_stt.metrics import STAGE_SECONDS, WORKER_RESTARTS, WORKERS_HUNG, WorkerKind
from chammal_stt.patience import Patience
from chammal_stt.pool import Pool
from chammal_stt.settings import SttSettings
from chammal_stt.trial import Trial
from chammal_stt.worker import Worker, WorkerCommand, WorkerHung, WorkerUnfit

log = component_logger("STT")

_REPLY = TypeAdapter(RecogniseReply)
_BATCH_SECONDS = 30.0
_SECONDS_OF_AUDIO = 10.0
"""A batch that has taken the former, and for each second of its audio the latter, is not waited for any longer."""


class BatchFailed(Exception):
    """The model raised on a batch, or took too long; the message says what."""


class Recogniser:
    def __init__(self, settings: SttSettings, model: str) -> None:
        self.model = model
        """Id of the model that answers; the equivalent's when that is what this machine has."""
        self._asked = model
        self._settings = settings
        self.deaths = 0
        """Of its workers, while they worked or waited."""
        self.pool = Pool(self._start, settings.worker_count, on_death=self._count_death)
        self._trial = Trial(self.pool, "recognising a second of audio", self._try, settings.ready_fresh_seconds)

    async def run(self, worker: Worker, descriptors: Sequence[int], pieces: list[Piece]) -> list[Recognition]:
        """One batch in a worker of this pool. Raises WorkerDied or BatchFailed."""
        patience = self._patience(pieces)
        try:
            with STAGE_SECONDS.labels(WorkerKind.RECOGNISER).time():
                reply = await worker.call(RecogniseBatch(pieces), descriptors, _REPLY, patience)
        except TimeoutError:  # the lease ends the worker
            raise BatchFailed(f"a batch took more than {patience.seconds:g} s") from None
        except WorkerHung as error:
            WORKERS_HUNG.labels(WorkerKind.RECOGNISER).inc()
            log.error("%s while it had a batch; it is replaced.", error)
            raise
        if reply.error is not None:
            raise BatchFailed(reply.error)
        worker.worked_at = asyncio.get_running_loop().time()
        for recognition in reply.recognitions:
            if recognition.voice_error is not None:
                log.error("A voice could not be measured: %s", recognition.voice_error)
        return reply.recognitions

    def _patience(self, pieces: Sequence[Piece]) -> Patience:
        audio = sum(piece.samples for piece in pieces) / SAMPLE_RATE
        seconds = min(self._settings.max_batch_seconds, _BATCH_SECONDS + _SECONDS_OF_AUDIO * audio)
        return Patience(seconds, self._settings.hung_seconds)

    async def _try(self, worker: Worker) -> None:
        with tempfile.TemporaryFile(prefix="chammal-") as samples:
            samples.write(_second_of_sound())
            samples.flush()
            await self.run(worker, [samples.fileno()], [Piece(0, SAMPLE_RATE, language="en", quick=True)])

    def _count_death(self) -> None:
        self.deaths += 1
        WORKER_RESTARTS.labels(WorkerKind.RECOGNISER).inc()

    async def check(self) -> Check:
        """A worker has lately recognised something, or does so now: a second of audio, where there was no more."""
        if self.pool.workers:
            reason = await self._trial.reason()
            return Check(name=WorkerKind.RECOGNISER, ready=reason is None, reason=reason)
        self.pool.warm()
        failure = self.pool.failure
        if failure is None:
            return Check(name=WorkerKind.RECOGNISER, ready=False, reason=f"the model {self.model} is loading")
        return Check(name=WorkerKind.RECOGNISER, ready=False, reason=str(failure), hint=failure.hint)

    async def _start(self) -> Worker:
        try:
            located = await asyncio.to_thread(self._locate)
        except ModelError as error:
            raise WorkerUnfit(str(error), getattr(error, "command", None)) from error
        if located.is_equivalent:
            log.warning("The model %s is not here; its equivalent %s is used.", located.asked.id, located.model.id)
        worker = await Worker.start(self._command(located.path))
        self.model = located.model.id
        log.info("Recogniser process %d has loaded %s and decoded a second of audio.", worker.pid, self.model)
        return worker

    def _locate(self) -> Located:
        settings = self._settings
        return find(load_manifest(settings.models_manifest), settings.models_dir, self._asked)

    def _command(self, directory: Path) -> WorkerCommand:
        settings = self._settings
        options = {
            "device": settings.device,
            "compute_type": settings.arithmetic,
            "threads": settings.threads_per_worker,
            "beam_size": settings.beam_size,
            "margin_seconds": settings.margin_seconds,
        }
        return WorkerCommand(
            name=WorkerKind.RECOGNISER,
            module="chammal_stt.recogniser_process",
            arguments=(str(directory.absolute()), json.dumps(options)),
            directory=Path("/"),  # MKL cannot load its parts from a directory that is gone
            start_seconds=settings.start_seconds,
        )


def _second_of_sound() -> bytes:
    return array("h", (int(3000 * math.sin(math.tau * 220 * n / SAMPLE_RATE)) for n in range(SAMPLE_RATE))).tobytes()
