"""Spoken Korean numbers as they are written, for whoever asks.

Only what is surely a number is changed: it has a unit behind it, or it is a telephone number, or 만 and more. 이 상품,
일을, 사원, 이번, 만일 are words. Other languages are left alone: Whisper writes their digits itself.
"""

import re

_DIGITS = {"영": 0, "공": 0, "일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "육": 6, "륙": 6, "칠": 7, "팔": 8, "구": 9}
_TENS = {"십": 10, "백": 100, "천": 1000}
_MYRIADS = {"만": 10**4, "억": 10**8, "조": 10**12}
_HOURS = ("한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열", "열한", "열두")
_MONTHS = ("일", "이", "삼", "사", "오", "유", "칠", "팔", "구", "시", "십일", "십이")

_D = "[일이삼사오육륙칠팔구]"
_ANY = "[영공일이삼사오육륙칠팔구]"
_UP_TO_99 = f"(?:{_D}?십{_D}?|{_D})"
_UP_TO_999 = f"(?:{_D}?백 ?{_UP_TO_99}?|{_UP_TO_99})"
_SMALL = f"(?:{_D}?천 ?{_UP_TO_999}?|{_UP_TO_999})"
_NUMBER = f"(?:{_SMALL}[만억조] ?)*{_SMALL}(?:[만억조](?: ?{_SMALL})?)?|만(?: ?{_SMALL})?"
_START = r"(?<![가-힣\d])(?<!몇 )(?<!수 )(?<!여러 )"
_PARTICLE = (
    "(?:이에요|예요|입니다|이고요|이고|이요|인데요|인데|이며|이라고|라고|이라|까지는|까지|부터는|부터|에서|에는|에도|에|으로는|으로|로|"
    "이나|나|이랑|씩|정도|쯤|짜리|이상|이하|미만|이내|동안|간|마다|대로|당|대|권|도|만|은|는|이|가|을|를|의|과|와|요|후|전|뒤)"
)
_END = f"(?={_PARTICLE}{{0,2}}(?![가-힣]))"

_MONEY = "원|달러|유로|엔|위안"
_COUNTED = (
    f"{_MONEY}|퍼센트포인트|퍼센트 포인트|퍼센트|프로|개월|개년|개|년차|년도|년|주년|주일|주|일|시간|분|초|세|회차|회"
    "|차|번|등급|점|층|호선|페이지|쪽|명|건|좌|대|장|배|권|곳|가지|평|킬로미터|센티미터|밀리미터|미터|킬로그램|킬로|그램"
    "|리터|톤|호|동"
)
_AFTER_ONE = {
    **dict.fromkeys(("년", "개월", "년차", "퍼센트", "퍼센트포인트", "퍼센트 포인트"), "일이삼사오육칠팔구"),
    **dict.fromkeys(("호선", "등급", "층"), "일이삼사오육칠팔구"),
    **dict.fromkeys(("킬로미터", "미터", "킬로그램", "킬로"), "일삼사오육칠팔구"),
    **dict.fromkeys(("프로", "달러", "페이지"), "일삼사오육칠팔구"),
    **dict.fromkeys(("분", "번"), "일삼오육칠팔"),
    "초": "삼오육칠팔",
}
"""Which single digits make a number with which unit: 사원, 구분, 이번, 사회 are words."""
_AFTER_ROUND = frozenset({"명", "개", "건", "세", "대", "번", "회", "점"})
"""With 십, 백, 천 or 만 before them, and a space between: 천명, 백번, 만점 are words."""
_PARTED = re.compile(rf"(?<![가-힣]){_D} $")
_THIS = frozenset({"년", "개월", "퍼센트", "퍼센트포인트", "퍼센트 포인트", "년차"})
"""Behind anything else, a 이 that stands alone says "this"."""
_PLAIN = frozenset({"년", "년도", "호", "동", "번", "호선", "층", "세", "시"})
"""Numbers without commas."""
_SIGNS = {"퍼센트": "%", "프로": "%", "퍼센트포인트": "%p", "퍼센트 포인트": "%p"}
_WORDS = re.compile(
    r"(?:십분|십 분) (?:이해|활용|발휘|고려|반영|공감)|만원 (?:버스|지하철|전철|열차|사례)|만일|천만에|천만의"
)

_GROUP = rf"{_ANY}(?: ?{_ANY}){{2,3}}"
_JOINT = r"(?:에 | |-|, | 다시 )"
_PHONE = re.compile(
    rf"(?<![가-힣])((?:공 ?일 ?[공영일육칠팔구]|공 ?이|공 ?[삼사오육] ?[일이삼사오]|공 ?칠 ?공|공 ?팔 ?공)){_JOINT}"
    rf"({_GROUP}){_JOINT}({_ANY}(?: ?{_ANY}){{3}})(?=(?:{_PARTICLE}|번)?(?![가-힣]))"
)
_MAIN_NUMBER = re.compile(rf"(?<![가-힣])(일[오육팔]{_ANY}{{2}}) ({_ANY}{{4}})(?=(?:{_PARTICLE}|번)?(?![가-힣]))")
_YEAR = re.compile(rf"(?<![가-힣])([일이][공영구]{_ANY}{{2}}) ?년{_END}")
_DATE = re.compile(
    rf"(?<![가-힣])(?P<year>(?:\d+|{_NUMBER}) ?년 )?(?P<month>십일|십이|[일이삼사오유칠팔구시]) ?월"
    rf"(?: (?P<day>(?:이|삼)?십{_D}?|{_D}) ?일(?!일))?(?P<part> ?(?:말|초|중순|초순|하순|달)(?![가-힣]))?{_END}"
)
_CLOCK = re.compile(
    r"(?<![가-힣])(?P<before>(?:오전|오후|새벽|아침|저녁|밤|낮) ?)?(?<!두 )(?<!세 )"
    rf"(?P<hour>{'|'.join(sorted(_HOURS, key=len, reverse=True))})(?P<gap> ?)시(?!간)"
    rf"(?:(?P<half> 반)| ?(?P<minute>(?:이|삼|사|오)?십{_D}?|{_D}) ?분(?!의))?{_END}"
)
_MEASURE = re.compile(
    rf"{_START}(?P<number>{_NUMBER}|영)(?P<point> ?점 ?{_ANY}+)?(?P<gap> ?)(?P<unit>{_COUNTED}){_END}"
)
_BARE = re.compile(rf"{_START}(?P<number>{_NUMBER})(?<=[십백천만억조]){_END}")


def normalise(text: str, language: str) -> str:
    """Keeps the text as it is in languages whose numbers are not known. Leading and trailing space is kept."""
    if language != "ko" or "\0" in text:
        return text
    kept: list[str] = []

    def hide(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    text = _WORDS.sub(hide, text)
    for pattern, write in _PASSES:
        text = pattern.sub(write, text)
    return re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], text)


