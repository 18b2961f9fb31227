import asyncio
import datetime as dt
import hashlib
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, inspect
from tests import sample_calls
from tests.sample_calls import check, element

from chammal_api.calls.cursor import read_cursor, write_cursor
from chammal_api.calls.database import STEPS, Database, DatabaseTooNew
from chammal_api.calls.records import CallGone, CallQuery, IdempotencyKey, KeyReused, RecordingGone
from chammal_api.calls.store import CallStore
from chammal_contracts.calls import (
    Call,
    CallError,
    CallMetadata,
    CallStatus,
    CallSummary,
    CallTranscript,
    Healing,
    HealingState,
    Priority,
    Progress,
    Recording,
    WebhookState,
)
from chammal_contracts.checks import (
    CheckStatus,
    ProductType,
    Speaker,
    Verdict,
)
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_kit.problems import Problem

pytestmark = pytest.mark.anyio

NOW = dt.datetime(2026, 11, 20, 9, 30, tzinfo=dt.UTC)
SAID = "안녕하세요 참말보험입니다. 원금 손실이 날 수 있습니다."
OK, DEGRADED, DUMMY, SKIPPED = StageStatus.OK, StageStatus.DEGRADED, StageStatus.DUMMY, StageStatus.SKIPPED


def recording(content: bytes = b"RIFF") -> Recording:
    return Recording(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def report(stage: Stage, status: StageStatus = OK, error: str | None = None) -> StageReport:
    return StageReport(stage=stage, status=status, error=error)


def transcript(*lines: str) -> CallTranscript:
    return sample_calls.transcript(*(lines or (SAID,)))


SUMMARY = CallSummary(sentence="보험을 설명했다.", reason="가입", actions="설명")


async def accepted(store: CallStore, call_id: str = "c1", **known: object) -> str:
    await store.accept(call_id, CallMetadata.model_validate(known), recording(call_id.encode()), now=NOW)
    return call_id


async def finished(store: CallStore, call_id: str = "c1", *lines: str, verdict: Verdict = Verdict.MET) -> Call:
    await accepted(store, call_id, product_type="보장성")
    await store.begin(call_id, 1)
    await store.keep_stage(call_id, 1, report(Stage.STT), transcript=transcript(*lines))
    await store.keep_stage(call_id, 1, report(Stage.ANALYSIS), check=check(element("EXP-04", verdict), score=50))
    await store.keep_stage(call_id, 1, report(Stage.SUMMARY), summary=SUMMARY)
    return await store.finish(call_id, 1, Healing())


async def partial(store: CallStore, call_id: str = "c1") -> Call:
    """A call whose check and summary are missing, and which waits for them."""
    await accepted(store, call_id)
    await store.begin(call_id, 1)
    await store.keep_stage(call_id, 1, report(Stage.STT), transcript=transcript())
    await store.keep_stage(call_id, 1, report(Stage.ANALYSIS, DUMMY, "no backend"))
    await store.keep_stage(call_id, 1, report(Stage.SUMMARY, DUMMY, "no backend"))
    healing = Healing(state=HealingState.WAITING, missing=["analysis", "summary"], since=NOW, next_at=NOW)
    return await store.finish(call_id, 1, healing)


async def listed(store: CallStore, query: CallQuery) -> list[str]:
    return [row.id for row in (await store.page(query)).calls]


async def test_an_accepted_call_is_queued_with_all_that_was_sent(store: CallStore) -> None:
    known = CallMetadata(product_type=ProductType.INSURANCE, agent_id="a\0b", started_at=NOW, priority=Priority.BATCH)
    answer = await store.accept("c1", known, recording(), now=NOW)
    call = await store.get("c1")
    assert call is not None
    assert (answer.id, answer.status, answer.repeated) == ("c1", CallStatus.QUEUED, False)
    assert (call.metadata, call.recording, call.created_at) == (known, recording(), NOW)
    assert (call.status, call.revision, call.stages, call.healing) == (CallStatus.QUEUED, 0, [], Healing())


async def test_an_unknown_call_is_none(store: CallStore) -> None:
    assert await store.get("nobody") is None
    assert await store.delete("nobody") is None
    assert await store.changed("nobody") == 0
    assert await store.event("nobody") is None


async def test_the_same_key_and_body_is_the_call_that_it_was(store: CallStore) -> None:
    key = IdempotencyKey("retry me", "body")
    await store.accept("c1", CallMetadata(), recording(), idempotency=key)
    again = await store.accept("c2", CallMetadata(), recording(), idempotency=key)
    assert (again.id, again.repeated) == ("c1", True)
    assert await store.get("c2") is None
    assert await store.delete("c1") == recording(), "the second did not come to share the recording"


async def test_the_same_key_with_another_body_is_refused(store: CallStore) -> None:
    await store.accept("c1", CallMetadata(), recording(), idempotency=IdempotencyKey("key", "body"))
    with pytest.raises(KeyReused):
        await store.accept("c2", CallMetadata(), recording(), idempotency=IdempotencyKey("key", "other"))
    assert await store.get("c2") is None


async def test_two_senders_may_use_the_same_key(store: CallStore) -> None:
    await store.accept("c1", CallMetadata(), recording(), idempotency=IdempotencyKey("key", "body", "a"))
    other = await store.accept("c2", CallMetadata(), recording(), idempotency=IdempotencyKey("key", "other", "b"))
    assert other.id == "c2"


async def test_a_key_is_free_again_when_its_call_is_deleted(store: CallStore) -> None:
    await store.accept("c1", CallMetadata(), recording(), idempotency=IdempotencyKey("key", "body"))
    await store.delete("c1")
    again = await store.accept("c2", CallMetadata(), recording(), idempotency=IdempotencyKey("key", "other"))
    assert (again.id, again.repeated) == ("c2", False)


async def test_of_many_at_once_with_one_key_one_is_kept(store: CallStore) -> None:
    key = IdempotencyKey("key", "body")
    answers = await asyncio.gather(
        *(store.accept(f"c{i}", CallMetadata(), recording(), idempotency=key) for i in range(12))
    )
    assert len({answer.id for answer in answers}) == 1
    assert sorted(answer.repeated for answer in answers) == [False] + 11 * [True]
    assert len((await store.page(CallQuery())).calls) == 1


async def test_a_recording_that_went_before_the_call_came_is_not_accepted(database_url: str) -> None:
    store = await CallStore.open(database_url, has_recording=lambda recording: False)
    with pytest.raises(RecordingGone):
        await store.accept("c1", CallMetadata(), recording(), idempotency=IdempotencyKey("key", "body"))
    assert await store.get("c1") is None
    assert (await store.counts()).stored_bytes == 0
    await store.aclose()


async def test_a_call_of_which_all_is_there_is_complete(store: CallStore) -> None:
    call = await finished(store)
    assert (call.status, call.revision, call.is_partial_failure) == (CallStatus.COMPLETE, 1, False)
    assert [r.stage for r in call.stages] == [Stage.STT, Stage.ANALYSIS, Stage.SUMMARY]
    assert (call.transcript, call.summary) == (transcript(), SUMMARY)
    assert call.check == check(element("EXP-04", Verdict.MET), score=50)
    assert await store.get("c1") == call


@pytest.mark.parametrize(
    ("stt", "analysis", "expected"),
    [
        (OK, SKIPPED, CallStatus.COMPLETE),
        (OK, DEGRADED, CallStatus.PARTIAL),
        (OK, DUMMY, CallStatus.PARTIAL),
        (DEGRADED, OK, CallStatus.PARTIAL),
        (DUMMY, SKIPPED, CallStatus.PARTIAL),
    ],
)
async def test_status_comes_of_the_stages(
    store: CallStore, stt: StageStatus, analysis: StageStatus, expected: CallStatus
) -> None:
    await accepted(store)
    await store.keep_stage("c1", 1, report(Stage.STT, stt), transcript=transcript() if stt is not DUMMY else None)
    await store.keep_stage("c1", 1, report(Stage.ANALYSIS, analysis, "why"))
    call = await store.finish("c1", 1, Healing())
    assert call.status is expected
    assert call.is_partial_failure == (DUMMY in (stt, analysis))


async def test_a_recording_at_fault_fails_and_says_why(store: CallStore) -> None:
    await accepted(store)
    call = await store.finish("c1", 1, Healing(), CallError(code="audio_unreadable", detail="no sound in it"))
    assert (call.status, call.revision) == (CallStatus.FAILED, 1)
    assert call.error == CallError(code="audio_unreadable", detail="no sound in it")


async def test_the_first_answer_of_a_run_stays_and_ending_it_twice_changes_nothing(store: CallStore) -> None:
    first = await finished(store)
    number = await store.changed("c1")
    await store.begin("c1", 1)
    kept = await store.keep_stage("c1", 1, report(Stage.STT, DUMMY))
    again = await store.finish("c1", 1, Healing(state=HealingState.GIVEN_UP))
    assert kept.status is OK
    assert again == first
    assert await store.changed("c1") == number


async def test_a_step_that_was_killed_after_it_kept_its_value_is_found(store: CallStore) -> None:
    await accepted(store)
    await store.keep_stage("c1", 1, report(Stage.STT), transcript=transcript())
    assert await store.kept("c1", 1) == {Stage.STT: report(Stage.STT)}
    assert await store.kept("c1", 2) == {}


async def test_healing_runs_what_is_missing_and_makes_the_next_revision(store: CallStore) -> None:
    before = await partial(store)
    assert (before.status, before.revision) == (CallStatus.PARTIAL, 1)
    assert before.partial_failure_reason == "analysis: no backend; summary: no backend"
    (heal,) = await store.waiting_to_heal(10, NOW)
    assert (heal.call_id, heal.missing, heal.since) == ("c1", (Stage.ANALYSIS, Stage.SUMMARY), NOW)
    assert await store.claim_heal("c1", NOW) == 2
    (run,) = await store.unqueued()
    assert (run.run, run.only) == (2, frozenset({Stage.ANALYSIS, Stage.SUMMARY}))
    await store.begin("c1", 2)
    healing = await store.get("c1")
    assert healing is not None
    assert (healing.status, healing.healing.state) == (CallStatus.PARTIAL, HealingState.RUNNING), "what it has stands"
    assert healing.healing.attempts == 1
    await store.keep_stage("c1", 2, report(Stage.ANALYSIS), check=check(element("EXP-04", Verdict.MET), score=50))
    await store.keep_stage("c1", 2, report(Stage.SUMMARY), summary=SUMMARY)
    healed = await store.finish("c1", 2, Healing(state=HealingState.HEALED, attempts=1))
    assert (healed.status, healed.revision) == (CallStatus.COMPLETE, 2)
    assert healed.transcript == before.transcript


async def test_a_heal_that_brings_nothing_is_no_revision(store: CallStore) -> None:
    await partial(store)
    await store.claim_heal("c1", NOW)
    await store.keep_stage("c1", 2, report(Stage.ANALYSIS, DUMMY, "still no backend"))
    await store.keep_stage("c1", 2, report(Stage.SUMMARY, DUMMY, "still no backend"))
    call = await store.finish("c1", 2, Healing(state=HealingState.WAITING, missing=["analysis"], since=NOW))
    assert call.revision == 1
    assert call.stages[1].error == "still no backend"


async def test_a_check_by_rules_that_gives_its_reason_in_other_words_is_no_revision(store: CallStore) -> None:
    await partial(store)
    for run, why in ((2, "breaker_open: open for another 4.4 s"), (3, "connect_error")):
        assert await store.claim_heal("c1", NOW) == run
        told = check(status=CheckStatus.RULES_ONLY, reason=why)
        await store.keep_stage("c1", run, report(Stage.ANALYSIS, DUMMY, why), check=told)
        healing = Healing(state=HealingState.WAITING, missing=["analysis"], since=NOW)
        call = await store.finish("c1", run, healing)
        assert call.revision == 2
    assert call.check is not None
    assert call.check.reason == "connect_error"


async def test_one_process_of_many_gets_to_heal_a_call(store: CallStore) -> None:
    await partial(store)
    claims = await asyncio.gather(*(store.claim_heal("c1", NOW) for _ in range(8)))
    assert sorted(claim for claim in claims if claim) == [2]


async def test_a_call_waits_until_its_next_try_is_due(store: CallStore) -> None:
    await partial(store)
    later = NOW + dt.timedelta(minutes=5)
    put_off = Healing(state=HealingState.WAITING, missing=["analysis"], since=NOW, next_at=later, attempts=3)
    assert await store.set_healing("c1", put_off)
    assert await store.waiting_to_heal(10, NOW) == []
    assert [heal.attempts for heal in await store.waiting_to_heal(10, later)] == [3]
    assert await store.set_healing("c1", Healing(state=HealingState.GIVEN_UP, reason="too long"))
    assert await store.claim_heal("c1", later) is None
    assert not await store.set_healing("c1", put_off)


async def test_a_real_answer_is_never_replaced_by_none(store: CallStore) -> None:
    await finished(store)
    assert await store.rerun("c1") == 2
    kept = await store.keep_stage("c1", 2, report(Stage.STT, DUMMY))
    call = await store.finish("c1", 2, Healing())
    assert kept.status is OK
    assert (call.revision, call.transcript) == (1, transcript())


async def test_a_new_transcript_takes_the_answers_made_of_the_old_one_with_it(store: CallStore) -> None:
    await finished(store, verdict=Verdict.SUSPECTED)
    await store.rerun("c1")
    await store.keep_stage("c1", 2, report(Stage.STT), transcript=transcript("다른 말씀입니다"))
    await store.keep_stage("c1", 2, report(Stage.ANALYSIS, DUMMY, "no backend"))
    call = await store.finish("c1", 2, Healing())
    assert (call.check, call.summary, call.revision) == (None, None, 2), "evidence of words that are not there"
    (row,) = (await store.page(CallQuery())).calls
    assert (row.score, row.suspected, row.sentence) == (None, [], None)
    assert await listed(store, CallQuery(text="참말보험")) == []
    assert await listed(store, CallQuery(text="다른 말씀")) == ["c1"]


async def test_the_same_transcript_again_is_no_revision(store: CallStore) -> None:
    await finished(store)
    await store.rerun("c1")
    await store.keep_stage("c1", 2, report(Stage.STT), transcript=transcript())
    call = await store.finish("c1", 2, Healing())
    assert (call.revision, call.status, call.summary) == (1, CallStatus.COMPLETE, SUMMARY)


async def test_a_run_that_is_not_finished_is_not_followed_by_another(store: CallStore) -> None:
    await accepted(store)
    assert await store.rerun("c1") is None
    await store.begin("c1", 1)
    assert await store.rerun("c1") is None


async def test_an_older_run_has_no_say(store: CallStore) -> None:
    await finished(store)
    await store.rerun("c1")
    await store.keep_stage("c1", 1, report(Stage.STT), transcript=transcript("zombie"))
    call = await store.finish("c1", 1, Healing(state=HealingState.GIVEN_UP))
    assert (call.status, call.transcript) == (CallStatus.QUEUED, transcript())


async def test_runs_without_a_workflow_are_named_until_they_have_one(store: CallStore) -> None:
    await accepted(store, "c1", priority="interactive")
    await accepted(store, "c2")
    found = await store.unqueued()
    assert [(one.call_id, one.run, one.priority, one.only) for one in found] == [
        ("c1", 1, Priority.INTERACTIVE, None),
        ("c2", 1, Priority.BATCH, None),
    ]
    await store.submitted("c1", 1)
    await store.begin("c2", 1)
    assert await store.unqueued() == []


async def test_whoever_works_on_a_deleted_call_is_told(store: CallStore) -> None:
    await accepted(store)
    await store.delete("c1")
    with pytest.raises(CallGone):
        await store.begin("c1", 1)
    with pytest.raises(CallGone):
        await store.keep_stage("c1", 1, report(Stage.STT))
    with pytest.raises(CallGone):
        await store.finish("c1", 1, Healing())
    await store.set_progress("c1", Progress(stage="stt"))
    await store.set_webhook("c1", WebhookState(revision=1))


async def test_calls_of_the_same_recording_share_it(store: CallStore) -> None:
    for name in ("c1", "c2"):
        await store.accept(name, CallMetadata(), recording())
    assert (await store.counts()).stored_bytes == 4
    assert await store.delete("c1") is None, "c2 has it"
    assert await store.delete("c2") == recording()


async def test_counts_say_what_waits_and_for_how_long(database_url: str) -> None:
    store = await CallStore.open(database_url, clock=lambda: NOW + dt.timedelta(seconds=90))
    await accepted(store, "c1")
    await accepted(store, "c2")
    await store.begin("c2", 1)
    await partial(store, "c3")
    counts = await store.counts()
    assert (counts.queued, counts.running, counts.healing) == (1, 1, 1)
    assert counts.oldest_heal_seconds == 90
    await store.aclose()


async def test_every_change_has_a_number_and_calls_come_in_their_order(store: CallStore) -> None:
    await accepted(store, "c1")
    await accepted(store, "c2")
    start = await store.last_change()
    await store.set_progress("c1", Progress(stage="stt", done=3, total=9))
    assert await store.changed("c1") == await store.last_change() == start + 1
    await store.set_webhook("c2", WebhookState(revision=1, delivered=True))
    changes = await store.changes(start)
    assert [change.event.id for change in changes] == ["c1", "c2"]
    assert changes[0].event.progress == Progress(stage="stt", done=3, total=9)
    assert await store.changes(changes[-1].number) == []
    assert (await store.event("c1")) == changes[0].event


async def test_a_list_shows_what_a_supervisor_looks_for(store: CallStore) -> None:
    await accepted(store, "c1", agent_id="a7", reference="r-1", product_type="대출성", started_at="2026-11-01T10:00")
    await store.keep_stage("c1", 1, report(Stage.STT), transcript=transcript())
    found = check(element("UNF-01", Verdict.SUSPECTED, needs_human=True), element("EXP-06", Verdict.UNMET), score=12.5)
    await store.keep_stage("c1", 1, report(Stage.ANALYSIS), check=found)
    await store.keep_stage("c1", 1, report(Stage.SUMMARY), summary=SUMMARY)
    await store.finish("c1", 1, Healing())
    (row,) = (await store.page(CallQuery())).calls
    assert (row.agent_id, row.reference, row.product_type) == ("a7", "r-1", ProductType.LOAN)
    assert row.started_at == dt.datetime(2026, 11, 1, 1, 0, tzinfo=dt.UTC), "an hour without an offset is Korean time"
    assert (row.score, row.suspected, row.unmet, row.needs_human) == (12.5, ["UNF-01"], ["EXP-06"], True)
    assert (row.duration, row.speakers, row.sentence) == (12.5, [Speaker.AGENT], SUMMARY.sentence)
    assert [r.stage for r in row.stages] == [Stage.STT, Stage.ANALYSIS, Stage.SUMMARY]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (CallQuery(status=CallStatus.QUEUED), ["queued"]),
        (CallQuery(status=CallStatus.COMPLETE), ["suspected", "met"]),
        (CallQuery(healing=HealingState.WAITING), ["partial"]),
        (CallQuery(product_type=ProductType.LOAN), ["queued"]),
        (CallQuery(agent_id="a7"), ["queued"]),
        (CallQuery(reference="r-1"), ["queued"]),
        (CallQuery(element="EXP-04"), ["suspected"]),
        (CallQuery(element="EXP-04", verdict=Verdict.MET), ["met"]),
        (CallQuery(verdict=Verdict.SUSPECTED), ["suspected"]),
        (CallQuery(element="EXP-05", verdict=Verdict.MET), []),
        (CallQuery(needs_human=True), []),
        (CallQuery(until=dt.datetime(2026, 11, 2, tzinfo=dt.UTC)), ["queued"]),
        (CallQuery(since=dt.datetime(2026, 11, 2, tzinfo=dt.UTC), status=CallStatus.PARTIAL), ["partial"]),
        (CallQuery(agent_id="a7' OR '1'='1"), []),
        (CallQuery(agent_id="\0"), []),
    ],
)
async def test_a_list_is_narrowed(store: CallStore, query: CallQuery, expected: list[str]) -> None:
    await finished(store, "met")
    await finished(store, "suspected", verdict=Verdict.SUSPECTED)
    await partial(store, "partial")
    await accepted(
        store, "queued", agent_id="a7", reference="r-1", product_type="대출성", started_at="2026-11-01T10:00:00Z"
    )
    assert await listed(store, query) == expected


