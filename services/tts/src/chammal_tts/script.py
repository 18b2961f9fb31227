"""What is to be said: the text in parts, each with its language, its words written out and the pause after it."""

import re
from dataclasses import dataclass
from enum import StrEnum

from chammal_tts.english.reading import read_english
from chammal_tts.korean.reading import read_korean
from chammal_tts.plain_text import plain_text
from chammal_tts.sentences import pieces, sentences

PIECE_PHONEMES = 260
"""Well below the model's 510, so that the first audio of a long sentence does not wait for all of it."""
SENTENCE_PAUSE = 0.28
CLAUSE_PAUSE = 0.06

_HANGUL = re.compile(r"[가-힣]")
_LATIN = re.compile(r"[A-Za-z]")
_SPEAKABLE = re.compile(r"[가-힣A-Za-z0-9]")


class Language(StrEnum):
    KO = "ko"
    EN = "en"


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    language: Language
    pause: float
    """Seconds of silence after it."""


def script(text: str, language: Language | None = None) -> list[Piece]:
    """Empty when the text has nothing that can be said. `language` decides how numbers of a sentence are read."""
    parts: list[Piece] = []
    known = language or _language(text, Language.EN)
    for sentence in sentences(plain_text(text)):
        if not _SPEAKABLE.search(sentence):
            continue
        spoken_in = language or _language(sentence, known)
        read = read_korean if spoken_in is Language.KO or _HANGUL.search(sentence) else read_english
        cut = pieces(read(sentence), PIECE_PHONEMES)
        parts += [Piece(part, spoken_in, CLAUSE_PAUSE) for part in cut[:-1]]
        parts += [Piece(part, spoken_in, SENTENCE_PAUSE) for part in cut[-1:]]
    return parts


def _language(text: str, otherwise: Language) -> Language:
    """By script; three Latin letters weigh as much as a Hangul syllable."""
    hangul, latin = len(_HANGUL.findall(text)), len(_LATIN.findall(text))
    if not hangul and not latin:
        return otherwise
    return Language.KO if hangul * 3 >= latin else Language.EN
