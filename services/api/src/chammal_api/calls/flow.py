"""Durable execution of calls on DBOS, which no other module imports.

    flow = CallFlow(stages, …); await flow.start()   # in the event loop of the app: workflows run there
    await flow.submit(call_id, 1, Priority.BATCH)    # the workflow's id is f"{call_id}:{run}": once, however often

A step that has ended is never repeated; kill -9 at any point resumes with the first that has not. DBOS keeps the order
of steps alone, in `workflows.sqlite` or in the schema `dbos` of PostgreSQL: ids and flags, no word of a call.

Old workflows resume under a new release because all releases are of one application version. So a workflow's steps may
not change: a new order of steps is a new workflow beside the old one, which stays until none of it is left.
"""

import asyncio
import datetime as dt
import fcntl
import sqlite3
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID
from dbos._error import DBOSException
from sqlalchemy.exc import SQLAlchemyError

from chammal_api.calls.chores import forward_logs, regularly
from chammal_api.calls.database import DatabaseNotOpen, patient
from chammal_api.calls.executors import BEAT_SECONDS, Executors, own_name
from chammal_api.calls.records import Unqueued
from chammal_api.calls.stages import STAGES
from chammal_contracts.calls import Call, Priority
from chammal_contracts.stages import Stage
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_kit.request_id import enter_request

