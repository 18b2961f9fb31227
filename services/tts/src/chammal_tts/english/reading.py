"""English text with what the phonemiser cannot read written out: times, dates, ranges, units, fractions, telephones.

Plain numbers, ordinals, years and money in dollars, euros and pounds are the phonemiser's own.
"""

import re
from collections.abc import Callable

_MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_UNITS = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "m": "meter", "m2": "square meter",
    "km2": "square kilometer", "kg": "kilogram", "mg": "milligram", "g": "gram", "ml": "milliliter",
    "mL": "milliliter", "L": "liter", "kWh": "kilowatt hour", "kW": "kilowatt", "W": "watt", "V": "volt",
    "TB": "terabyte", "GB": "gigabyte", "MB": "megabyte", "KB": "kilobyte", "kB": "kilobyte",
    "ms": "millisecond", "s": "second", "sec": "second", "min": "minute",
    "hr": "hour", "h": "hour", "lbs": "pound", "lb": "pound", "oz": "ounce", "yd": "yard", "mi": "mile",
    "px": "pixel", "cal": "calorie", "kcal": "kilocalorie",
}  # fmt: skip
_INVARIANT = {
    "km/h": "kilometers an hour", "mph": "miles an hour", "m/s": "meters a second", "°C": "degrees Celsius",
    "°F": "degrees Fahrenheit", "°": "degrees", "GHz": "gigahertz", "MHz": "megahertz", "kHz": "kilohertz",
    "Hz": "hertz", "ft": "feet", "in.": "inches", "dB": "decibels", "fps": "frames a second", "%p": "percentage points",
    "%": "percent", "¢": "cents", "Gbps": "gigabits a second", "Mbps": "megabits a second",
}  # fmt: skip
_SHORT = {
    "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July",
    "Aug": "August", "Sep": "September", "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip
_WORDS = {
    "vs.": "versus", "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "w/": "with",
    "approx.": "approximately", "dept.": "department", "PhD": "P H D", "24/7": "24 7",
}  # fmt: skip
_PARTS = {
    2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth", 10: "tenth",
}  # fmt: skip
_ONES = "zero one two three four five six seven eight nine".split()  # noqa: SIM905
_SCALES = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion", "bn": "billion", "T": "trillion"}
_SIGNS = {"$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₩": "won"}
_DECADES = {
    "10": "tens", "20": "twenties", "30": "thirties", "40": "forties", "50": "fifties", "60": "sixties",
    "70": "seventies", "80": "eighties", "90": "nineties",
}  # fmt: skip
_ROMAN = {"II": "2", "III": "3", "IV": "4", "V": "5", "VI": "6", "VII": "7", "VIII": "8", "IX": "9", "X": "10"}
_BEFORE_ROMAN = "Chapter|Part|Section|Volume|Act|Phase|Article|Title|World War|Type|Level|Stage|Book|Appendix"


def read_english(text: str) -> str:
    for pattern, replace in _STEPS:
        text = pattern.sub(replace, text)
    return re.sub(r" {2,}", " ", text).strip()


def _ordinal(number: int) -> str:
    suffix = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _date(match: re.Match[str]) -> str:
    year, month, day = (int(match[name]) for name in ("year", "month", "day"))
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match.group()
    return f"{_MONTHS[month - 1]} {_ordinal(day)}, {year}"


def _clock(match: re.Match[str]) -> str:
    hour, minute, half = int(match[1]), int(match[2]), match[3]
    words = str(hour)
    if minute:
        words += f" oh {minute}" if minute < 10 else f" {minute}"
    elif not half:
        words += " o'clock" if 0 < hour <= 12 else " hundred hours"
    return f"{words} {half.upper()}.M." if half else words


def _grouped(match: re.Match[str]) -> str:
    """Digit by digit, with a breath between groups."""
    groups = re.findall(r"\d+", match.group())
    return ", ".join(" ".join("oh" if digit == "0" else digit for digit in group) for group in groups)


def _fraction(match: re.Match[str]) -> str:
    part, whole = int(match[1]), int(match[2])
    if whole not in _PARTS or not 0 < part < whole:
        return match.group()
    name = _PARTS[whole]
    return f"{_ONES[part]} {name if part == 1 else name + 's'}"


def _unit(match: re.Match[str]) -> str:
    amount, unit = match.groups()
    return f"{amount} {_INVARIANT.get(unit) or _UNITS[unit] + ('' if amount == '1' else 's')}"


def _decade(match: re.Match[str]) -> str:
    century, decade = match.groups()
    if decade != "00":
        return f"{century or ''} {_DECADES[decade]}".strip()
    return "two thousands" if century == "20" else f"{century} hundreds" if century else match.group()


_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_UNIT = "|".join(sorted(map(re.escape, _UNITS | _INVARIANT), key=len, reverse=True))
_Replace = str | Callable[[re.Match[str]], str]
_STEPS: tuple[tuple[re.Pattern[str], _Replace], ...] = (
    # Dates
    (re.compile(r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?![\d-])"), _date),
    (re.compile(r"(?<![\d/])(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})(?![\d/])"), _date),
    (
        re.compile(rf"\b({'|'.join(_SHORT)}|{'|'.join(_MONTHS)})\.? (\d{{1,2}})(?![\d:])(?!st|nd|rd|th)"),
        lambda m: f"{_SHORT.get(m[1], m[1])} {_ordinal(int(m[2]))}",
    ),
    (re.compile(rf"\b({'|'.join(_SHORT)})\.?(?= \d)"), lambda m: _SHORT[m[1]]),
    (re.compile(r"(?<![\w])['’]?(1[5-9]|20)?(\d0)s\b"), _decade),
    # Telephones
    (re.compile(r"(?<![\d-])\+(?=\d{1,3}[- (])"), "plus "),
    (re.compile(r"(?<![\d-])(?:\d{1,3}[- ])?\(\d{2,4}\) ?\d{3,4}-\d{4}(?![\d-])"), _grouped),
    (re.compile(r"(?<![\d-])\d{1,6}(?:-\d{2,6}){1,}-\d{2,6}(?![\d-])"), _grouped),
    (re.compile(r"(?<![\d$€£-])[2-9]\d{2}-(?!\d\d00)\d{4}(?![\d-])"), _grouped),
    # Times
    (
        re.compile(r"(?<=\d)(\s?[ap]\.?m\.?)?\s?[-–~]\s?(?=\d{1,2}(?::[0-5]\d|\s?[ap]\.?m\b))", re.IGNORECASE),
        r"\1 to ",
    ),
    (re.compile(r"(?<!\d)(\d{1,2}):([0-5]\d)(?::[0-5]\d)?(?:\s?([ap])\.?m\b\.?)?(?!\d)", re.IGNORECASE), _clock),
    (re.compile(r"(?<=\d)\s?([ap])\.?m\b\.?", re.IGNORECASE), lambda m: f" {m[1].upper()}.M."),
    # Numbers
    (re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, _WORDS))})(?!\w)"), lambda m: _WORDS[m.group()]),
    (re.compile(r"(?<![\d/])(\d)/(\d{1,2})(?![\d/])"), _fraction),
    (re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])"), lambda m: m.group().replace(".", " point ")),
    (re.compile(r"(?<=\d)\s?(?:-|–|~)\s?(?=[$€£₩¥]?\d)"), " to "),
    (re.compile(r"(?<![\w~])~\s?(?=[$€£₩¥]?\d)"), "about "),
    (re.compile(r"(?<=\d)[xX](?![A-Za-z\d])"), " times"),
    (re.compile(r"(?<=\d)\s?[x×]\s?(?=\d)"), " by "),
    (
        re.compile(rf"([$€£₩¥])({_NUMBER})\s?(k|K|M|B|bn|T|thousand|million|billion|trillion)\b"),
        lambda m: f"{m[2]} {_SCALES.get(m[3], m[3])} {_SIGNS[m[1]]}",
    ),
    (re.compile(rf"([₩¥])\s?({_NUMBER})"), lambda m: f"{m[2]} {_SIGNS[m[1]]}"),
    (re.compile(r"(?<![\w.])(\d{2,3}|\d+\.\d+)(K|M|B|bn)\b"), lambda m: f"{m[1]} {_SCALES[m[2]]}"),
    (re.compile(rf"(?<![\d.,])({_NUMBER})\s?({_UNIT})(?![A-Za-z0-9])"), _unit),
    (
        re.compile(rf"\b({_BEFORE_ROMAN}) ({'|'.join(sorted(_ROMAN, key=len, reverse=True))})\b"),
        lambda m: f"{m[1]} {_ROMAN[m[2]]}",
    ),
    # Words
    (re.compile(r"№\s?|\bNo\.\s?(?=\d)"), "number "),
    (re.compile(r"\bSt\.(?= [A-Z])"), "Saint"),
    (re.compile(r"(?<=[a-z] )St\b\.?(?! [A-Z])"), "Street"),
    (re.compile(r"(?<=[A-Za-z\d])\.(com|net|org|io|ai)\b"), r" dot \1"),
    (re.compile(r"(?<=\w)/(?=\w)"), " slash "),
)  # fmt: skip
