import asyncio
import datetime as dt
import io
import os
import sqlite3
from pathlib import Path

import pytest
from tests.sample_calls import transcript

from chammal_api.calls import search
from chammal_api.calls.recordings import Recordings
from chammal_api.calls.records import CallQuery, IdempotencyKey, RecordingGone
from chammal_api.calls.retention import Retention, Swept, erase
from chammal_api.calls.store import CallStore
from chammal_contracts.calls import CallMetadata, CallSummary, Healing, HealingState, Recording
from chammal_contracts.stages import Stage, StageReport, StageStatus

pytestmark = pytest.mark.anyio

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
SECRET = "쀍뷁흑해오소리"
AGENT = "상담사-헑푯"


async def finished(
    store: CallStore, recordings: Recordings, call_id: str, days: int = 0, sound: bytes = b"", said: str = "보험입니다"
) -> Recording:
    kept = await recordings.keep(io.BytesIO(sound or call_id.encode()), 1000)
    key = IdempotencyKey(f"key of {call_id}", "body")
    known = CallMetadata(agent_id=f"{AGENT}-{call_id}")
    await store.accept(call_id, known, kept, idempotency=key, now=NOW - dt.timedelta(days=days))
    heard = transcript(said)
    await store.keep_stage(call_id, 1, StageReport(stage=Stage.STT, status=StageStatus.OK), transcript=heard)
    summed = CallSummary(sentence=said, reason=said, actions=said)
    await store.keep_stage(call_id, 1, StageReport(stage=Stage.SUMMARY, status=StageStatus.OK), summary=summed)
    await store.finish(call_id, 1, Healing())
    return kept


async def ids(store: CallStore) -> list[str]:
    return [row.id for row in (await store.page(CallQuery())).calls]


async def test_calls_past_their_age_go_with_their_recordings(store: CallStore, recordings: Recordings) -> None:
    old = await finished(store, recordings, "old", days=31)
    young = await finished(store, recordings, "young", days=29)
    assert await Retention(store, recordings, keep_days=30).sweep(NOW) == Swept(calls=1)
    assert await ids(store) == ["young"]
    assert (recordings.has(old), recordings.has(young)) == (False, True)


async def test_nothing_goes_where_calls_are_kept_for_ever(store: CallStore, recordings: Recordings) -> None:
    await finished(store, recordings, "old", days=9999)
    assert await Retention(store, recordings, keep_days=0).sweep(NOW) == Swept()
    assert await ids(store) == ["old"]


async def test_a_call_that_is_worked_on_is_left_until_it_is_done(store: CallStore, recordings: Recordings) -> None:
    retention = Retention(store, recordings, keep_days=30)
    kept = await recordings.keep(io.BytesIO(b"sound"), 1000)
    await store.accept("c1", CallMetadata(), kept, now=NOW - dt.timedelta(days=40))
    assert (await retention.sweep(NOW)).calls == 0
    await store.finish("c1", 1, Healing(state=HealingState.WAITING, missing=["stt"], since=NOW))
    await store.claim_heal("c1", NOW)
    assert (await retention.sweep(NOW)).calls == 0
    await store.finish("c1", 2, Healing(state=HealingState.WAITING, missing=["stt"], since=NOW))
    assert (await retention.sweep(NOW)).calls == 1


async def test_a_shared_recording_stays_until_its_last_call_goes(store: CallStore, recordings: Recordings) -> None:
    kept = await finished(store, recordings, "c1", sound=b"same")
    await finished(store, recordings, "c2", sound=b"same")
    await erase(store, recordings, "c1")
    assert recordings.has(kept)
    await erase(store, recordings, "c2")
    assert not recordings.has(kept)


