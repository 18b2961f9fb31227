"""Phrases that Whisper is known to invent, from phantoms.toml."""

import re
import tomllib
from enum import StrEnum
from functools import cache
from importlib.resources import files


class Phantom(StrEnum):
    NEVER = "never"
    """Hardly anybody says this to a company."""
    OFTEN = "often"
    """People say it too."""


_ANYTHING = ".{0,24}"
_SENTENCE_ENDS = re.compile(r"[.!?…。！？\n]+(?=\s|$)|[。！？]")


def phantom(text: str, language: str | None) -> Phantom | None:
    """What the whole text is made of, if of nothing but known phrases. Without a language, of any language's."""
    never, often = _phrases(language)
    found = None
    if never.fullmatch(squash(text)):
        return Phantom.NEVER
    for sentence in filter(None, map(squash, _SENTENCE_ENDS.split(text))):
        if never.fullmatch(sentence):
            found = Phantom.NEVER
        elif often.fullmatch(sentence):
            found = found or Phantom.OFTEN
        else:
            return None
    return found


def squash(text: str) -> str:
    """Letters and digits alone."""
    return re.sub(r"[\W_]+", "", text.casefold())


@cache
def _phrases(language: str | None) -> tuple[re.Pattern[str], re.Pattern[str]]:
    listed = tomllib.loads(files("chammal_stt").joinpath("phantoms.toml").read_text("utf-8"))
    never = [phrase for phrases in listed.values() for phrase in phrases[Phantom.NEVER]]
    spoken = listed.values() if language is None else [listed[language]] if language in listed else []
    often = [phrase for phrases in spoken for phrase in phrases[Phantom.OFTEN]]
    return _pattern(never), _pattern(often)


def _pattern(phrases: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(_ANYTHING.join(map(squash, phrase.split("*"))) for phrase in phrases))
