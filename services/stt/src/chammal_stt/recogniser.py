"""A model, and the processes that hold it."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from chammal_contracts.health import Check
from chammal_kit.logs import component_logger
from chammal_kit.models import Located, ModelError, find, load_manifest
from chammal_stt.messages import Piece, RecogniseBatch, RecogniseReply, Recognition
from chammal_stt.metrics import STAGE_SECONDS, WORKER_RESTARTS, WorkerKind
from chammal_stt.pool import Pool
from chammal_stt.settings import SttSettings
from chammal_stt.worker import Worker, WorkerCommand, WorkerUnfit

log = component_logger("STT")

_REPLY = TypeAdapter(RecogniseReply)


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

    async def run(self, worker: Worker, descriptors: Sequence[int], pieces: list[Piece]) -> list[Recognition]:
        """One batch in a worker of this pool. Raises WorkerDied or BatchFailed."""
        try:
            with STAGE_SECONDS.labels(WorkerKind.RECOGNISER).time():
                async with asyncio.timeout(self._settings.max_batch_seconds):
                    reply = await worker.call(RecogniseBatch(pieces), descriptors, _REPLY)
        except TimeoutError:  # the lease ends the worker
            raise BatchFailed(f"a batch took more than {self._settings.max_batch_seconds:g} s") from None
        if reply.error is not None:
            raise BatchFailed(reply.error)
        return reply.recognitions

    def _count_death(self) -> None:
        self.deaths += 1
        WORKER_RESTARTS.labels(WorkerKind.RECOGNISER).inc()

    async def check(self) -> Check:
        """Every worker has decoded a second of audio before it counts as started."""
        if self.pool.workers:
            return Check(name=WorkerKind.RECOGNISER, ready=True)
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