async def test_one_file_that_cannot_be_deleted_stops_nothing_and_is_tried_again(
    store: CallStore, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = await finished(store, recordings, "c1", days=31)
    await finished(store, recordings, "c2", days=31)
    remove = recordings.remove

    def fails(recording: Recording) -> None:
        if recording.sha256 == stuck.sha256:
            raise PermissionError("read-only")
        remove(recording)

    monkeypatch.setattr(recordings, "remove", fails)
    retention = Retention(store, recordings, keep_days=30)
    swept = await retention.sweep(NOW)
    assert (swept.calls, swept.failed) == (1, 2), "once with its call, and once as a file without one"
    assert await ids(store) == [], "of neither a row is left"
    assert await store.unused_recordings() == [stuck.sha256]
    monkeypatch.undo()
    assert await retention.sweep(NOW) == Swept(files=1)
    assert not recordings.has(stuck)


async def test_a_file_that_no_call_came_for_goes_when_it_is_old(store: CallStore, recordings: Recordings) -> None:
    orphan = await recordings.keep(io.BytesIO(b"orphan"), 1000)
    kept = await finished(store, recordings, "c1")
    retention = Retention(store, recordings, keep_days=30)
    now = dt.datetime.now(dt.UTC)
    assert await retention.sweep(now) == Swept()
    for recording in (orphan, kept):
        os.utime(recordings.path(recording), (0, 0))
    assert await retention.sweep(now) == Swept(files=1)
    assert (recordings.has(orphan), recordings.has(kept)) == (False, True)


async def test_a_call_that_comes_while_its_recording_goes_either_has_it_or_is_not_accepted(
    database_url: str, recordings: Recordings
) -> None:
    store = await CallStore.open(database_url, has_recording=recordings.has)
    for turn in range(10):
        kept = await finished(store, recordings, f"a{turn}", sound=b"same")

        async def again(call_id: str, sound: Recording = kept) -> bool:
            try:
                await store.accept(call_id, CallMetadata(), sound)
            except RecordingGone:
                return False
            return True

        _, came = await asyncio.gather(erase(store, recordings, f"a{turn}"), again(f"b{turn}"))
        assert came == recordings.has(kept) == (await store.get(f"b{turn}") is not None)
        await erase(store, recordings, f"b{turn}")
    await store.aclose()


def everywhere(folder: Path, words: list[str]) -> set[tuple[str, bytes]]:
    """Files that hold a word: as it is, as JSON may escape it, or in pairs as the text index writes it."""
    sought = {word.encode() for word in words} | {word.encode("unicode_escape") for word in words}
    # The index leaves out what a term has in common with the one before it: a pair with its first character alone.
    sought |= {pair[-6:].encode() for word in words for pair in search._phrase(search.fold(word)).split()}
    found = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {(name, part) for name, content in found.items() for part in sought if part in content}


@pytest.mark.parametrize("others", [0, 40])
async def test_no_word_of_a_deleted_call_is_in_any_file(
    sqlite_url: str, tmp_path: Path, recordings: Recordings, others: int
) -> None:
    store = await CallStore.open(sqlite_url)
    for number in range(others):
        await finished(store, recordings, f"other{number}", said=f"다른 통화 {number}입니다")
    await finished(store, recordings, "gone", said=f"{SECRET} {'보험 ' * 900} {SECRET}")
    for number in range(others):
        await finished(store, recordings, f"more{number}", said=f"또 다른 통화 {number}입니다")
    secrets = [SECRET, f"{AGENT}-gone"]
    seen = {part for _, part in everywhere(tmp_path, [SECRET])}
    assert len(seen) >= len(SECRET), "the test can see them, in the text and in the index"
    await erase(store, recordings, "gone")
    assert await store.scrub()
    assert everywhere(tmp_path, secrets) == set()
    assert len((await store.page(CallQuery(text="다른 통화"), None, 100)).calls) == 2 * others
    await store.aclose()


async def test_what_a_reader_still_sees_goes_when_it_is_done(
    sqlite_url: str, tmp_path: Path, recordings: Recordings
) -> None:
    store = await CallStore.open(sqlite_url)
    await finished(store, recordings, "gone", said=SECRET)
    reader = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM call_texts").fetchall()
    await erase(store, recordings, "gone")
    assert not await store.scrub()
    reader.close()
    assert await store.scrub()
    assert everywhere(tmp_path, [SECRET]) == set()
    await store.aclose()


async def test_a_sweep_goes_on_until_it_is_cancelled_and_outlives_a_failing_disk(
    store: CallStore, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = asyncio.Event()
    turns = 0

    async def sweep(now: dt.datetime) -> Swept:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise OSError("the disk is gone")
        swept.set()
        return Swept(calls=1)

    retention = Retention(store, recordings, keep_days=30)
    monkeypatch.setattr(retention, "sweep", sweep)
    task = asyncio.ensure_future(retention.run(every_seconds=0))
    await asyncio.wait_for(swept.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
