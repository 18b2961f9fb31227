"""English text with what the phonemiser cannot read written out: times, dates, ranges, units, fractions.

Plain numbers, ordinals, years and money are the phonemiser's own.
"""

import re
from collections.abc import Callable

_MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_UNITS = {
    "km/h": "kilometers an hour", "km": "kilometers", "cm": "centimeters", "mm": "millimeters", "m": "meters",
    "m2": "square meters", "kg": "kilograms", "mg": "milligrams", "g": "grams", "ml": "milliliters",
    "mL": "milliliters", "L": "liters", "°C": "degrees Celsius", "°F": "degrees Fahrenheit", "°": "degrees",
    "mph": "miles an hour", "kWh": "kilowatt hours", "kW": "kilowatts", "W": "watts", "TB": "terabytes",
    "GB": "gigabytes", "MB": "megabytes", "KB": "kilobytes", "kB": "kilobytes", "GHz": "gigahertz",
    "MHz": "megahertz", "kHz": "kilohertz", "Hz": "hertz", "ms": "milliseconds", "s": "seconds", "ft": "feet",
    "lbs": "pounds", "lb": "pounds", "oz": "ounces", "%": "percent",
}  # fmt: skip
_SHORT = {
    "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July",
    "Aug": "August", "Sep": "September", "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip
_WORDS = {"vs.": "versus", "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "w/": "with"}
_FRACTIONS = {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter", "3/4": "three quarters"}
_SCALES = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion", "bn": "billion", "T": "trillion"}


def read_english(text: str) -> str:
    for pattern, replace in _STEPS:
        text = pattern.sub(replace, text)
    return re.sub(r" {2,}", " ", text).strip()


def _ordinal(number: int) -> str:
    suffix = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _date(match: re.Match[str]) -> str:
    year, month, day = map(int, match.groups())
    if not 1 <= month <= 12:
        return match.group()
    return f"{_MONTHS[month - 1]} {_ordinal(day)}, {year}"


def _clock(match: re.Match[str]) -> str:
    hour, minute, half = int(match[1]), int(match[2]), (match[3] or "").lower().replace(".", "")
    words = str(hour)
    if minute:
        words += f" oh {minute}" if minute < 10 else f" {minute}"
    elif not half:
        words += " o'clock" if 0 < hour <= 12 else " hundred hours"
    return f"{words} {half.upper()}".strip()


def _spelled(digits: str) -> str:
    return " ".join("oh" if digit == "0" else digit for digit in digits)


_Replace = str | Callable[[re.Match[str]], str]
_STEPS: tuple[tuple[re.Pattern[str], _Replace], ...] = (
    (re.compile(r"(?<!\d)(\d{4})-(\d{1,2})-(\d{1,2})(?![\d-])"), _date),
    (
        re.compile(rf"\b({'|'.join(_SHORT)}|{'|'.join(_MONTHS)})\.? (\d{{1,2}})(?![\d:])(?!st|nd|rd|th)"),
        lambda m: f"{_SHORT.get(m[1], m[1])} {_ordinal(int(m[2]))}",
    ),
    (
        re.compile(r"(?<![\d-])\+?\d{2,6}(?:-\d{2,6}){1,}-\d{2,6}(?![\d-])"),
        lambda m: ", ".join(map(_spelled, m.group().lstrip("+").split("-"))),
    ),
    (re.compile(r"(?<!\d)(\d{1,2}):([0-5]\d)(?::[0-5]\d)?\s?([ap]\.?m\b\.?)?(?!\d)", re.IGNORECASE), _clock),
    (re.compile(r"(?<=\d)\s?([ap])\.?m\b\.?", re.IGNORECASE), lambda m: f" {m[1].upper()}M"),
    (re.compile(r"(?<![\d/])([1-3]/[2-4])(?![\d/])"), lambda m: _FRACTIONS.get(m[1], m[1])),
    (re.compile(r"(?<=\d)\s?(?:-|–|~)\s?(?=[$€£]?\d)"), " to "),
    (
        re.compile(r"([$€£])(\d[\d,.]*)\s?(k|K|M|B|bn|T|thousand|million|billion|trillion)\b"),
        lambda m: (
            f"{m[2]} {_SCALES.get(m[3], m[3])} " + {"$": "dollars", "€": "euros", "£": "pounds"}[m[1]]
        ),
    ),
    (
        re.compile(rf"(?<=\d)\s?({'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})(?![A-Za-z0-9])"),
        lambda m: f" {_UNITS[m[1]]}",
    ),
    (re.compile(r"(?<![\w.])(?:vs\.|e\.g\.|i\.e\.|etc\.|w/)"), lambda m: _WORDS[m.group()]),
    (re.compile(r"(?<=\w)/(?=\w)"), " slash "),
)  # fmt: skip
