import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy.exc import OperationalError
from tests.sample_calls import check, segment

import chammal_api.calls.stages as stages_module
from chammal_api.calls.healing import HealPolicy, Prognosis
from chammal_api.calls.recognition import OnProgress, Refused
from chammal_api.calls.stages import CallStages
from chammal_api.calls.store import CallStore
from chammal_api.clients.named_agent import NamedAgent
from chammal_api.outcome import Outcome
from chammal_api.tally import Tally
from chammal_contracts.asr import Transcription
from chammal_contracts.calls import (
    Call,
    CallError,
    CallMetadata,
    CallStatus,
    CallSummary,
    CallTranscript,
    HealingState,
    Progress,
    Recording,
)
from chammal_contracts.checks import CheckRequest, CheckResult, CheckStatus, ProductType
from chammal_contracts.stages import Stage, StageReport, StageStatus

pytestmark = pytest.mark.anyio
RECORDING = Recording(sha256="0" * 64, bytes=5)


def heard(text: str = "네") -> Transcription:
    return Transcription(language="ko", duration=1, text=text, segments=[segment(0, text)], model="whisper")


class Services:
    """All of a call's services, which fail as they are told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.raises: dict[str, Exception] = {}
        self.status = StageStatus.OK
        self.text = "네"
        self.has_recording = True
        self.took: list[float] = []

    def open(self, recording: Recording) -> BinaryIO:
        if not self.has_recording:
            raise FileNotFoundError
        return io.BytesIO(b"sound")

    def _ask(self, stage: Stage) -> StageReport:
        self.asked.append(stage)
        if error := self.raises.get(stage):
            raise error
        return StageReport(stage=stage, status=self.status, seconds=1.0)

    async def transcribe(
        self, audio: BinaryIO, size: int, metadata: CallMetadata, on_progress: OnProgress
    ) -> Outcome[Transcription]:
        report = self._ask(Stage.STT)
        await on_progress(Progress(stage="stt", done=1.0))
        return Outcome(heard(self.text) if self.status is StageStatus.OK else None, report)

    async def check(self, request: CheckRequest, agent: NamedAgent | None = None) -> Outcome[CheckResult]:
        status = CheckStatus.COMPLETE
        result = check(status=status)
        return Outcome(result, self._ask(Stage.ANALYSIS))

    async def summarise(self, transcript: CallTranscript, agent: NamedAgent | None = None) -> Outcome[CallSummary]:
        return Outcome(CallSummary(sentence="s", reason="r", actions="a"), self._ask(Stage.SUMMARY))


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CallStore]:
    async with aclosing(await CallStore.open(f"sqlite:///{tmp_path / 'calls.sqlite'}")) as opened:
        yield opened


@pytest.fixture
def stages(store: CallStore, services: Services) -> CallStages:
    prognosis = Prognosis(HealPolicy())
    return CallStages(
        store,
        services,
        services,
        services,
        services,
        lambda t: t,
        prognosis,
        Tally(),
        lambda: None,
        services.took.append,
    )


async def run(store: CallStore, stages: CallStages, product: ProductType | None = ProductType.LOAN) -> Call:
    await store.accept("a", CallMetadata(product_type=product), RECORDING)
    return await again(stages)


async def again(stages: CallStages, number: int = 1) -> Call:
    await stages.begin("a", number)
    await stages.transcribe("a", number)
    await asyncio.gather(stages.check("a", number), stages.summarise("a", number))
    call = await stages.finish("a", number)
    assert call is not None
    return call


async def test_a_call_whose_stages_all_answer_is_complete(
    store: CallStore, stages: CallStages, services: Services
) -> None:
    call = await run(store, stages)
    assert call.status is CallStatus.COMPLETE
    assert None not in (call.transcript, call.check, call.summary)
    assert services.took == [3.0]


async def test_a_stage_that_was_kept_is_not_asked_for_again(
    store: CallStore, stages: CallStages, services: Services
) -> None:
    await store.accept("a", CallMetadata(product_type=ProductType.LOAN), RECORDING)
    for _ in range(2):
        await stages.transcribe("a", 1)
        await stages.check("a", 1)
    assert services.asked == ["stt", "analysis"]


async def test_without_a_transcript_nothing_else_is_asked_and_the_call_waits(
    store: CallStore, stages: CallStages, services: Services
) -> None:
    services.status = StageStatus.DUMMY
    call = await run(store, stages)
    assert services.asked == ["stt"]
    assert call.status is CallStatus.PARTIAL
    assert call.healing.state is HealingState.WAITING
    assert call.healing.missing == ["stt", "analysis", "summary"]


async def test_a_recording_at_fault_fails_the_call_and_does_not_heal(
    store: CallStore, stages: CallStages, services: Services
) -> None:
    services.raises["stt"] = Refused(CallError(code="audio_unprocessable", detail="why"))
    call = await run(store, stages)
    assert call.status is CallStatus.FAILED
    assert call.error == CallError(code="audio_unprocessable", detail="why")
    assert call.healing.state is HealingState.NONE


async def test_a_recording_that_is_gone_fails_the_call(
    store: CallStore, stages: CallStages, services: Services
) -> None:
    services.has_recording = False
    call = await run(store, stages)
    assert call.error is not None
    assert call.error.code == "recording_missing"


@pytest.mark.parametrize("stage", ["stt", "analysis", "summary"])
async def test_a_fault_of_ours_is_a_dummy_that_heals(
    store: CallStore, stages: CallStages, services: Services, stage: str
) -> None:
    services.raises[stage] = RuntimeError("a secret")
    call = await run(store, stages)
    report = next(one for one in call.stages if one.stage == stage)
    assert (report.status, report.error_type) == (StageStatus.DUMMY, "internal_error")
    assert "secret" not in (report.error or "")
    assert call.healing.state is HealingState.WAITING


async def test_without_a_product_type_there_is_no_check(
    store: CallStore, stages: CallStages, services: Services
) -> None:
    call = await run(store, stages, product=None)
    assert "analysis" not in services.asked
    assert call.status is CallStatus.COMPLETE


async def test_a_call_heals_by_its_missing_stage_alone_and_gets_a_new_revision(
    store: CallStore, stages: CallStages, services: Services
) -> None:
    services.raises["summary"] = RuntimeError()
    first = await run(store, stages)
    services.raises.clear()
    services.asked.clear()
    number = await store.claim_heal("a")
    assert number == 2
    await stages.begin("a", number)
    await stages.summarise("a", number)
    healed = await stages.finish("a", number)
    assert healed is not None
    assert services.asked == ["summary"]
    assert (first.revision, healed.revision) == (1, 2)
    assert (healed.status, healed.healing.state, healed.healing.attempts) == ("complete", HealingState.HEALED, 1)


async def test_a_deleted_call_is_let_go(store: CallStore, stages: CallStages, services: Services) -> None:
    await store.accept("a", CallMetadata(), RECORDING)
    await store.delete("a")
    await stages.begin("a", 1)
    await stages.transcribe("a", 1)
    assert await stages.finish("a", 1) is None
    assert services.asked == []


async def test_work_is_not_lost_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages_module, "_PATIENCE", (0.0,))
    tries = 0

    async def ask() -> str:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise OperationalError("select", {}, Exception("away"))
        return "back"

    assert await stages_module.patiently(ask) == "back"


async def test_cancellation_ends_a_stage(store: CallStore, stages: CallStages, services: Services) -> None:
    await store.accept("a", CallMetadata(), RECORDING)

    asked = asyncio.Event()

    async def never(audio: BinaryIO, size: int, metadata: CallMetadata, on_progress: OnProgress) -> None:
        asked.set()
        await asyncio.Event().wait()

    services.transcribe = never  # type: ignore[assignment, method-assign]
    task = asyncio.ensure_future(stages.transcribe("a", 1))
    async with asyncio.timeout(10):
        await asked.wait()
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert await store.kept("a", 1) == {}
