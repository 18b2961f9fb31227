"""Whether what was said so far is a whole clause, by how it ends.

Korean says with its last syllables whether more is to come: connective endings (-는데, -고, -어서, -니까) and particles
leave a clause open, sentence endings (-다, -요, -까) close it. English shows it with its last word. A recogniser writes
full stops where it hears a pause, so a full stop proves little; a question mark or an exclamation mark does.
The words are in clauses.toml.
"""

import re
import tomllib
import unicodedata
from enum import StrEnum
from importlib.resources import files


class Ending(StrEnum):
    WHOLE = "whole"
    DOUBTFUL = "doubtful"
    """It can stand as it is, and often goes on: "했는데요", "여섯 시까지", a row of digits."""
    OPEN = "open"


_TRAILS_OFF = re.compile(r"(?:[,:;–—~-]|\.\.+|…)[\s\"'”’)]*$")
_ASKS = re.compile(r"[?!？！][\s\"'”’)]*$")
_STOPS = re.compile(r"[.。][\s\"'”’)]*$")
_DIGITS = re.compile(r"\d[\d\s.,-]*$")
_SPOKEN_NUMBER = re.compile(
    r"[공영일이삼사오육칠팔구십백천만억조]*(?:원|퍼센트|프로|년|월|[공영일이삼사오육칠팔구십백천만억조])"
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

# An ending is matched at the end of the last word. "ㅏ" and the like stand in the comments for a class of syllables.
_PARTICLES = {
    "은": True,
    "을": True,
    "이": True,
    "과": True,
    "는": None,
    "를": False,
    "가": False,
    "와": False,
    "의": None,
}
"""Of a subject, object or owner, and whether they follow a consonant; None: either."""
_GA = ord("가")
_FINAL_BIEUP = 17
"""Of the 28 finals a syllable can have; syllables count from 가, vowel by vowel (Unicode 3.12)."""
_VOWELS_BEFORE_SEO = frozenset((0, 1, 4, 6, 9, 10, 14))
"""ㅏ ㅐ ㅓ ㅕ ㅘ ㅙ ㅝ: those of -아서 and -어서."""

_LISTS = tomllib.loads(files("chammal_api").joinpath("realtime/clauses.toml").read_text("utf-8"))
_KO: dict[str, tuple[str, ...]] = {name: tuple(words.split()) for name, words in _LISTS["ko"].items()}
_EN: dict[str, tuple[str, ...]] = {name: tuple(words.split()) for name, words in _LISTS["en"].items()}


def ending(text: str, language: str) -> Ending:
    """Of text as a recogniser wrote it. `language` has two letters and counts where the script leaves it open."""
    text = unicodedata.normalize("NFC", text).strip()
    words = _WORD.findall(text)
    if not words or _TRAILS_OFF.search(text):
        return Ending.OPEN if words else Ending.WHOLE
    if _ASKS.search(text):
        return Ending.WHOLE
    if _DIGITS.search(text):
        return Ending.DOUBTFUL
    last = words[-1]
    if _is_hangul(last[-1]):
        return _korean(last)
    if language == "en":
        return _english(last.lower().replace("’", "'"), stopped=bool(_STOPS.search(text)), words=len(words))
    return Ending.WHOLE


def _korean(word: str) -> Ending:
    if word in _KO["openers"]:
        return Ending.OPEN
    if word in _KO["whole_words"] or _asks_formally(word):
        return Ending.WHOLE
    if word.endswith(_KO["doubtful"]) or _SPOKEN_NUMBER.fullmatch(word):
        return Ending.DOUBTFUL
    if word.endswith(_KO["closed"]):
        return Ending.WHOLE
    if len(word) > 1 and (_connects(word) or _marks_a_part(word)):
        return Ending.OPEN
    return Ending.WHOLE


def _connects(word: str) -> bool:
    if word.endswith("서"):
        return not _ends_in_a_consonant(word[-2]) and (ord(word[-2]) - _GA) % 588 // 28 in _VOWELS_BEFORE_SEO
    return word.endswith(_KO["connective"]) or (word.endswith("고") and not word.endswith(_KO["nouns_in_go"]))


def _marks_a_part(word: str) -> bool:
    """Whether it ends with a particle of a subject, object or owner, or says more about a noun to come."""
    if word.endswith(_KO["adnominal"]):
        return True
    if (particle := word[-1]) not in _PARTICLES:
        return False
    wanted = _PARTICLES[particle]
    return wanted is None or wanted is _ends_in_a_consonant(word[-2])


def _asks_formally(word: str) -> bool:
    """-ㅂ니까, which is not the -니까 of a reason."""
    return len(word) > 2 and word.endswith("니까") and (ord(word[-3]) - _GA) % 28 == _FINAL_BIEUP


def _ends_in_a_consonant(syllable: str) -> bool:
    return _is_hangul(syllable) and (ord(syllable) - _GA) % 28 > 0


def _is_hangul(character: str) -> bool:
    return "가" <= character <= "힣"


def _english(word: str, *, stopped: bool, words: int) -> Ending:
    if word in _EN["open"]:
        return Ending.OPEN
    if word in _EN["open_without_stop"] and words > 1:
        return Ending.WHOLE if stopped else Ending.OPEN
    return Ending.WHOLE
