"""Amounts: money, measures and how numbers are read before them."""

import re

from chammal_tts.korean.numerals import LARGEST, decimals, digits, sino

NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
START = r"(?<![\d.,])"
"""Before NUMBER where something has to follow it: without, a long row of digits is tried from each of them."""
UNITS = {
    "%p": "퍼센트 포인트", "%": "퍼센트", "‰": "퍼밀", "km": "킬로미터", "cm": "센티미터", "mm": "밀리미터",
    "km2": "제곱킬로미터", "cm2": "제곱센티미터", "m2": "제곱미터", "m3": "세제곱미터", "m": "미터", "nm": "나노미터",
    "kg": "킬로그램", "mg": "밀리그램", "g": "그램", "t": "톤", "ha": "헥타르", "ml": "밀리리터", "mL": "밀리리터",
    "cc": "씨씨", "L": "리터", "l": "리터", "°C": "도", "°F": "화씨 도", "°": "도", "cal": "칼로리",
    "kcal": "킬로칼로리", "kWh": "킬로와트시", "kW": "킬로와트", "W": "와트", "V": "볼트", "A": "암페어",
    "mAh": "밀리암페어시", "dB": "데시벨", "hPa": "헥토파스칼", "TB": "테라바이트", "GB": "기가바이트",
    "MB": "메가바이트", "KB": "킬로바이트", "kB": "킬로바이트", "Gbps": "기가비피에스", "Mbps": "메가비피에스",
    "GHz": "기가헤르츠", "MHz": "메가헤르츠", "kHz": "킬로헤르츠", "Hz": "헤르츠", "px": "픽셀", "fps": "프레임",
    "ms": "밀리초", "s": "초", "h": "시간", "inch": "인치", "ft": "피트", "lb": "파운드", "oz": "온스", "mi": "마일",
}  # fmt: skip
UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
MONEY = {"₩": "원", "$": "달러", "€": "유로", "£": "파운드", "¥": "엔", "¢": "센트"}
CODES = {"KRW": "원", "USD": "달러", "EUR": "유로", "GBP": "파운드", "JPY": "엔", "CNY": "위안"}
_CENTS = {"$": "센트", "€": "센트", "£": "펜스"}
_SCALES = {"K": 10**3, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def number(text: str) -> str:
    """`text` is of NUMBER. With a leading zero, or beyond all words, digit by digit."""
    whole, _, fraction = text.replace(",", "").partition(".")
    plain = (len(whole) > 1 and whole.startswith("0")) or len(whole) > len(str(LARGEST))
    return (digits(whole) if plain else sino(int(whole))) + (f" 점 {decimals(fraction)}" if fraction else "")


def money(match: re.Match[str]) -> str:
    """A sign, a number, and 만, 억 … or K, M … or nothing."""
    sign, amount, scale = match.groups(default="")
    if scale in _SCALES:
        return sino(round(float(amount.replace(",", "")) * _SCALES[scale])) + MONEY[sign]
    whole, _, fraction = amount.partition(".")
    if not scale and len(fraction) == 2 and sign in _CENTS:
        return number(whole) + MONEY[sign] + (f" {sino(int(fraction))}{_CENTS[sign]}" if int(fraction) else "")
    return number(amount) + scale + MONEY[sign]
