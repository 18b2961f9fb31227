import datetime as dt
from html.parser import HTMLParser

import pytest
from tests import sample_calls

from chammal_api.calls.report import POLICY, report, report_response
from chammal_api.calls.report_words import ENGLISH, KOREAN, words_for
from chammal_contracts.asr import Suspect, SuspectReason
from chammal_contracts.calls import (
    Call,
    CallError,
    CallMetadata,
    CallStatus,
    CallSummary,
    Recording,
)
from chammal_contracts.checks import (
    CheckTotals,
    Evidence,
    Judge,
    Polarity,
    ProductType,
    Severity,
    Speaker,
    Utterance,
    Verdict,
)
from chammal_contracts.stages import Stage, StageReport, StageStatus

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x00\x1b\u202e<!--"
NOW = dt.datetime(2026, 11, 22, 14, 30, tzinfo=dt.UTC)
SHA = "ab" * 32


def call(text: str) -> Call:
    """One in which `text` stands wherever somebody else writes."""
    evidence = Evidence(
        utterance_id=text[:60], speaker=Speaker.AGENT, start=12.3, end=15.0, quote=text, source=Judge.MODEL, rule=text
    )
    found = sample_calls.element(
        "SOL-01",
        Verdict.SUSPECTED,
        name=text,
        article="금융소비자보호법 제21조제1호",
        polarity=Polarity.MUST_NOT,
        severity=Severity.CRITICAL,
        confidence=0.8,
        needs_human=True,
        needs_legal_review=True,
        judge=Judge.RULE_AND_MODEL,
        reason=text,
        evidence=[evidence],
    )
    return sample_calls.call(
        "0" * 32,
        CallStatus.PARTIAL,
        revision=3,
        metadata=CallMetadata(
            product_type=ProductType.INVESTMENT, agent_id=text, reference=text, started_at=NOW, customer_type=None
        ),
        recording=Recording(sha256=SHA, bytes=1234, filename=text),
        stages=[
            StageReport(stage=Stage.STT, status=StageStatus.OK),
            StageReport(stage=Stage.ANALYSIS, status=StageStatus.DEGRADED, backend="llamacpp", error=text),
            StageReport(stage=Stage.SUMMARY, status=StageStatus.DUMMY, error_type="connect_error", error=text),
        ],
        transcript=sample_calls.transcript(
            Utterance(id="u1", speaker=Speaker.AGENT, start=12.3, end=15.0, text=text),
            model=text,
            suspect=[Suspect(start=1, end=2, text=text, reason=SuspectReason.PHANTOM, dropped=True, detail=text)],
            masked=2,
        ),
        check=sample_calls.check(
            found,
            score=0,
            totals=CheckTotals(suspected=1, needs_human=1),
            rule_set_version="2026.1",
            model="qwen",
            backend="llamacpp",
            prompt_version="p3",
            reason=text,
        ),
        summary=CallSummary(sentence=text, reason=text, actions=text),
        error=CallError(code=text, detail=text),
    )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: dict[str, int] = {}
        self.attributes: set[str] = set()
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader


@pytest.mark.parametrize("words", [KOREAN, ENGLISH], ids=["ko", "en"])
def test_whatever_was_said_changes_nothing_of_the_page(words: object) -> None:
    assert words in (KOREAN, ENGLISH)
    chosen = KOREAN if words is KOREAN else ENGLISH
    hostile, plain = read(report(call(HOSTILE), chosen)), read(report(call("안녕하세요"), chosen))
    assert hostile.tags == plain.tags
    assert hostile.attributes == plain.attributes
    assert not {"script", "img", "link", "iframe", "a"} & set(hostile.tags)
    assert not {name for name in hostile.attributes if name.startswith("on")} | ({"style"} & hostile.attributes)
    page = report(call(HOSTILE), chosen)
    assert "\x00" not in page
    assert "\x1b" not in page


def test_every_verdict_says_what_it_rests_on() -> None:
    page = report(call("원금이 보장됩니다"), KOREAN)
    start = page.index("<article")
    verdict = page[start : page.index("</article>", start)]
    for part in (
        "위반의심", "원금이 보장됩니다", "상담원", "12.3–15.0 초", "제21조제1호", "fcpa-kr 2026.1", "qwen", "p3", SHA,
        "요약=dummy", "점검=degraded", "사람의 확인 필요", "법률 검토 필요",
    ):  # fmt: skip
        assert part in verdict, part


def test_a_call_that_is_not_whole_says_so_at_the_top() -> None:
    page = report(call("x"), KOREAN)
    assert page.index('role="alert"') < page.index("<h2>")
    whole = call("x").model_copy(
        update={"error": None, "stages": [StageReport(stage=Stage.STT, status=StageStatus.OK)]}
    )
    assert 'role="alert"' not in report(whole, KOREAN)


def test_a_call_of_which_nothing_is_known_yet_has_a_report() -> None:
    empty = sample_calls.call("1" * 32, CallStatus.QUEUED)
    assert "점검 결과가 없습니다" in report(empty, KOREAN)
    assert "There is no transcript" in report(empty, ENGLISH)


def test_the_page_may_load_and_run_nothing() -> None:
    told = report_response(call("x"), ENGLISH).headers
    assert told["content-security-policy"] == POLICY
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in POLICY
    assert (told["content-language"], told["vary"], told["cache-control"]) == (
        "en", "Accept-Language", "private, no-store",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("", "ko"),
        ("en", "en"),
        ("en-GB,en;q=0.9,ko;q=0.8", "en"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("fr, en;q=0.2", "en"),
        ("fr", "ko"),
        ("en;q=0", "ko"),
        ("en;q=nan", "ko"),
        ("en;q=x, ko;q=0.1", "ko"),
    ],
)
def test_the_language_is_the_readers_and_korean_if_in_doubt(asked: str, language: str) -> None:
    assert words_for(asked).language == language


def test_both_languages_have_a_word_for_everything() -> None:
    for name, korean in vars(KOREAN).items():
        english = getattr(ENGLISH, name)
        if isinstance(korean, str):
            assert english, name
        else:
            assert set(korean) == set(english), name
