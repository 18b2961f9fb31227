"""Hangul syllables and their letters."""

from dataclasses import dataclass

ONSETS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
CODAS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")

_FIRST, _LAST = ord("가"), ord("힣")


@dataclass(slots=True)
class Syllable:
    onset: str
    vowel: str
    coda: str

    def __str__(self) -> str:
        place = (ONSETS.index(self.onset) * len(VOWELS) + VOWELS.index(self.vowel)) * len(CODAS)
        return chr(_FIRST + place + CODAS.index(self.coda))


def is_syllable(char: str) -> bool:
    return _FIRST <= ord(char) <= _LAST


def decompose(char: str) -> Syllable:
    """`char` is one precomposed Hangul syllable."""
    place, coda = divmod(ord(char) - _FIRST, len(CODAS))
    onset, vowel = divmod(place, len(VOWELS))
    return Syllable(ONSETS[onset], VOWELS[vowel], CODAS[coda])


def has_coda(char: str) -> bool:
    return is_syllable(char) and (ord(char) - _FIRST) % len(CODAS) != 0
