"""A folder of the api with calls in it that have ended, as a run without faults leaves them."""

import asyncio
import datetime as dt
from io import BytesIO
from pathlib import Path

from chammal_api.calls.recordings import Recordings
from chammal_api.calls.store import CallStore
from chammal_contracts.calls import CallMetadata, CallSummary, Healing
from chammal_contracts.checks import ProductType, Speaker, Utterance
from chammal_contracts.stages import Stage, StageReport, StageStatus
from tests.sample_calls import check, transcript

HOW_MANY = 64
RUN = 1
SOUND = b"RIFF....WAVE of call %d"
"""Each has a recording of its own, which goes with it."""
SAID = transcript(
    Utterance(id="1", speaker=Speaker.AGENT, start=0, end=2, text="One true word."),
    language="en",
    duration=2.0,
    model="none",
)
CHECKED = check(rule_set_version="0")
SUMMED = CallSummary(sentence="A word was said.", reason="To say it.", actions="Said it.")


def stored_id(number: int) -> str:
    return f"{number:032x}"


def fill(folder: Path, database_url: str | None = None) -> None:
    """`database_url`: instead of the file in the folder."""
    asyncio.run(_fill(folder, database_url or f"sqlite:///{folder / 'calls.sqlite'}"))


async def _fill(folder: Path, url: str) -> None:
    recordings = Recordings(folder / "recordings", min_free_bytes=0)
    await recordings.start()
    store = await CallStore.open(url, has_recording=recordings.has)
    try:
        for number in range(HOW_MANY):
            kept = await recordings.keep(BytesIO(SOUND % number), 1 << 20, filename="call.wav")
            call_id = stored_id(number)
            metadata = CallMetadata(product_type=ProductType.INVESTMENT)
            await store.accept(call_id, metadata, kept, now=dt.datetime.now(dt.UTC))
            await store.submitted(call_id, RUN)
            await store.begin(call_id, RUN)
            await store.keep_stage(call_id, RUN, _ok(Stage.STT), transcript=SAID)
            await store.keep_stage(call_id, RUN, _ok(Stage.ANALYSIS), check=CHECKED)
            await store.keep_stage(call_id, RUN, _ok(Stage.SUMMARY), summary=SUMMED)
            await store.finish(call_id, RUN, Healing())
    finally:
        await store.aclose()


def _ok(stage: Stage) -> StageReport:
    return StageReport(stage=stage, status=StageStatus.OK, backend="none", model="none")
