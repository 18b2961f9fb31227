"""Korean text with its numbers, dates, money, units and acronyms written out in Hangul. English words stay Latin."""

import re
from collections.abc import Callable

from chammal_tts.korean.amounts import CODES, MONEY, NUMBER, START, UNIT, UNITS, money, number
from chammal_tts.korean.counters import COUNTERS, counted
from chammal_tts.korean.latin import read_latin, read_mixed
from chammal_tts.korean.numerals import digits, native, sino

_SYMBOLS = {"&": " 앤 ", "+": " 더하기 ", "=": " 는 ", "@": " 골뱅이 ", "№": "번호 ", "×": " 곱하기 ", "÷": " 나누기 "}
_ROMAN = {"II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12}
_AFTER_RANGE = (
    rf"{UNIT}|시간|개월|만|원|일|년|월|주|분|초|시|회|배|도|세|살|명|개|권|장|잔|병|마리|대|페이지|쪽|층|점|단계"
)
_DASH = "[–−-]"


def read_korean(text: str) -> str:
    for step in _STEPS:
        text = step(text)
    return re.sub(r" {2,}", " ", text).strip()


def _month(of_year: int) -> str:
    return {6: "유월", 10: "시월"}.get(of_year, f"{sino(of_year)}월")


def _date(match: re.Match[str]) -> str:
    *year, month, day = map(int, match.groups())
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match.group()
    return "".join(f"{sino(y)}년 " for y in year) + f"{_month(month)} {sino(day)}일"


def _clock(match: re.Match[str]) -> str:
    hour, minute, second = (int(part) if part else 0 for part in match.groups())
    words = [f"{native(hour) if 0 < hour <= 12 else sino(hour)}시"]
    words += [f"{sino(minute)}분"] if minute else []
    words += [f"{sino(second)}초"] if second else []
    return " ".join(words)


def _grouped(match: re.Match[str]) -> str:
    """Digit by digit, with a breath between groups."""
    return ", ".join(map(digits, re.findall(r"\d+", match.group())))


def _mobile(match: re.Match[str]) -> str:
    phone = match.group()
    return ", ".join(map(digits, (phone[:3], phone[3:-4], phone[-4:])))


def _memorial(match: re.Match[str]) -> str:
    """6·25 is 육이오, 12·12 is 십이십이."""
    month, day = (part for part in match.groups() if part)
    return sino(int(month)) + (sino(int(day)) if len(month) == 2 else digits(day))


def _fraction(match: re.Match[str]) -> str:
    part, whole = map(int, match.groups())
    return f"{sino(whole)}분의 {sino(part)}" if 0 < part < whole else match.group()


def _counted_range(match: re.Match[str]) -> str:
    first, last, space, counter = match.groups()
    return f"{counted(int(first), counter)}{space}{counter}에서 {counted(int(last), counter)}{space}{counter}"


_Replace = str | Callable[[re.Match[str]], str]
_Step = Callable[[str], str]


def _sub(pattern: str, replace: _Replace) -> _Step:
    compiled = re.compile(pattern)
    return lambda text: compiled.sub(replace, text)


_STEPS: tuple[_Step, ...] = (
    # Dates and times
    _sub(r"(?<![\d./-])(\d{4})(?:[-/]|\. ?)(\d{1,2})(?:[-/]|\. ?)(\d{1,2})(?![\d/-]|\.\d)\.?", _date),
    _sub(r"(?<![\d./])(\d{1,2})/(\d{1,2})(?=에|까지|부터|\s?\(?[월화수목금토일](?:요일|\)))", _date),
    _sub(r"(?<![\d-])(?:0\d{1,2}\) ?\d{3,4}-\d{4}|\d{6}-\d{7})(?![\d-])", _grouped),
    _sub(r"(?<![\d-])\+(?=\d{1,3}-)", "플러스 "),
    _sub(r"(?<![\d-])\d{1,6}(?:-\d{2,6}){2,}(?![\d-])|(?<!\d)\d{4}(?: \d{4}){3}(?!\d)", _grouped),
    _sub(r"(?<![\d-])1[568]\d\d-\d{4}(?![\d-]| ?년)", _grouped),
    _sub(r"(?<![\d-])01\d{8,9}(?![\d-])", _mobile),
    _sub(r"(?<=번호)((?:는|가|:)? ?)(\d{4,})(?!\d|[,.]\d)", lambda m: m[1] + digits(m[2])),
    _sub(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])", lambda m: " 점 ".join(map(number, m.group().split(".")))),
    _sub(rf"(?<=:[0-5]\d) ?(?:{_DASH}|[~〜∼]) ?(?=\d{{1,2}}:[0-5]\d)", "에서 "),
    _sub(r"(?<!\d)([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?!\d)", _clock),
    _sub(r"(?<!\d)(\d{1,2})(?:·(\d{1,2})(?!\d)|\.(\d{1,2})(?= ?(?:운동|혁명|항쟁|절(?![가-힣])|사태)))", _memorial),
    # Two numbers
    _sub(
        r"(?<![\d:])(\d+) ?(?::|대) ?(\d+)(?=로|의| |$|[,.])(?! ?[만천])", lambda m: f"{number(m[1])} 대 {number(m[2])}"
    ),
    _sub(r"(?<![\d/])(\d{1,3})/(\d{1,3})(?![\d/])", _fraction),
    _sub(rf"(?<![\d제–−-])(\d{{1,4}}) ?{_DASH} ?(?=\d{{1,4}} ?(?:{_AFTER_RANGE}))", r"\1~"),
    _sub(rf"(?<![\d.,])(\d{{1,2}}) ?~ ?(\d{{1,2}})( ?)({COUNTERS})", _counted_range),
    _sub(r"(?<=\d) ?[~〜∼] ?(?=[₩$€£¥]?\d)", "에서 "),
    _sub(rf"(\d ?(?:[가-힣]{{1,4}}|{UNIT})) ?[~〜∼] ?(?=(?:오전|오후|약)? ?[₩$€£¥]?\d)", r"\1에서 "),
    _sub(r"(?<![\w~])[~∼] ?(?=\d)", "약 "),
    # Signs
    _sub(rf"(?<=\d) {_DASH} (?=\d)", " 빼기 "),
    _sub(rf"(?<![\w)]){_DASH}(?=\d)", "마이너스 "),
    _sub(r"(?<![\w)])\+(?=\d)", "플러스 "),
    _sub(r"(?<=\d) ?[xX] ?(?=\d)", " 곱하기 "),
    # Amounts
    _sub(rf"([₩$€£¥]) ?({NUMBER})([조억만천백]+|[KkMBT](?![A-Za-z]))?(?: ?원)?", money),
    _sub(rf"{START}({NUMBER}) ?¢", lambda m: number(m[1]) + MONEY["¢"]),
    _sub(rf"(?<![A-Za-z])({'|'.join(CODES)}) ?({NUMBER})", lambda m: number(m[2]) + CODES[m[1]]),
    _sub(rf"{START}({NUMBER}) ?({'|'.join(CODES)})(?![A-Za-z])", lambda m: number(m[1]) + CODES[m[2]]),
    read_mixed,
    _sub(rf"(?:시속 ?)?{START}({NUMBER}) ?km/h(?![A-Za-z])", lambda m: f"시속 {number(m[1])}킬로미터"),
    _sub(rf"(?:초속 ?)?{START}({NUMBER}) ?m/s(?![A-Za-z])", lambda m: f"초속 {number(m[1])}미터"),
    _sub(rf"(?<=\d) ?({UNIT})(?![A-Za-z\d])", lambda m: UNITS[m[1]]),
    _sub(r"(?<!\d)(1[0-2]|0?[1-9])월", lambda m: _month(int(m[1]))),
    _sub(
        rf"(?<![A-Za-z])({'|'.join(sorted(_ROMAN, key=len, reverse=True))})(?= ?(?:[장부편세절권급형차]|단계|$))",
        lambda m: sino(_ROMAN[m[1]]),
    ),
    # What is left of digits
    _sub(rf"(?<![\d.,제])(?<!제 )(\d{{1,2}})( ?)({COUNTERS})", lambda m: counted(int(m[1]), m[3]) + m[2] + m[3]),
    _sub(r"(?<![A-Za-z])[vV](?:er\.?)? ?(?=\d)", "버전 "),
    _sub(r"(?<![A-Za-z])[Nn][Oo]\. ?(?=\d)", "넘버 "),
    _sub(r"(?<![\d,.])1(?=만)", ""),
    _sub(NUMBER, lambda m: number(m.group())),
    # Letters and signs
    _sub(r"\(주\)|㈜", " 주식회사 "),
    read_latin,
    _sub(f"[{re.escape(''.join(_SYMBOLS))}]", lambda m: _SYMBOLS[m.group()]),
    _sub(r"(?<=[가-힣A-Za-z]) ?/ ?(?=[가-힣A-Za-z])", ", "),
)
