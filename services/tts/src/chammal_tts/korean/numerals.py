"""Numbers in Korean words."""

_DIGITS = "영일이삼사오육칠팔구"
_PLACES = ("", "십", "백", "천")
_MYRIADS = ("", "만", "억", "조", "경")
_NATIVE_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")

LARGEST = 10 ** (4 * len(_MYRIADS)) - 1


def sino(number: int) -> str:
    """일, 이, 삼 …: 12000 is 만이천. Up to LARGEST."""
    if number == 0:
        return _DIGITS[0]
    groups = []
    for myriad in _MYRIADS:
        number, group = divmod(number, 10_000)
        if group:
            words = _below_myriad(group)
            groups.append(myriad if words == "일" and myriad == "만" else words + myriad)
    return " ".join(reversed(groups))


def _below_myriad(number: int) -> str:
    words = ""
    for place in reversed(range(4)):
        digit = number // 10**place % 10
        if digit:
            words += ("" if digit == 1 and place else _DIGITS[digit]) + _PLACES[place]
    return words


def native(number: int) -> str:
    """한, 두, 세 …, as before a counter: 20 is 스무. From 1 to 99."""
    tens, ones = divmod(number, 10)
    return "스무" if number == 20 else _NATIVE_TENS[tens] + _NATIVE_ONES[ones]


def digits(number: str) -> str:
    """Digit by digit, as in telephone numbers: 010 is 공일공."""
    return "".join("공" if digit == "0" else _DIGITS[int(digit)] for digit in number)


def decimals(number: str) -> str:
    """What follows 점: 0.05 is 영 점 영오."""
    return "".join(_DIGITS[int(digit)] for digit in number)