async def test_pages_are_stable_while_calls_come_and_go(store: CallStore) -> None:
    for number in range(7):
        await accepted(store, f"c{number}")
    query = CallQuery(status=CallStatus.QUEUED)
    first = await store.page(query, None, 3)
    await accepted(store, "new")
    await store.delete("c4")
    second = await store.page(query, first.next, 3)
    third = await store.page(query, second.next, 3)
    assert [row.id for row in first.calls] == ["c6", "c5", "c4"]
    assert [row.id for row in second.calls] == ["c3", "c2", "c1"]
    assert ([row.id for row in third.calls], third.next) == (["c0"], None)


async def test_a_cursor_of_another_list_is_refused(store: CallStore) -> None:
    cursor = write_cursor(CallQuery(text="보험"), 5)
    with pytest.raises(ValueError):
        await store.page(CallQuery(text="대출"), cursor)


@given(st.integers(0, 2**63 - 1))
async def test_a_cursor_reads_as_it_was_written(seq: int) -> None:
    assert read_cursor(CallQuery(text="\ud800"), write_cursor(CallQuery(text="\ud800"), seq)) == seq


@given(st.text(max_size=40) | st.text("ABCDabcd0123-_", min_size=21, max_size=23), st.integers(0, 9999))
async def test_a_cursor_that_nobody_gave_is_a_value_error(cursor: str, seq: int) -> None:
    given_out = write_cursor(CallQuery(), seq)
    for forged in {cursor, given_out[:-1] + "-", given_out[:-1], cursor + given_out} - {given_out}:
        with pytest.raises(ValueError):
            read_cursor(CallQuery(), forged)


