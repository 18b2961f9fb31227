import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.sample_calls import transcript

from chammal_api.calls import listing
from chammal_api.calls.records import CallQuery
from chammal_api.calls.search import fold, fold_lines, snippet
from chammal_api.calls.store import CallStore
from chammal_contracts.calls import CallMetadata, CallStatus, Recording
from chammal_contracts.stages import Stage, StageReport, StageStatus

pytestmark = pytest.mark.anyio

HEARD = StageReport(stage=Stage.STT, status=StageStatus.OK)


async def kept(store: CallStore, call_id: str, *lines: str) -> None:
    await store.accept(call_id, CallMetadata(), Recording(sha256="a" * 64, bytes=1))
    await store.keep_stage(call_id, 1, HEARD, transcript=transcript(*lines))


async def found(store: CallStore, text: str) -> list[str]:
    return [row.id for row in (await store.page(CallQuery(text=text))).calls]


@pytest.mark.parametrize(
    "text",
    [
        "보험",
        "보험료",
        "험",
        "료",
        "참말보험 상담원",
        "참말 보험상담원",
        "  보험  ",
        "１０％",  # full width
        "10%",
        "ARS",
        "ars 번호",
        '"특약"',
        '특약" (A*)',
        "NOT 무조건",
        "it's",
        "👍",
        "👩‍💻",
        "a_b\\c",
    ],
)
async def test_what_was_said_is_found(store: CallStore, text: str) -> None:
    await kept(
        store,
        "c1",
        "안녕하세요 참말보험 상담원입니다. 보험료는 10%",
        'ARS 번호 "특약" (A*) NOT 무조건, it\'s 👍 👩‍💻 a_b\\c',
    )
    await kept(store, "c2", "대출 이자를 여쭙습니다")
    assert await found(store, text) == ["c1"]


@pytest.mark.parametrize(
    "text",
    [
        "없는 말",
        "험보",
        "보험 OR 대출",
        "보*",
        "보%",
        "보_",
        'grams:"보험"',
        '"',
        "''; DROP TABLE calls; --",
        "NEAR(보험 대출)",
        "^보험",
        "{보험}",
        "-보험",
        "보험\0대출",
        "\\",
        "💀",
        "니다안녕",  # the end of one utterance and the beginning of the next
        "험" * 5000,
    ],
)
async def test_operators_and_wildcards_are_plain_text_that_nobody_said(store: CallStore, text: str) -> None:
    await kept(store, "c1", "보험입니다", "안녕 대출")
    assert await found(store, text) == []
    assert await found(store, "보험") == ["c1"]


@pytest.mark.parametrize("text", ["", "   ", "\0", "\u200b"])
async def test_a_query_of_nothing_narrows_nothing(store: CallStore, text: str) -> None:
    await kept(store, "c1", "보험")
    assert await found(store, text) == ["c1"]


async def test_text_of_decomposed_syllables_is_found(store: CallStore) -> None:
    await kept(store, "c1", "보험")  # as macOS writes it
    assert await found(store, "보험") == ["c1"]


async def test_a_transcript_with_nul_and_without_words_is_kept(store: CallStore) -> None:
    await kept(store, "c1", "보험\0료", "")
    await kept(store, "c2")
    assert await found(store, "보험") == ["c1"]
    call = await store.get("c1")
    assert call is not None
    assert call.transcript is not None
    assert call.transcript.utterances[0].text == "보험\0료"


async def test_a_very_long_transcript_is_kept_and_found(store: CallStore) -> None:
    rng = random.Random(1)
    lines = ["".join(chr(0xAC00 + rng.randrange(11172)) for _ in range(3000)) for _ in range(60)]
    await kept(store, "c1", *lines, "끝말입니다")
    assert await found(store, "끝말입니다") == ["c1"]
    assert await found(store, lines[30][100:140]) == ["c1"]


async def test_a_list_shows_what_stands_around_the_words(store: CallStore) -> None:
    await kept(store, "c1", "처음입니다", "가" * 100 + " 원금  손실 " + "나" * 100)
    (row,) = (await store.page(CallQuery(text="원금손실"))).calls
    assert row.snippet == "…" + "가" * 39 + " 원금  손실 " + "나" * 39 + "…"


@pytest.mark.parametrize("few", [0, 500])
async def test_words_and_filters_hold_together_on_every_page(
    store: CallStore, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(listing, "_FEW", few)
    for number in range(9):
        await kept(store, f"c{number}", "보험" if number % 2 else "대출")
    for number in (1, 5):
        await store.begin(f"c{number}", 1)
    queued = CallQuery(text="보험", status=CallStatus.QUEUED)
    first = await store.page(queued, None, 1)
    second = await store.page(queued, first.next, 1)
    assert [row.id for row in (*first.calls, *second.calls)] == ["c7", "c3"]
    assert second.next is None
    everything = await store.page(CallQuery(text="보험"), (await store.page(CallQuery(text="보험"), None, 2)).next, 5)
    assert [row.id for row in everything.calls] == ["c3", "c1"]


WORDS = st.text(alphabet="가나다 라ab*\"'%_()-\n\0👍", max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(WORDS, min_size=1, max_size=4), query=WORDS)
@example(documents=["나가", "가나가"], query="나가나")
@example(documents=["가\n가나"], query="가가")
@example(documents=["나가\n나가다"], query="나가다")
async def test_a_call_is_found_exactly_where_its_words_hold_the_query(
    tmp_path_factory: pytest.TempPathFactory, documents: list[str], query: str
) -> None:
    store = await CallStore.open(f"sqlite:///{tmp_path_factory.mktemp('store') / 'calls.db'}")
    for number, document in enumerate(documents):
        await kept(store, f"c{number}", *document.split("\n"))
    expected = [
        f"c{number}"
        for number, document in enumerate(documents)
        if any(fold(query) in fold(line.replace("\0", "\N{REPLACEMENT CHARACTER}")) for line in document.split("\n"))
    ]
    assert sorted(await found(store, query)) == expected
    await store.aclose()


@given(st.text(max_size=60), st.text(max_size=6))
def test_a_snippet_is_of_the_text_whatever_it_is(said: str, query: str) -> None:
    shown = snippet(said, query)
    if shown is not None:
        assert shown.strip("…") in said
    if fold(query) and any(fold(query) in line for line in fold_lines(said).split("\n")):
        assert shown is not None
