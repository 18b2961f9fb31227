"""Samples to text, in processes that hold the model."""

import asyncio
from pathlib import Path

from pydantic import TypeAdapter

from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Check
from chammal_kit.logs import component_logger
from chammal_kit.models import Located, ModelError, find, load_manifest
from chammal_kit.problems import Problem
from chammal_stt.messages import RecogniseJob, RecogniseReply
from chammal_stt.metrics import STAGE_SECONDS, WORKER_RESTARTS, WorkerKind
from chammal_stt.pool import Pool, StartFailed
from chammal_stt.settings import SttSettings
from chammal_stt.worker import Worker, WorkerCommand, WorkerDied, WorkerUnfit

log = component_logger("STT")

_REPLY = TypeAdapter(RecogniseReply)


class Recogniser:
    def __init__(self, settings: SttSettings) -> None:
        self.model = settings.model
        """Id of the model that answers; the equivalent's when that is what this machine has."""
        self._settings = settings
        restarts = WORKER_RESTARTS.labels(WorkerKind.RECOGNISER)
        self.pool = Pool(self._start, settings.workers, grace_seconds=settings.abandon_seconds, on_death=restarts.inc)

    async def recognise(self, samples: int, job: RecogniseJob) -> RecogniseReply:
        """Reads the descriptor `samples`. Raises Problem."""
        try:
            async with self.pool.lease() as worker:
                with STAGE_SECONDS.labels(WorkerKind.RECOGNISER).time():
                    reply = await worker.call(job, (samples,), _REPLY)
        except WorkerDied as error:
            detail = "The recogniser process ended while it worked on the recording. Send it again."
            raise Problem(503, ErrorCode.WORKER_DIED, detail, headers={"Retry-After": "2"}) from error
        except StartFailed as error:
            raise _unavailable(error) from error
        if reply.error is not None:
            log.error("The recogniser failed: %s", reply.error)
            raise Problem(500, ErrorCode.STAGE_FAILED, "The recogniser failed on the recording; its log has the cause.")
        return reply

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
        return find(load_manifest(settings.models_manifest), settings.models_dir, settings.model)

    def _command(self, directory: Path) -> WorkerCommand:
        settings = self._settings
        return WorkerCommand(
            name=WorkerKind.RECOGNISER,
            module="chammal_stt.recogniser_process",
            arguments=(str(directory.absolute()), settings.compute_type, str(settings.threads_per_worker)),
            directory=Path("/"),  # MKL cannot load its parts from a directory that is gone
            start_seconds=settings.start_seconds,
        )


def _unavailable(error: StartFailed) -> Problem:
    extensions = {"command": error.hint} if error.hint else {}
    return Problem(
        503, ErrorCode.MODEL_UNAVAILABLE, f"No recogniser: {error}", headers={"Retry-After": "10"}, **extensions
    )
