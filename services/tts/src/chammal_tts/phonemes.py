"""A piece of a script in Kokoro's phonemes. Each run of letters is read in the language of its script."""

import re

from chammal_tts.english.phonemes import english_phonemes
from chammal_tts.korean.ipa import korean_ipa

_RUN = re.compile(r"[A-Za-z][A-Za-z'.,\- ]*(?<![\s.,])|[^A-Za-z]+")
_MARKS = str.maketrans(
    {"。": ".", "！": "!", "？": "?", "、": ",", "，": ",", "·": ",", "~": "", "∼": "", "-": " ", "/": " "}
)


def phonemes(text: str) -> str:
    """`text` has been read (`script`): digits are left only where there is no Hangul, for the English phonemiser."""
    if not re.search(r"[가-힣]", text):
        return _tidy(english_phonemes(text))
    runs = (
        english_phonemes(run) if run[0].isascii() and run[0].isalpha() else korean_ipa(run)
        for run in _RUN.findall(text)
    )
    return _tidy("".join(runs))


def _tidy(sounds: str) -> str:
    sounds = re.sub(r"\s+", " ", sounds.translate(_MARKS))
    return re.sub(r" ([.,!?…;:])", r"\1", sounds).strip()
