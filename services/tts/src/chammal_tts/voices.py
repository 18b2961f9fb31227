"""Voice names: Kokoro's own, and OpenAI's as aliases of a pair, one voice for each language."""

from collections.abc import Mapping
from dataclasses import dataclass

from chammal_tts.script import Language

KOREAN_WOMAN, KOREAN_MAN = "jf_alpha", "jm_kumo"

ALIASES: Mapping[str, tuple[str, str]] = {
    "alloy": ("af_alloy", KOREAN_WOMAN),
    "ash": ("am_michael", KOREAN_MAN),
    "ballad": ("bm_george", KOREAN_MAN),
    "cedar": ("am_puck", KOREAN_MAN),
    "coral": ("af_heart", KOREAN_WOMAN),
    "echo": ("am_echo", KOREAN_MAN),
    "fable": ("bm_fable", KOREAN_MAN),
    "marin": ("af_nicole", KOREAN_WOMAN),
    "nova": ("af_nova", KOREAN_WOMAN),
    "onyx": ("am_onyx", KOREAN_MAN),
    "sage": ("af_sarah", KOREAN_WOMAN),
    "shimmer": ("af_bella", KOREAN_WOMAN),
    "verse": ("am_fenrir", KOREAN_MAN),
}
"""English voice, Korean voice. Kokoro has no Korean voice of its own: whisper understands these two best."""


DEFAULT = "alloy"


@dataclass(frozen=True, slots=True)
class Voice:
    name: str
    english: str
    korean: str

    def speaking(self, language: Language) -> str:
        return self.korean if language is Language.KO else self.english


def find_voice(name: str, available: frozenset[str]) -> Voice | None:
    """`name` is an alias, or an engine's voice, which then speaks every language."""
    if name in available:
        return Voice(name, name, name)
    pair = ALIASES.get(name.lower())
    if pair is None or not available.issuperset(pair):
        return None
    return Voice(name, *pair)
