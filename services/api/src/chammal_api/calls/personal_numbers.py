"""Which runs of digits are numbers of persons: by form, check digit, and the words around them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from chammal_api.calls.digit_runs import Run


class NumberKind(StrEnum):
    RESIDENT = "resident"
    """주민등록번호, 외국인등록번호, or a half of one."""
    CARD = "card"
    ACCOUNT = "account"
    PHONE = "phone"


@dataclass(frozen=True)
class Around:
    """What was said before a number, and after it."""

    before: str
    after: str


SHORTEST = 6
BEFORE, AFTER = 40, 15
"""Characters."""
_NEAR_BANK = 15

Look = Callable[[int, int], Around]
"""From the place of a first and a last digit."""

_RESIDENT_WORDS = re.compile(r"주민|외국인\s*등록|(?:앞|뒷|뒤)\s*(?:일곱\s*|여섯\s*)?자리")
_RESIDENT_WORD = re.compile(r"주민|외국인\s*등록")
_CARD_WORDS = re.compile(r"카드")
_ACCOUNT_WORDS = re.compile(r"계좌|통장|입금|송금|이체|예금주")
_BANKS = re.compile(r"은행|뱅크|농협|수협|신협|새마을\s*금고|우체국|저축|증권(?!\s*번호)")
_OTHER_NUMBER = re.compile(
    r"(?:접수|상담|계약|증권|문서|승인|주문|사업자|법인|상품|약관|심의|심의필|모집인|설계사|판매사)"
    r"\s*(?:등록\s*)?(?:번호|코드)\s*(?:은|는|이|가|도|:)?\s*\Z|코드\s*(?:은|는|이|가|도|:)?\s*\Z"
)
"""Numbers of things, which stay."""
_UNIT = re.compile(
    r"\s?(?:원|만|억|천|백|달러|불\b|엔|%|퍼센트|프로|년|개월|월|일(?:까지|부터|에|\s|$)|주(?:\s|$)|좌|건|명|회|포인트|시간)"
)
_FIRMS = re.compile(r"(?:1[568]\d{6})+")
_YEARS = re.compile(r"(?:(?:19|20)\d\d)+")
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_MOBILE = re.compile(r"(?:820?)?(?:010\d{8}|01[16-9]\d{7,8})|8210\d{8}")
_FIXED = re.compile(r"(?:02|0(?:3[1-3]|4[1-4]|5[1-5]|6[1-4]))[2-9]\d{6,7}|070\d{8}|050[2-8]\d{7,8}")
_CARD_GROUPS = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3)})
_CARD_FIRST = frozenset("234569")
_RESIDENT_GROUPS = frozenset({(6, 7), (6, 1, 6)})


def find_numbers(run: Run, look: Look) -> Iterator[tuple[int, int, NumberKind]]:
    """First and last but one digit of each; they do not overlap."""
    taken = bytearray(len(run.digits))
    for kind, found in _finders(run, look):
        for start, end in found:
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                yield start, end, kind


def _finders(run: Run, look: Look) -> Iterator[tuple[NumberKind, Iterator[tuple[int, int]]]]:
    yield NumberKind.RESIDENT, _residents(run, look)
    yield NumberKind.CARD, _cards(run, look)
    yield NumberKind.PHONE, _phones(run, look)
    yield NumberKind.ACCOUNT, _accounts(run, look)


def _around(run: Run, look: Look, start: int, end: int) -> Around:
    return look(run.places[start], run.places[end - 1])


def _residents(run: Run, look: Look) -> Iterator[tuple[int, int]]:
    for start, end in run.windows(13, 13):
        digits = run.digits[start:end]
        if not (is_birth_date(digits[:6]) and digits[6] in "12345678"):
            continue
        around = _around(run, look, start, end)
        checked = has_check_digit(digits)
        formed = run.groups(start, end) in _RESIDENT_GROUPS or (run.spoken and len(run.groups(start, end)) == 1)
        if _OTHER_NUMBER.search(around.before) or _UNIT.match(around.after):
            continue
        if checked or formed or _RESIDENT_WORDS.search(around.before):
            yield start, end
    if len(run.digits) in (6, 7):
        yield from _half_residents(run, look)


def _half_residents(run: Run, look: Look) -> Iterator[tuple[int, int]]:
    """What was asked for as the first or the last part of one."""
    around = _around(run, look, 0, len(run.digits))
    front = len(run.digits) == 6 and is_birth_date(run.digits)
    back = len(run.digits) == 7 and (run.digits[0] in "12345678" or is_birth_date(run.digits[:6]))
    if (front or back) and _RESIDENT_WORD.search(around.before) and not _UNIT.match(around.after):
        yield 0, len(run.digits)


def _cards(run: Run, look: Look) -> Iterator[tuple[int, int]]:
    for start, end in run.windows(13, 19):
        digits = run.digits[start:end]
        if digits[0] not in _CARD_FIRST or _YEARS.fullmatch(digits):
            continue
        groups = run.groups(start, end)
        checked = passes_luhn(digits)
        formed = groups in _CARD_GROUPS or len(groups) == 1 or end - start == len(run.digits)
        if not (checked and formed) and not (checked or groups == (4, 4, 4, 4)):
            continue
        around = _around(run, look, start, end)
        if _UNIT.match(around.after) or _OTHER_NUMBER.search(around.before):
            continue
        if (checked and formed) or _CARD_WORDS.search(around.before + " " + around.after):
            yield start, end


def _phones(run: Run, look: Look) -> Iterator[tuple[int, int]]:
    whole = run.digits
    if 10 < len(whole) <= 16 and _is_account(run, look, 0, len(whole)):
        return  # a part of it may look like a telephone
    for start, end in run.windows(9, 14):
        digits = run.digits[start:end]
        if _MOBILE.fullmatch(digits) or (_FIXED.fullmatch(digits) and _is_fixed(run, start, end)):
            yield start, end


def _is_fixed(run: Run, start: int, end: int) -> bool:
    groups = run.groups(start, end)
    return len(groups) == 1 or run.spoken or (len(groups) == 3 and groups[0] < 5 and groups[2] == 4)


def _accounts(run: Run, look: Look) -> Iterator[tuple[int, int]]:
    """Whole, or the parts of at least ten digits that white space divides."""
    whole = len(run.digits)
    long = [(start, end) for start, end in run.pieces() if 10 <= end - start <= 16]
    chosen = long or ([(0, whole)] if 10 <= whole <= 16 and not _FIRMS.fullmatch(run.digits) else [])
    yield from (piece for piece in chosen if _is_account(run, look, *piece))


def _is_account(run: Run, look: Look, start: int, end: int) -> bool:
    around = _around(run, look, start, end)
    if _UNIT.match(around.after) or _OTHER_NUMBER.search(around.before) or _FIRMS.fullmatch(run.digits[start:end]):
        return False
    if _ACCOUNT_WORDS.search(around.before + " " + around.after):
        return True
    return _BANKS.search(around.before[-_NEAR_BANK:] + " " + around.after) is not None


def is_birth_date(digits: str) -> bool:
    """YYMMDD of a day that there is in some year."""
    month, day = int(digits[2:4]), int(digits[4:6])
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]


def has_check_digit(digits: str) -> bool:
    """Of a resident or a foreigner. Numbers given since October 2020 have none: theirs is a matter of chance."""
    total = sum(int(digit) * weight for digit, weight in zip(digits[:12], (*range(2, 10), 2, 3, 4, 5), strict=True))
    return int(digits[12]) in ((11 - total % 11) % 10, (13 - total % 11) % 10)


def passes_luhn(digits: str) -> bool:
    total = 0
    for n, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + n % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