def value(number: str) -> int:
    """Of a number in Hangul such as 삼억 오천만."""
    total = group = digit = 0
    for syllable in number.replace(" ", ""):
        if syllable in _DIGITS:
            digit = _DIGITS[syllable]
        elif syllable in _TENS:
            group, digit = group + (digit or 1) * _TENS[syllable], 0
        else:
            total, group, digit = total + (group + digit or 1) * _MYRIADS[syllable], 0, 0
    return total + group + digit


def written(number: int, *, commas: bool = True) -> str:
    """350000000 is 3억 5,000만."""
    parts: list[str] = []
    for name, size in [*reversed(_MYRIADS.items()), ("", 1)]:
        count, number = divmod(number, size)
        if count or (not name and not parts):
            parts.append(f"{count:,}{name}" if commas else f"{count}{name}")
    return " ".join(parts)


def _figures(syllables: str) -> str:
    return "".join(str(_DIGITS[syllable]) for syllable in syllables if syllable in _DIGITS)


def _phone(match: re.Match[str]) -> str:
    return "-".join(_figures(group) for group in match.groups())


def _year(match: re.Match[str]) -> str:
    return f"{_figures(match[1])}년"


def _date(match: re.Match[str]) -> str:
    year, month, day, part = match.group("year", "month", "day", "part")
    if not (year or day or part) and month in ("일", "이"):
        return match[0]
    if year and not year[0].isdigit():
        year = f"{value(year.strip().removesuffix('년'))}년 "
    said = f"{year or ''}{_MONTHS.index(month) + 1}월"
    return said + (f" {value(day)}일" if day else "") + (part or "")


def _clock(match: re.Match[str]) -> str:
    before, hour, gap, half, minute = match.group("before", "hour", "gap", "half", "minute")
    known = bool(before or half or minute)
    if (hour == "한" and not gap and not known) or (hour == "네" and gap and not known):
        return match[0]
    said = f"{before or ''}{_HOURS.index(hour) + 1}시"
    return said + (half or "") + (f" {value(minute)}분" if minute else "")


def _measure(match: re.Match[str]) -> str:
    number, point, gap, unit = match.group("number", "point", "gap", "unit")
    if number.startswith("만 ") and unit not in _MONEY.split("|"):
        return "만 " + _MEASURE.sub(_measure, match[0].removeprefix("만 "))
    gap = gap or number[len(number.rstrip()) :]
    bare = number.replace(" ", "")
    before, behind = match.string[: match.start()], match.string[match.end() :]
    parted = number[0] in "십백천만" and _PARTED.search(before)
    fraction = unit == "분" and behind.startswith("의")
    if parted or fraction or not (_is_decimal(point, unit) if point else _is_number(bare, gap, unit)):
        return match[0]
    amount = written(value(bare), commas=unit not in _PLAIN)
    if point:
        amount += "." + _figures(point)
    if unit in _SIGNS:
        return amount + _SIGNS[unit]
    return amount + (gap if not amount[-1].isdigit() else "") + unit


def _is_decimal(point: str, unit: str) -> bool:
    return unit != "점" or " " not in point


def _is_number(bare: str, gap: str, unit: str) -> bool:
    if len(bare) == 1 and bare not in "십백천만":
        return bare in _AFTER_ONE.get(unit, "") and not (bare == "이" and gap and unit not in _THIS)
    if len(bare) == 1:
        if unit in _AFTER_ROUND:
            return bool(gap)
        return unit in _MONEY.split("|") or (bare != "만" and unit in _AFTER_ONE)
    if unit in ("호", "동"):
        return not gap
    if unit == "일" and not gap:
        return bare in ("이십", "삼십") or bare[-1] not in "십백천만억조"
    return True


def _bare(match: re.Match[str]) -> str:
    number = match["number"].strip()
    bare = number.replace(" ", "")
    if len(bare) < 3 or not set(bare) & set(_MYRIADS) or bare[0] in _MYRIADS:
        return match[0]
    return written(value(bare)) + match["number"][len(number) :]


_PASSES = (
    (_PHONE, _phone),
    (_MAIN_NUMBER, _phone),
    (_YEAR, _year),
    (_DATE, _date),
    (_CLOCK, _clock),
    (_MEASURE, _measure),
    (_BARE, _bare),
)
