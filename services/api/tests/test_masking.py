import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sample_calls import transcript

from chammal_api.calls.masking import mask, mask_transcript, mask_utterances
from chammal_api.calls.personal_numbers import NumberKind, has_check_digit, passes_luhn
from chammal_contracts.asr import Suspect, SuspectReason, Word
from chammal_contracts.checks import Speaker, Utterance

SYLLABLES = "공일이삼사오육칠팔구"


@pytest.mark.parametrize(
    ("said", "stored", "kind"),
    [
        ("900101-1234567입니다", "******-*******입니다", NumberKind.RESIDENT),
        ("9001011234568", "*************", NumberKind.RESIDENT),
        ("구공공일공일 다시 일이삼사오육칠이에요", "****** 다시 *******이에요", NumberKind.RESIDENT),
        ("외국인등록번호는 900101 5234567", "외국인등록번호는 ****** *******", NumberKind.RESIDENT),
        ("주민번호 앞자리 900101요", "주민번호 앞자리 ******요", NumberKind.RESIDENT),
        ("주민번호 뒷자리는 1234567", "주민번호 뒷자리는 *******", NumberKind.RESIDENT),
        ("카드 4111-1111-1111-1111", "카드 ****-****-****-****", NumberKind.CARD),
        ("3782 822463 10005", "**** ****** *****", NumberKind.CARD),
        ("카드번호는 4111 1111 1111 1112", "카드번호는 **** **** **** ****", NumberKind.CARD),
        ("신한은행 110-123-456789로", "신한은행 ***-***-******로", NumberKind.ACCOUNT),
        ("110 123 456789 계좌로", "*** *** ****** 계좌로", NumberKind.ACCOUNT),
        ("계좌는 일일공 일이삼 사오육칠팔구예요", "계좌는 *** *** ******예요", NumberKind.ACCOUNT),
        ("010-1234-5678", "***-****-****", NumberKind.PHONE),
        ("０１０－1234－5678", "***－****－****", NumberKind.PHONE),
        ("공일공에 일이삼사에 오육칠팔이구요", "***에 ****에 ****이구요", NumberKind.PHONE),
        ("번호는공일공일이삼사오육칠팔", "번호는***********", NumberKind.PHONE),
        ("0 1 0 1 2 3 4 5 6 7 8", "* * * * * * * * * * *", NumberKind.PHONE),
        ("01 012 34 5678", "** *** ** ****", NumberKind.PHONE),
        ("공일공 1234 오육칠팔", "*** **** ****", NumberKind.PHONE),
        ("집은 02) 345-6789", "집은 **) ***-****", NumberKind.PHONE),
        ("+82 10-1234-5678", "+** **-****-****", NumberKind.PHONE),
        ("0505-123-4567", "****-***-****", NumberKind.PHONE),
    ],
)
def test_the_numbers_of_persons_become_stars_however_they_were_said(said: str, stored: str, kind: NumberKind) -> None:
    masked = mask(said)
    assert (masked.text, [span.kind for span in masked.spans]) == (stored, [kind])


@pytest.mark.parametrize(
    "said",
    [
        "금리는 연 3.5%이고 만기는 36개월, 원금 1,000,000원입니다",
        "일억 이천만 원을 삼 년 동안, 연 사 점 오 퍼센트로",
        "2024-01-15부터 2024.12.31까지, 계좌 개설일은 2023/05/06",
        "2025년 1월 2일 오후 3시 30분 15초",
        "대표번호 1588-1234, 무료 080-123-4567, 금융감독원은 1332번",
        "참말은행 고객센터 1588-9999 또는 1599-1111",
        "이체 금액은 10000000000원입니다",
        "증권번호 1234567890123, 계약번호는 9001011234567",
        "법인등록번호 110111-1234567, 사업자등록번호 123-45-67890",
        "은행 상품 코드는 1234567890",
        "2023 2024 2025 2026년",
        "보험이 삼 년 만기이고 이 일이 이사 오기 전에 구일 사오 일 걸립니다",
        "제3조 제2항 1호, 15일 이내 30일까지 7일 14일 철회",
        "위험등급은 이 등급, 육 등급 중 삼 등급입니다",
        "수수료 0.015% 환율 1,375.50원 지수 2,650.12",
        "",
    ],
)
def test_amounts_dates_rates_terms_and_the_numbers_of_firms_stay(said: str) -> None:
    assert mask(said).text == said


def test_a_number_may_go_over_several_turns_of_one_speaker() -> None:
    said = [
        (Speaker.AGENT, "연락처 말씀해 주세요"),
        (Speaker.CUSTOMER, "공일공에"),
        (Speaker.AGENT, "네"),
        (Speaker.CUSTOMER, "일이삼사"),
        (Speaker.AGENT, "네네"),
        (Speaker.CUSTOMER, "오육칠팔이에요"),
    ]
    utterances = [Utterance(id=str(n), speaker=who, text=text) for n, (who, text) in enumerate(said)]
    masked, count = mask_utterances(utterances)
    assert [u.text for u in masked if u.speaker is Speaker.CUSTOMER] == ["***에", "****", "****이에요"]
    assert count == 1
    assert [u.text for u in masked if u.speaker is Speaker.AGENT] == ["연락처 말씀해 주세요", "네", "네네"]