def opened(url: str) -> str:
    return (
        "import asyncio, sys\nfrom chammal_api.calls.store import CallStore\n"
        f"async def main():\n    store = await CallStore.open({url!r})\n    await store.counts()\n"
        "    await store.aclose()\nasyncio.run(main())\n"
    )


def test_several_processes_may_open_a_new_database_at_once(database_url: str) -> None:
    running = [subprocess.Popen([sys.executable, "-c", opened(database_url)]) for _ in range(4)]
    assert [process.wait() for process in running] == [0, 0, 0, 0]


async def test_a_database_of_the_first_version_is_brought_up_to_date_with_its_calls(database_url: str) -> None:
    store = await CallStore.open(database_url)
    await accepted(store, "c1")
    for statement in ("DROP INDEX calls_by_healing_state", "UPDATE calls_schema SET version = 1"):
        await store._db.write(lambda connection, told=statement: connection.exec_driver_sql(told))
    await store.aclose()
    store = await CallStore.open(database_url)
    assert [row.id for row in (await store.page(CallQuery(healing=HealingState.NONE))).calls] == ["c1"]
    indexes = await store._db.read(lambda connection: inspect(connection).get_indexes("calls"))
    assert "calls_by_healing_state" in {index["name"] for index in indexes}
    assert await store._db.read(
        lambda connection: connection.exec_driver_sql("SELECT version FROM calls_schema").scalar_one()
    ) == len(STEPS)
    await store.aclose()


