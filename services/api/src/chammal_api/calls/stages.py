"""The stages of one call, each of them run at most once a run: what it brought is kept before it counts as done.

transcribe → check and summarise, at the same time → finish. Who calls them in this order, and again after a crash, is
`flow`; what a failed stage's report says is the degradation contract's.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from itertools import chain, repeat
from typing import BinaryIO, Protocol, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from chammal_api.calls.call_metrics import FINISHED, GIVEN_UP, HEALED, STAGE_SECONDS
from chammal_api.calls.recognition import RECORDING_AT_FAULT, OnProgress, Refused
from chammal_api.calls.records import CallGone
from chammal_api.calls.utterances import to_transcript
from chammal_api.clients.named_agent import NamedAgent
from chammal_api.outcome import Outcome, skipped
from chammal_api.tally import Tally
from chammal_contracts.asr import Transcription
from chammal_contracts.calls import (
    Call,
    CallError,
    CallMetadata,
    CallSummary,
    CallTranscript,
    Healing,
    HealingState,
    Progress,
    Recording,
)
from chammal_contracts.checks import CheckRequest, CheckResult
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem

NO_TRANSCRIPT = "no transcript"
NO_SPEECH = "the transcript is empty: no speech was found"
NO_PRODUCT = "no product type"
FAULT = "internal_error"
PROGRESS_SECONDS = 2.0
_PATIENCE = (0.2, 1.0, 5.0, 15.0)
"""Seconds between tries to reach the store; the last for as long as it takes."""

AT_FAULT = RECORDING_AT_FAULT | {ErrorCode.RECORDING_MISSING}
STAGES = (Stage.STT, Stage.ANALYSIS, Stage.SUMMARY)

log = component_logger("Calls")
T = TypeVar("T")


class Store(Protocol):
    async def get(self, call_id: str) -> Call | None: ...
    async def begin(self, call_id: str, run: int) -> None: ...
    async def kept(self, call_id: str, run: int) -> Mapping[Stage, StageReport]:
        """The stages that this run has kept already."""

    async def keep_stage(
        self,
        call_id: str,
        run: int,
        report: StageReport,
        *,
        transcript: CallTranscript | None = None,
        check: CheckResult | None = None,
        summary: CallSummary | None = None,
    ) -> StageReport: ...
    async def set_progress(self, call_id: str, progress: Progress | None) -> None: ...
    async def finish(self, call_id: str, run: int, healing: Healing, error: CallError | None) -> Call: ...


class Shelf(Protocol):
    def open(self, recording: Recording) -> BinaryIO: ...


class Recognises(Protocol):
    async def transcribe(
        self, audio: BinaryIO, size: int, metadata: CallMetadata, on_progress: OnProgress
    ) -> Outcome[Transcription]: ...


class Checks(Protocol):
    async def check(self, request: CheckRequest, agent: NamedAgent | None = None) -> Outcome[CheckResult]: ...


class Summarises(Protocol):
    async def summarise(self, transcript: CallTranscript, agent: NamedAgent | None = None) -> Outcome[CallSummary]: ...


class Foretells(Protocol):
    def healing_after(self, call: Call, now: dt.datetime) -> Healing: ...


class CallStages:
    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        recogniser: Recognises,
        checker: Checks,
        summariser: Summarises,
        mask: Callable[[CallTranscript], CallTranscript],
        prognosis: Foretells,
        tally: Tally,
        notify: Callable[[], None],
        took: Callable[[float], None],
    ) -> None:
        """`notify` is called when something of a call was written, `took` with the seconds of a whole run."""
        self._store = store
        self._shelf = shelf
        self._recogniser = recogniser
        self._checker = checker
        self._summariser = summariser
        self._mask = mask
        self._prognosis = prognosis
        self._tally = tally
        self._notify = notify
        self._took = took

    async def begin(self, call_id: str, run: int) -> None:
        with suppress(CallGone):
            await patiently(lambda: self._store.begin(call_id, run))

    async def transcribe(self, call_id: str, run: int) -> None:
        call = await self._unless_kept(call_id, run, Stage.STT)
        if call is None:
            return
        try:
            heard = await guarded(Stage.STT, self._hear(call))
        except Refused as refused:
            heard = Outcome(None, _refusal(refused.error))
        transcript = None
        if heard.value is not None:  # masking an hour of talk takes a third of a second
            transcript = await asyncio.to_thread(self._mask, to_transcript(heard.value))
        await self._keep(call_id, run, heard.report, transcript=transcript)

    async def check(self, call_id: str, run: int) -> None:
        call = await self._unless_kept(call_id, run, Stage.ANALYSIS)
        if call is None:
            return
        judged = await guarded(Stage.ANALYSIS, self._check(call))
        await self._keep(call_id, run, judged.report, check=judged.value)

    async def summarise(self, call_id: str, run: int) -> None:
        call = await self._unless_kept(call_id, run, Stage.SUMMARY)
        if call is None:
            return
        summed = await guarded(Stage.SUMMARY, self._summarise(call))
        await self._keep(call_id, run, summed.report, summary=summed.value)

    async def finish(self, call_id: str, run: int) -> Call | None:
        """The call as it is now; None when it was deleted."""
        call = await patiently(lambda: self._store.get(call_id))
        if call is None:
            return None
        error = error_of(call)
        healing = Healing() if error else self._prognosis.healing_after(call, dt.datetime.now(dt.UTC))
        ended = await self._end(call_id, run, healing, error)
        if ended is not None:
            note_end(ended)
            self._took(sum(report.seconds for report in ended.stages))
            self._notify()
        return ended

    async def give_up(self, call_id: str, run: int, reason: str) -> None:
        """A run that cannot be brought to its end: what it has stands."""
        call = await patiently(lambda: self._store.get(call_id))
        if call is None:
            return
        lost = Healing(
            state=HealingState.GIVEN_UP, attempts=call.healing.attempts, since=call.healing.since, reason=reason
        )
        if ended := await self._end(call_id, run, lost, None):
            note_end(ended)

    async def _end(self, call_id: str, run: int, healing: Healing, error: CallError | None) -> Call | None:
        try:
            return await patiently(lambda: self._store.finish(call_id, run, healing, error))
        except CallGone:
            return None

    async def _unless_kept(self, call_id: str, run: int, stage: Stage) -> Call | None:
        """None: nothing is to be done. The process may have died after it kept a stage, before it noted it as done."""
        if stage in await patiently(lambda: self._store.kept(call_id, run)):
            return None
        return await patiently(lambda: self._store.get(call_id))

    async def _hear(self, call: Call) -> Outcome[Transcription]:
        progress = _Pace(lambda done: self._store.set_progress(call.id, done))
        try:
            file: AbstractContextManager[BinaryIO] = await asyncio.to_thread(self._shelf.open, call.recording)
        except FileNotFoundError:
            raise Refused(
                CallError(code=ErrorCode.RECORDING_MISSING, detail="The recording is not there any more.")
            ) from None
        with file as audio:
            return await self._recogniser.transcribe(audio, call.recording.bytes, call.metadata, progress)

    async def _check(self, call: Call) -> Outcome[CheckResult]:
        metadata, transcript = call.metadata, call.transcript
        if transcript is None:
            return skipped(Stage.ANALYSIS, NO_TRANSCRIPT)
        if metadata.product_type is None:
            return skipped(Stage.ANALYSIS, NO_PRODUCT)
        return await self._checker.check(
            CheckRequest(
                product_type=metadata.product_type,
                channel=metadata.channel,
                started_at=metadata.started_at,
                customer_type=metadata.customer_type,
                utterances=transcript.utterances,
                rule_set=metadata.rule_set,
            ),
            _agent_of(call),
        )

    async def _summarise(self, call: Call) -> Outcome[CallSummary]:
        if call.transcript is None:
            return skipped(Stage.SUMMARY, NO_TRANSCRIPT)
        if not call.transcript.utterances:
            return skipped(Stage.SUMMARY, NO_SPEECH)
        return await self._summariser.summarise(call.transcript, _agent_of(call))

    async def _keep(
        self,
        call_id: str,
        run: int,
        report: StageReport,
        *,
        transcript: CallTranscript | None = None,
        check: CheckResult | None = None,
        summary: CallSummary | None = None,
    ) -> None:
        try:
            await patiently(
                lambda: self._store.keep_stage(
                    call_id, run, report, transcript=transcript, check=check, summary=summary
                )
            )
        except CallGone:
            return
        self._notify()
        self._tally.count([report])
        if report.status is not StageStatus.SKIPPED:
            STAGE_SECONDS.labels(report.stage).observe(report.seconds)
        if report.status is StageStatus.DUMMY:
            log.error("%s: no %s: %s", call_id, report.stage, report.error_type)


class _Pace:
    """Tells the store how far a stage is, at most every other second; that it could not is no reason to stop."""

    def __init__(self, tell: Callable[[Progress], Awaitable[None]]) -> None:
        self._tell = tell
        self._next = 0.0

    async def __call__(self, progress: Progress) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return
        self._next = now + PROGRESS_SECONDS
        try:
            await self._tell(progress)
        except (SQLAlchemyError, Problem) as error:
            log.warning("progress was not kept: %s", type(error).__name__)


async def guarded(stage: Stage, work: Awaitable[Outcome[T]]) -> Outcome[T]:
    """The boundary of a stage: a fault of ours makes it a dummy that heals, and never ends the workflow."""
    try:
        return await work
    except Refused:
        raise
    except Exception:
        log.exception("a fault of our own in the stage %s", stage)
        detail = "The service met an error of its own; its log has the cause."
        report = StageReport(stage=stage, status=StageStatus.DUMMY, error_type=FAULT, error=detail)
        return Outcome(None, report, 500)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """What was worked for is not thrown away because the database is away: it is waited for."""
    for wait in chain(_PATIENCE, repeat(_PATIENCE[-1])):
        try:
            return await ask()
        except (SQLAlchemyError, Problem) as error:  # the problem is a disk that is full
            log.error("the database does not answer, trying again in %g s: %s", wait, type(error).__name__)
        await asyncio.sleep(wait)
    raise AssertionError("unreachable: the waits never end")


def _agent_of(call: Call) -> NamedAgent | None:
    url = call.metadata.agent_url
    return None if url is None else NamedAgent(url, call.metadata.agent_request_format)


def note_end(call: Call) -> None:
    FINISHED.labels(call.status).inc()
    if call.healing.state is HealingState.HEALED:
        HEALED.inc()
    if call.healing.state is HealingState.GIVEN_UP:
        GIVEN_UP.inc()
        log.error("%s: given up after %d attempts: %s", call.id, call.healing.attempts, call.healing.reason)
    else:
        log.info("%s: %s, revision %d", call.id, call.status, call.revision)


def _refusal(error: CallError) -> StageReport:
    return StageReport(stage=Stage.STT, status=StageStatus.DUMMY, error_type=error.code, error=error.detail)


def error_of(call: Call) -> CallError | None:
    """The sender's mistake that stt found, from the report that was kept of it."""
    heard = next((report for report in call.stages if report.stage is Stage.STT), None)
    if heard is None or heard.status is not StageStatus.DUMMY or heard.error_type not in AT_FAULT:
        return None
    return CallError(code=heard.error_type, detail=heard.error or "")