APPLICATION, VERSION = "chammal-calls", "1"
ANALYSE = "analyse_call"
CALLS, WEBHOOKS = "calls", "webhooks"
POLL_SECONDS = 0.25
WEBHOOKS_AT_ONCE = 8
RECONCILE_SECONDS = 30.0
HANDING_SECONDS = 5.0
"""DBOS itself waits for its database for ever."""
TIDY_SECONDS = 60.0
KEPT = dt.timedelta(days=1)
"""How long a workflow that has ended is remembered."""
RECOVERIES = 50
"""Times that a workflow may be begun again. One that ends the process every time is given up."""
PRIORITIES = {Priority.INTERACTIVE: 10, Priority.BATCH: 20}
HEAL_PRIORITY = 30
_BATCH = 500
_FAILED = ("ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_ENDED = ("SUCCESS", "CANCELLED", "ERROR")

log = component_logger("Calls")


class Stages(Protocol):
    async def begin(self, call_id: str, run: int) -> None: ...
    async def transcribe(self, call_id: str, run: int) -> None: ...
    async def check(self, call_id: str, run: int) -> None: ...
    async def summarise(self, call_id: str, run: int) -> None: ...
    async def finish(self, call_id: str, run: int) -> Call | None: ...
    async def give_up(self, call_id: str, run: int, reason: str) -> None: ...


class Teller(Protocol):
    async def tell(self, call_id: str, revision: int, attempt: int) -> float | None:
        """One try of the webhook. Seconds until the next, None: no more."""


class Ledger(Protocol):
    async def submitted(self, call_id: str, run: int) -> None: ...
    async def unqueued(self) -> Sequence[Unqueued]: ...


class CallFlow:
    def __init__(
        self,
        stages: Stages,
        teller: Teller,
        ledger: Ledger,
        *,
        data_dir: Path,
        database_url: str | None,
        at_once: int,
    ) -> None:
        """`at_once` 0: calls are accepted here, and analysed by other processes."""
        self._stages = stages
        self._teller = teller
        self._ledger = ledger
        self._data_dir = data_dir
        self._url = patient(database_url or f"sqlite:///{data_dir / 'workflows.sqlite'}")
        self._at_once = at_once
        self._running: dict[asyncio.Task[Any], str] = {}
        self._chores: list[asyncio.Task[None]] = []
        self._leaving = False
        self._held = ExitStack()
        self._executors: Executors | None = None

    async def start(self) -> None:
        """In the loop that workflows shall run in. What this executor had not finished is resumed.

        Raises SQLAlchemyError where the database does not answer: start it again later.
        """
        if _flow is not None:
            raise RuntimeError("there is one flow of calls in a process")
        try:
            await self._start()
        except DBOSException as error:
            await self._end()
            raise DatabaseNotOpen(str(error)) from error
        except BaseException:
            await self._end()
            raise

    async def _start(self) -> None:
        global _flow
        forward_logs("dbos", log, but="Asyncio task cancelled")  # ours, when a call is deleted or the process leaves
        executor = self._held.enter_context(own_name(self._data_dir / "executors"))
        if self._url.get_backend_name() == "sqlite":
            _set_wal(self._url.database)
        engine = sa.create_engine(self._url)
        self._held.callback(engine.dispose)
        executors = Executors(engine, executor)
        await asyncio.to_thread(executors.create)
        await asyncio.to_thread(executors.beat)
        self._executors, _flow = executors, self
        self._held.callback(_forget)
        DBOS(config=_config(self._url, executor))
        DBOS.listen_queues([CALLS, WEBHOOKS] if self._at_once else [])
        DBOS.launch()
        await self._register_queues()
        self._chores = [
            asyncio.ensure_future(regularly(BEAT_SECONDS, self._beat, "the heart-beat of the executor")),
            asyncio.ensure_future(regularly(RECONCILE_SECONDS, self.reconcile, "looking for calls without a run")),
            asyncio.ensure_future(regularly(TIDY_SECONDS, self.tidy, "tidying up workflows")),
        ]

    async def aclose(self) -> None:
        """What runs is left as it is, for the next process to resume."""
        self._leaving = True
        tasks = [*self._chores, *self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._end()

    async def _end(self) -> None:
        if self._executors is not None:
            await self._leave(self._executors)
            self._executors = None
        self._held.close()

    async def submit(
        self, call_id: str, run: int, priority: Priority, only: Sequence[Stage] | frozenset[Stage] | None = None
    ) -> None:
        """Does not raise: a call that could not be handed over is found and handed over later."""
        await self._enqueue(call_id, run, PRIORITIES[priority], only)

    async def heal(self, call_id: str, run: int, missing: Sequence[Stage]) -> None:
        await self._enqueue(call_id, run, HEAL_PRIORITY, missing)

    async def cancel(self, call_id: str) -> None:
        """Ends what works on a deleted call and forgets that it did, in all processes.

        Does not raise: a workflow that is not told finds out at its next step.
        """
        if not self._chores:
            return
        try:
            async with asyncio.timeout(HANDING_SECONDS):
                await self._cancel(call_id)
        except (TimeoutError, SQLAlchemyError, DBOSException) as error:
            log.warning("%s: its workflow is left to find out that it is deleted: %s", call_id, type(error).__name__)

    async def _cancel(self, call_id: str) -> None:
        found = await DBOS.list_workflows_async(workflow_id_prefix=f"{call_id}:", load_input=False, load_output=False)
        ids = [workflow.workflow_id for workflow in found]
        if ids:
            await DBOS.cancel_workflows_async(ids)
        ours = [task for task, of in self._running.items() if of == call_id]
        for task in ours:
            task.cancel()
        await asyncio.gather(*ours, return_exceptions=True)
        if ids:
            await DBOS.delete_workflows_async(ids)

    async def reconcile(self) -> int:
        """Hands over the calls that were accepted and have no workflow. Returns how many."""
        waiting = await self._ledger.unqueued()
        for one in waiting:
            await self.submit(one.call_id, one.run, one.priority, one.only)
        if waiting:
            log.warning("%d calls had been accepted and not handed over", len(waiting))
        return len(waiting)

    async def tidy(self) -> None:
        """Gives up the calls whose workflow cannot end, and forgets workflows that ended long ago."""
        failed = await DBOS.list_workflows_async(
            name=ANALYSE, status=[*_FAILED], limit=_BATCH, load_input=False, load_output=False
        )
        for workflow in failed:
            call_id, _, run = workflow.workflow_id.rpartition(":")
            await self._stages.give_up(
                call_id, int(run), f"its analysis cannot be brought to an end: {workflow.status}"
            )
        long_ago = dt.datetime.now(dt.UTC) - KEPT
        ended = await DBOS.list_workflows_async(
            status=[*_ENDED], completed_before=long_ago.isoformat(), limit=_BATCH, load_input=False, load_output=False
        )
        if gone := [workflow.workflow_id for workflow in (*failed, *ended)]:
            await DBOS.delete_workflows_async(gone)

    async def adopt(self) -> None:
        """Takes over what executors without a heart-beat had begun."""
        if self._executors is None or not self._at_once:
            return
        for executor in await asyncio.to_thread(self._executors.dead):
            adopted = await asyncio.to_thread(DBOS._recover_pending_workflows, [executor])  # noqa: SLF001
            await asyncio.to_thread(self._executors.bury, executor)
            if adopted:
                log.warning("executor %s is gone: %d of its workflows are resumed", executor, len(adopted))

    async def analyse(self, call_id: str, run: int, stages: Sequence[str]) -> None:
        """The workflow. Its steps and their order are for ever, see above."""
        await _begin(call_id, run)
        if Stage.STT in stages:
            await _transcribe(call_id, run)
        judging: list[Awaitable[None]] = []
        if Stage.ANALYSIS in stages:
            judging.append(_check(call_id, run))
        if Stage.SUMMARY in stages:
            judging.append(_summarise(call_id, run))
        await asyncio.gather(*judging)
        if revision := await _finish(call_id, run):
            await _enqueue_telling(call_id, revision, 1, None)

    async def _enqueue(
        self, call_id: str, run: int, priority: int, only: Sequence[Stage] | frozenset[Stage] | None
    ) -> None:
        if not self._chores:
            return  # the first of them finds it
        stages = [str(stage) for stage in STAGES if only is None or stage in only]
        try:
            async with asyncio.timeout(HANDING_SECONDS):
                with SetWorkflowID(workflow_id(call_id, run)), SetEnqueueOptions(priority=priority):
                    await DBOS.enqueue_workflow_async(CALLS, _analyse_call, call_id, run, stages)
                await self._ledger.submitted(call_id, run)
        except (TimeoutError, SQLAlchemyError, DBOSException, Problem) as error:
            log.error("%s waits to be put into the queue: %s", call_id, type(error).__name__)

    async def _register_queues(self) -> None:
        for queue, at_once in ((CALLS, self._at_once), (WEBHOOKS, WEBHOOKS_AT_ONCE)):
            await DBOS.register_queue_async(
                queue,
                worker_concurrency=at_once or 1,
                polling_interval_sec=POLL_SECONDS,
                on_conflict="always_update" if self._at_once else "never_update",
            )

    async def _beat(self) -> None:
        if self._executors is not None:
            await asyncio.to_thread(self._executors.beat)
        await self.adopt()

    async def _leave(self, executors: Executors) -> None:
        """DBOS blocks while it ends, and ends the pool of threads that it had given the loop."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "calls-leave") as leaving:
            try:
                await loop.run_in_executor(leaving, executors.leave)
            except SQLAlchemyError as error:
                log.warning("the executor could not say that it leaves: %s", type(error).__name__)
            await loop.run_in_executor(leaving, DBOS.destroy)
        loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))

    async def run_here(self, call_id: str, work: Awaitable[None]) -> None:
        """Known to `aclose` and `cancel` while it runs. Once this process leaves, nothing more is begun."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        enter_request(call_id.encode())
        self._running[task] = call_id
        try:
            await work
        finally:
            del self._running[task]

    @property
    def leaving(self) -> bool:
        return self._leaving

    @property
    def stages(self) -> Stages:
        return self._stages

    @property
    def teller(self) -> Teller:
        return self._teller


_flow: CallFlow | None = None


def workflow_id(call_id: str, run: int) -> str:
    return f"{call_id}:{run}"


def _here() -> CallFlow:
    """A cancelled workflow is resumed by the next process, where one that raises would count as ended."""
    if _flow is None or _flow.leaving:
        raise asyncio.CancelledError
    return _flow


def _forget() -> None:
    global _flow
    _flow = None


@DBOS.workflow(name=ANALYSE, max_recovery_attempts=RECOVERIES)
async def _analyse_call(call_id: str, run: int, stages: list[str]) -> None:
    flow = _here()
    await flow.run_here(call_id, flow.analyse(call_id, run, stages))


@DBOS.workflow(name="tell_webhook", max_recovery_attempts=RECOVERIES)
async def _tell_webhook(call_id: str, revision: int, attempt: int) -> None:
    await _here().run_here(call_id, _telling(call_id, revision, attempt))


async def _telling(call_id: str, revision: int, attempt: int) -> None:
    wait = await _tell(call_id, revision, attempt)
    if wait is not None:
        await _enqueue_telling(call_id, revision, attempt + 1, wait)


async def _enqueue_telling(call_id: str, revision: int, attempt: int, wait: float | None) -> None:
    with SetWorkflowID(f"{call_id}:told:{revision}:{attempt}"), SetEnqueueOptions(delay_seconds=wait):
        await DBOS.enqueue_workflow_async(WEBHOOKS, _tell_webhook, call_id, revision, attempt)


@DBOS.step(name="begin")
async def _begin(call_id: str, run: int) -> None:
    await _here().stages.begin(call_id, run)


@DBOS.step(name="transcribe", preemptible=True)
async def _transcribe(call_id: str, run: int) -> None:
    await _here().stages.transcribe(call_id, run)


@DBOS.step(name="check", preemptible=True)
async def _check(call_id: str, run: int) -> None:
    await _here().stages.check(call_id, run)


@DBOS.step(name="summarise", preemptible=True)
async def _summarise(call_id: str, run: int) -> None:
    await _here().stages.summarise(call_id, run)


@DBOS.step(name="finish")
async def _finish(call_id: str, run: int) -> int | None:
    """The revision to tell of, where somebody wants to be told."""
    call = await _here().stages.finish(call_id, run)
    return call.revision if call is not None and call.metadata.webhook_url else None


@DBOS.step(name="tell")
async def _tell(call_id: str, revision: int, attempt: int) -> float | None:
    return await _here().teller.tell(call_id, revision, attempt)


def _config(url: sa.URL, executor: str) -> DBOSConfig:
    """No telemetry, no administration, nobody else to report to."""
    return {
        "name": APPLICATION,
        "system_database_url": url.render_as_string(hide_password=False),
        "application_version": VERSION,
        "executor_id": executor,
        "log_level": "WARNING",
        "enable_otlp": False,
        "notification_listener_polling_interval_sec": 0.2,
    }


def _set_wal(path: str | None) -> None:
    """It is a property of the file; DBOS leaves it as it is. One process at a time: it waits for no lock of SQLite."""
    with Path(f"{path}.lock").open("w") as lock, closing(sqlite3.connect(path or "")) as connection:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection.execute("PRAGMA journal_mode=WAL")
