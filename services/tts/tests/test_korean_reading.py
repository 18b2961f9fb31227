import pytest

from chammal_tts.korean.numerals import LARGEST, digits, native, sino
from chammal_tts.korean.reading import read_korean


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "영"), (10, "십"), (16, "십육"), (101, "백일"), (10_000, "만"), (12_345, "만 이천삼백사십오"),
     (100_000_000, "일억"), (20_250_000, "이천이십오만"), (1_000_000_000_000, "일조"), (110_010_000, "일억 천일만")],
)  # fmt: skip
def test_sino_korean_numbers(number: int, words: str) -> None:
    assert sino(number) == words


def test_the_largest_number_still_has_words() -> None:
    assert sino(LARGEST).startswith("구천구백구십구경")


def test_native_numbers_stand_before_counters() -> None:
    assert [native(n) for n in (1, 5, 11, 20, 21, 99)] == ["한", "다섯", "열한", "스무", "스물한", "아흔아홉"]


def test_digits_are_read_one_by_one() -> None:
    assert digits("0102") == "공일공이"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-22에", "이천이십육년 십일월 이십이일에"),
        ("2026년 6월 10일", "이천이십육년 유월 십일"),
        ("10월", "시월"),
        ("14:30", "십사시 삼십분"),
        ("3:05에", "세시 오분에"),
        ("오후 3시 20분", "오후 세시 이십분"),
        ("2시간", "두시간"),
        ("12,000원", "만 이천원"),
        ("₩12,000", "만 이천원"),
        ("₩5만원", "오만원"),
        ("$3.5", "삼 점 오달러"),
        ("3.5%", "삼 점 오퍼센트"),
        ("0.05", "영 점 영오"),
        ("-3°C", "마이너스 삼도"),
        ("3~5일", "삼에서 오일"),
        ("20개, 3명", "스무개, 세명"),
        ("6개월", "육개월"),
        ("150명", "백오십명"),
        ("1억 5천만원", "일억 오천만원"),
        ("5km를 10kg", "오킬로미터를 십킬로그램"),
        ("010-1234-5678", "공일공, 일이삼사, 오육칠팔"),
        ("1588-1234", "일오팔팔, 일이삼사"),
        ("007", "공공칠"),
        ("AI와 KB", "에이아이와 케이비"),
        ("GPT4는", "지피티사는"),
        ("meeting은 NASA에서", "meeting은 NASA에서"),
        ("A형 B+", "에이형 비 더하기"),
    ],
)
def test_what_is_not_hangul_is_written_out(written: str, read: str) -> None:
    assert read_korean(written) == read


def test_a_number_beyond_all_words_is_read_digit_by_digit() -> None:
    assert read_korean("9" * 30) == "구" * 30