async def test_a_database_of_a_newer_release_is_left_alone(database_url: str) -> None:
    store = await CallStore.open(database_url)
    await store._db.write(lambda connection: connection.exec_driver_sql("UPDATE calls_schema SET version = 99"))
    await store.aclose()
    with pytest.raises(DatabaseTooNew):
        await CallStore.open(database_url)


def accepting(url: str) -> str:
    return (
        "import asyncio, os, signal\nfrom chammal_api.calls.store import CallStore\n"
        "from chammal_contracts.calls import CallMetadata, Recording\n"
        f"async def main():\n    store = await CallStore.open({url!r})\n    number = 0\n    while True:\n"
        "        await store.accept(f'c{number}', CallMetadata(), Recording(sha256='a' * 64, bytes=1))\n"
        "        print(number, flush=True)\n        number += 1\n"
        "asyncio.run(main())\n"
    )


def killed_while_accepting(url: str) -> list[int]:
    """The calls that it said were accepted."""
    with subprocess.Popen([sys.executable, "-c", accepting(url)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
        return told + [int(line) for line in process.stdout if line.endswith("\n")]


async def test_what_was_accepted_is_there_after_kill_9(database_url: str) -> None:
    told = killed_while_accepting(database_url)
    store = await CallStore.open(database_url)
    found = [row.id for row in (await store.page(CallQuery(), None, 1000)).calls]
    assert {f"c{number}" for number in told} <= set(found)
    assert len(await store.unqueued()) == len(found)
    await store.aclose()


async def test_a_full_database_disk_is_the_problem_507(sqlite_url: str) -> None:
    store = await CallStore.open(sqlite_url)
    await accepted(store)

    def limit(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await store._db.write(limit)
    with pytest.raises(Problem) as full:
        await store.keep_stage("c1", 1, report(Stage.STT), transcript=transcript(SAID * 100, *["보험 " * 500] * 10))
    assert (full.value.status, full.value.code) == (507, ErrorCode.STORAGE_FULL)
    call = await store.get("c1")
    assert call is not None
    assert (call.transcript, call.stages) == (None, []), "nothing is half-kept"
    await store.aclose()


async def test_an_accepted_call_is_on_disk_and_not_only_with_the_system(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    await database.open()

    def level(connection: Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())

    full, normal = 2, 1
    assert await database.write(level, durable=True) == full
    assert await database.write(level) == normal
    await database.aclose()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(StageStatus), st.sampled_from(StageStatus)), min_size=1, max_size=4))
async def test_whatever_runs_bring_the_revision_counts_what_a_reader_sees(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[StageStatus, StageStatus]]
) -> None:
    store = await CallStore.open(f"sqlite:///{tmp_path_factory.mktemp('store') / 'calls.db'}")
    await accepted(store)
    seen: list[object] = []
    revision = 0
    for number, (stt, summary) in enumerate(runs, 1):
        if number > 1:
            assert await store.rerun("c1") == number
        heard = transcript() if stt in (OK, DEGRADED) else None
        summed = SUMMARY if summary in (OK, DEGRADED) else None
        await store.keep_stage("c1", number, report(Stage.STT, stt), transcript=heard)
        await store.keep_stage("c1", number, report(Stage.SUMMARY, summary), summary=summed)
        call = await store.finish("c1", number, Healing())
        content = (call.transcript, call.summary, [(r.stage, r.status) for r in call.stages])
        revision += not seen or content != seen[-1]
        seen.append(content)
        assert call.revision == revision
        for value, stage in ((call.transcript, Stage.STT), (call.summary, Stage.SUMMARY)):
            status = next(r.status for r in call.stages if r.stage is stage)
            assert (value is not None) == (status in (OK, DEGRADED))
    await store.aclose()
