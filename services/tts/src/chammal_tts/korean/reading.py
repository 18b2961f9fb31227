"""Korean text with its numbers, dates, money, units and acronyms written out in Hangul. English words stay Latin."""

import re
from collections.abc import Callable

from chammal_tts.korean.numerals import LARGEST, decimals, digits, native, sino

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_COUNTERS = (
    "시간|시|살|명|개(?!월|국|년)|마리|대|권|장|잔|병|번째|가지|달(?!러)|군데|곳|켤레|송이|그루|벌|사람|건|배|통|줄|채"
)
_UNITS = {
    "%p": "퍼센트 포인트", "%": "퍼센트", "km/h": "킬로미터 퍼 아워", "km": "킬로미터", "cm": "센티미터",
    "mm": "밀리미터", "m2": "제곱미터", "m3": "세제곱미터", "m": "미터", "kg": "킬로그램", "mg": "밀리그램",
    "g": "그램", "ml": "밀리리터", "mL": "밀리리터", "L": "리터", "l": "리터", "°C": "도", "°F": "화씨 도", "°": "도",
    "kWh": "킬로와트시", "kW": "킬로와트", "W": "와트", "V": "볼트", "TB": "테라바이트", "GB": "기가바이트",
    "MB": "메가바이트", "KB": "킬로바이트", "kB": "킬로바이트", "GHz": "기가헤르츠", "MHz": "메가헤르츠",
    "kHz": "킬로헤르츠", "Hz": "헤르츠", "ms": "밀리초", "s": "초", "h": "시간",
}  # fmt: skip
_MONEY = {"₩": "원", "$": "달러", "€": "유로", "£": "파운드", "¥": "엔"}
_LETTERS = {
    "A": "에이", "B": "비", "C": "씨", "D": "디", "E": "이", "F": "에프", "G": "지", "H": "에이치", "I": "아이",
    "J": "제이", "K": "케이", "L": "엘", "M": "엠", "N": "엔", "O": "오", "P": "피", "Q": "큐", "R": "아르",
    "S": "에스", "T": "티", "U": "유", "V": "브이", "W": "더블유", "X": "엑스", "Y": "와이", "Z": "제트",
}  # fmt: skip
_SYMBOLS = {"&": " 앤 ", "+": " 더하기 ", "=": " 는 ", "@": " 골뱅이 ", "№": " 번호 ", "×": " 곱하기 ", "÷": " 나누기 "}
_READ_AS_WORDS = frozenset({"NASA", "UNESCO", "NATO", "OPEC", "ASEAN", "UNICEF"})


def read_korean(text: str) -> str:
    for pattern, replace in _STEPS:
        text = pattern.sub(replace, text)
    return re.sub(r" {2,}", " ", text).strip()


def _date(match: re.Match[str]) -> str:
    year, month, day = map(int, match.groups())
    return f"{sino(year)}년 {_month(month)} {sino(day)}일"


def _month(number: int) -> str:
    return {6: "유월", 10: "시월"}.get(number, f"{sino(number)}월")


def _clock(match: re.Match[str]) -> str:
    hour, minute, second = (int(part) if part else 0 for part in match.groups())
    words = [f"{native(hour) if 0 < hour <= 12 else sino(hour)}시"]
    words += [f"{sino(minute)}분"] if minute else []
    words += [f"{sino(second)}초"] if second else []
    return " ".join(words)


def _number(text: str) -> str:
    whole, _, fraction = text.replace(",", "").partition(".")
    if (len(whole) > 1 and whole.startswith("0")) or int(whole) > LARGEST:
        return digits(whole) + (f" 점 {decimals(fraction)}" if fraction else "")
    return sino(int(whole)) + (f" 점 {decimals(fraction)}" if fraction else "")


def _counted(match: re.Match[str]) -> str:
    number, space, counter = match.groups()
    count = int(number)
    few = 1 <= count <= (12 if counter == "시" else 99)
    return (native(count) if few else sino(count)) + space + counter


def _acronym(match: re.Match[str]) -> str:
    word = match.group()
    if word in _READ_AS_WORDS:
        return word
    return "".join(_LETTERS[letter] for letter in word)


_Replace = str | Callable[[re.Match[str]], str]
_STEPS: tuple[tuple[re.Pattern[str], _Replace], ...] = (
    (re.compile(r"(?<!\d)(\d{4})[-./] ?(\d{1,2})[-./] ?(\d{1,2})(?![\d-])\.?"), _date),
    (re.compile(r"(?<![\d-])\d{2,6}(?:-\d{2,6}){2,}(?![\d-])"), lambda m: ", ".join(map(digits, m.group().split("-")))),
    (re.compile(r"(?<![\d-])1\d{3}-\d{4}(?![\d-])"), lambda m: ", ".join(map(digits, m.group().split("-")))),
    (re.compile(r"(?<!\d)([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?!\d)"), _clock),
    (re.compile(rf"([₩$€£¥]) ?({_NUMBER})([조억만천백]*)(?: ?원)?"), lambda m: m[2] + m[3] + _MONEY[m[1]]),
    (re.compile(r"(?<!\d)(\d{1,2})월"), lambda m: _month(int(m[1]))),
    (re.compile(r"(?<=\d)\s?(?:~|〜|∼)\s?(?=\d)"), "에서 "),
    (re.compile(r"(?<![\w)])[-−](?=\d)"), "마이너스 "),
    (
        re.compile(rf"(?<=\d)\s?({'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})(?![A-Za-z])"),
        lambda m: _UNITS[m[1]],
    ),
    (re.compile(rf"(?<![\d.,])(\d{{1,2}})(\s?)({_COUNTERS})"), _counted),
    (re.compile(_NUMBER), lambda m: _number(m.group())),
    (re.compile(r"\b[A-Z]{1,6}(?![A-Za-z'’])"), _acronym),
    (re.compile(f"[{re.escape(''.join(_SYMBOLS))}]"), lambda m: _SYMBOLS[m.group()]),
)
