"""Recordings of a second or two, every one another file: a few spoken phrases, each with a number below hearing."""

import difflib
import io
import re
import wave
from collections.abc import Callable

RATE = 24_000
"""Of our text-to-speech, in samples a second; it speaks 16-bit mono."""
PHRASES = (
    "Please open a savings account.",
    "What is the interest rate?",
    "The fund may lose its value.",
    "I want to cancel my contract.",
    "Thank you, I understand the risk.",
    "My payment did not arrive.",
    "Can you explain the loan again?",
    "The insurance covers your house.",
)
_NUMBER_BITS = 32
_ALIKE = 0.6


class Clips:
    def __init__(self, speak: Callable[[str], bytes]) -> None:
        """`speak` gives a text as samples."""
        self._spoken = [speak(phrase) for phrase in PHRASES]

    @property
    def seconds(self) -> float:
        """Of all phrases together."""
        return sum(map(len, self._spoken)) / 2 / RATE

    def recording(self, number: int) -> bytes:
        """A WAV file. The number is its last samples, of 0 or 1."""
        mark = b"".join((number >> bit & 1).to_bytes(2, "little") for bit in range(_NUMBER_BITS))
        out = io.BytesIO()
        with wave.open(out, "wb") as clip:
            clip.setparams((1, 2, RATE, 0, "NONE", ""))
            clip.writeframes(self._spoken[number % len(PHRASES)] + mark)
        return out.getvalue()


def is_of(number: int, transcript: str) -> bool:
    """Whether no other phrase is nearer to what was heard. A word may be wrong, as speech is recognised."""
    nearest = difflib.get_close_matches(_plain(transcript), [_plain(phrase) for phrase in PHRASES], 1, _ALIKE)
    return nearest == [_plain(PHRASES[number % len(PHRASES)])]


def _plain(text: str) -> str:
    return " ".join(re.findall("[a-z]+", text.lower()))