def test_what_a_number_is_may_be_said_by_the_other_speaker() -> None:
    asked = Utterance(id="1", speaker=Speaker.AGENT, text="환급받으실 계좌번호 불러 주시겠어요?")
    told = Utterance(id="2", speaker=Speaker.CUSTOMER, text="네 110 123 456789요")
    assert mask_utterances([asked, told])[0][1].text == "네 *** *** ******요"
    assert mask(told.text).text == told.text


def test_a_transcript_is_masked_in_its_words_and_its_doubted_text_too() -> None:
    said = "제 번호는 010-1234-5678이요"
    words = [
        Word(word=f" {word}", start=n, end=n + 1, probability=1, speaker="customer")
        for n, word in enumerate(said.split())
    ]
    spaced = [Word(word=w, start=9, end=9, probability=1, speaker="agent") for w in ("공일공", "일이삼사", "오육칠팔")]
    doubted = Suspect(start=0, end=1, text=said, reason=SuspectReason.REPETITION, dropped=True, detail="")
    heard = transcript(Utterance(id="1", speaker=Speaker.CUSTOMER, text=said), words=words + spaced, suspect=[doubted])
    masked = mask_transcript(heard)
    hidden = "제 번호는 ***-****-****이요"
    assert masked.utterances[0].text == masked.suspect[0].text == hidden
    assert [w.word for w in masked.words or ()] == [f" {w}" for w in hidden.split()] + ["***", "****", "****"]
    assert masked.masked == 1
    assert heard.utterances[0].text == said
    assert mask_transcript(masked) == masked


def test_a_long_row_of_single_digits_is_read_in_linear_time() -> None:
    text = "카드 " + "4 1 " * 20_000 + "끝"
    assert len(mask(text).text) == len(text)


ANY = st.text(alphabet="0123456789" + SYLLABLES + "영륙다시에의계좌은행카드주민번호원만년월요이구 -.,)*\n", max_size=60)


@given(ANY | st.text(max_size=40))
def test_masking_keeps_the_length_and_all_but_digits_and_does_nothing_twice(text: str) -> None:
    masked = mask(text).text
    assert len(masked) == len(text)
    assert all(after in (before, "*") for before, after in zip(text, masked, strict=True))
    assert mask(masked).text == masked
    assert mask(masked).count == 0


@given(st.lists(st.tuples(st.sampled_from(Speaker), ANY), max_size=6))
def test_masking_turns_keeps_each_ones_length_and_does_nothing_twice(turns: list[tuple[Speaker, str]]) -> None:
    utterances = [Utterance.model_construct(id=str(n), speaker=who, text=text) for n, (who, text) in enumerate(turns)]
    masked, _ = mask_utterances(utterances)
    assert [len(u.text) for u in masked] == [len(u.text) for u in utterances]
    assert mask_utterances(masked) == (masked, 0)


digits = st.text("0123456789", min_size=8, max_size=8)
born = st.dates(dt.date(1930, 1, 1), dt.date(2025, 12, 31))
around = st.sampled_from(["", "제 번호는 ", "네, ", "그러니까 "])
after = st.sampled_from(["", "입니다", "이에요", "요.", " 맞으시죠?"])


def spoken(number: str) -> str:
    return "".join(SYLLABLES[int(c)] if c.isdigit() else c for c in number)


@given(around, digits, st.sampled_from([" ", "-", "", " - ", ", "]), after, st.booleans())
def test_every_mobile_number_is_found(before: str, number: str, gap: str, behind: str, aloud: bool) -> None:
    whole = gap.join(("010", number[:4], number[4:]))
    masked = mask(before + (spoken(whole) if aloud else whole) + behind)
    assert masked.count == 1
    assert masked.text.count("*") == 11


@given(
    around,
    born,
    st.text("0123456789", min_size=6, max_size=6),
    st.sampled_from(["-", " ", " 다시 "]),
    after,
    st.booleans(),
)
def test_every_registration_number_is_found_whether_it_has_a_check_digit_or_not(
    before: str, day: dt.date, rest: str, gap: str, behind: str, aloud: bool
) -> None:
    whole = f"{day:%y%m%d}{gap}{'3' if day.year > 1999 else '1'}{rest}"
    masked = mask(before + (spoken(whole) if aloud else whole) + behind)
    assert masked.text.count("*") == 13
    assert masked.spans[0].kind is NumberKind.RESIDENT


def with_luhn(digits: str) -> str:
    return next(digits + last for last in "0123456789" if passes_luhn(digits + last))


@given(
    st.text("0123456789", min_size=14, max_size=14).map(lambda d: with_luhn("9" + d)), st.sampled_from(["", " ", "-"])
)
def test_every_card_number_is_found(number: str, gap: str) -> None:
    assert mask(gap.join(number[n : n + 4] for n in range(0, 16, 4))).text.count("*") == 16


@given(st.integers(1, 10**13), st.sampled_from(["원", " 원", "만 원", "달러", "%", "주", "좌"]), st.booleans())
def test_no_amount_is_masked_even_beside_an_account(amount: int, unit: str, commas: bool) -> None:
    text = f"통장에서 이체하실 금액 {amount:,}{unit}" if commas else f"이체 금액 {amount}{unit}"
    if not passes_luhn(str(amount)) or len(str(amount)) < 13:
        assert mask(text).text == text


def test_check_digits_are_those_of_residents_and_of_foreigners() -> None:
    assert has_check_digit("9001011234568")
    assert not has_check_digit("9001011234567")
