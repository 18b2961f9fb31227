"""How many syllables a text is spoken in: counted for Korean, estimated for English."""

import re

_WORD = re.compile(r"[가-힣]|[一-鿿]|[ぁ-んァ-ヴー]|[A-Za-zÀ-ɏ']+|\d[\d,]*")
_SMALL_KANA = frozenset("ゃゅょャュョぁぃぅぇぉァィゥェォ")
_VOWELS = re.compile(r"[aeiouyà-öø-ý]+")
_SILENT_E = re.compile(r"(?<![aeiouyl])(?:e|es|ed)$|(?<=[aeiouy]l)(?:e|es|ed)$")
_SPOKEN_ED = re.compile(r"[td]ed$")
_SPOKEN_ES = re.compile(r"(?:[sxz]|ch|sh|ce|ge)es$|[cg]es$")
_HIATUS = re.compile(r"(?<![tc])i(?:a|o(?!u?s?n))|[eu]o|ui(?=[nt])|[iu]um$|(?<=[^q])ua(?=[lt])|eing$|ying$")
_ACRONYM = 4
"""Letters: so many capitals alone are spelt out."""
_ENGLISH_DIGITS = (2, 1, 1, 1, 1, 1, 1, 2, 1, 1)
_ENGLISH_TEENS = (1, 3, 1, 2, 2, 2, 2, 3, 2, 2)
_ENGLISH_GROUPS = (0, 2, 2, 2, 2)
"""thousand, million, billion, trillion."""


def syllables(text: str, language: str) -> int | None:
    """None where none can be told: scripts whose syllables are not in their letters."""
    if not any(character.isalnum() for character in text):
        return 0
    found = sum(_spoken(word, language) for word in _WORD.findall(text))
    return found or None


def _spoken(word: str, language: str) -> int:
    if word[0].isdigit():
        return _number(word.replace(",", ""), language)
    if not word[0].isascii() and not word[0].isalpha():
        return 0
    if "가" <= word[0] <= "힣" or "一" <= word[0] <= "鿿":
        return 1
    if "ぁ" <= word[0] <= "ー":
        return int(word not in _SMALL_KANA)
    if word.isupper() and 1 < len(word) <= _ACRONYM:
        return len(word) + 2 * word.count("W")
    return _english(word.lower())


def _english(word: str) -> int:
    """By groups of vowels, less the e that is silent, and more where two vowels are two syllables."""
    bare = word.strip("'").removesuffix("'s")
    groups = len(_VOWELS.findall(bare))
    if _SILENT_E.search(bare) and not _SPOKEN_ED.search(bare) and not _SPOKEN_ES.search(bare):
        groups -= 1
    groups += len(_HIATUS.findall(bare))
    groups += bare.endswith(("sm", "thm", "n't")) and len(bare) > 3
    return max(1, groups)


def _number(digits: str, language: str) -> int:
    if language == "en":
        return _english_number(digits)
    return _korean_number(digits)


def _korean_number(digits: str) -> int:
    """삼백오십 is 350: a syllable for each digit and for its place, but none for the 일 of 십, 백, 천."""
    if digits.startswith("0"):
        return len(digits)
    spoken = 0
    for place, digit in enumerate(reversed(digits)):
        if digit == "0":
            continue
        unit = place % 4
        spoken += (1 if unit else 0) + (0 if unit and digit == "1" else 1)
    groups = (len(digits) - 1) // 4
    return spoken + groups


def _english_number(digits: str) -> int:
    if digits.startswith("0") or len(digits) > 3 * len(_ENGLISH_GROUPS):
        return sum(_ENGLISH_DIGITS[int(digit)] for digit in digits)
    spoken = 0
    for group, end in enumerate(range(len(digits), 0, -3)):
        value = int(digits[max(0, end - 3) : end])
        if value:
            spoken += _below_thousand(value) + _ENGLISH_GROUPS[group]
    return spoken


def _below_thousand(value: int) -> int:
    hundreds, rest = divmod(value, 100)
    spoken = _ENGLISH_DIGITS[hundreds] + 2 if hundreds else 0
    tens, ones = divmod(rest, 10)
    if tens == 1:
        return spoken + _ENGLISH_TEENS[ones]
    spoken += (3 if tens == 7 else 2) if tens else 0
    return spoken + (_ENGLISH_DIGITS[ones] if ones else 0)
