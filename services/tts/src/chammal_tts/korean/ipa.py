"""Pronounced Hangul in the phonetic letters that Kokoro knows."""

from chammal_tts.korean.jamo import Syllable, decompose, is_syllable
from chammal_tts.korean.pronunciation import pronounce

_ONSETS = {
    "ㄱ": "k", "ㄲ": "ʔk", "ㄴ": "n", "ㄷ": "t", "ㄸ": "ʔt", "ㄹ": "ɾ", "ㅁ": "m", "ㅂ": "p", "ㅃ": "ʔp", "ㅅ": "s",
    "ㅆ": "ss", "ㅇ": "", "ㅈ": "ʨ", "ㅉ": "ʔʨ", "ㅊ": "ʨʰ", "ㅋ": "kʰ", "ㅌ": "tʰ", "ㅍ": "pʰ", "ㅎ": "h",
}  # fmt: skip
_VOICED = {"ㄱ": "ɡ", "ㄷ": "d", "ㅂ": "b", "ㅈ": "ʥ"}
_VOWELS = {
    "ㅏ": "a", "ㅐ": "ɛ", "ㅑ": "ja", "ㅒ": "jɛ", "ㅓ": "ʌ", "ㅔ": "e", "ㅕ": "jʌ", "ㅖ": "je", "ㅗ": "o", "ㅘ": "wa",
    "ㅙ": "wɛ", "ㅚ": "we", "ㅛ": "jo", "ㅜ": "u", "ㅝ": "wʌ", "ㅞ": "we", "ㅟ": "wi", "ㅠ": "ju", "ㅡ": "ɯ",
    "ㅢ": "ɰi", "ㅣ": "i",
}  # fmt: skip
_CODAS = {"": "", "ㄱ": "k", "ㄴ": "n", "ㄷ": "t", "ㄹ": "l", "ㅁ": "m", "ㅂ": "p", "ㅇ": "ŋ"}
_FRONT = frozenset("ㅣㅑㅒㅕㅖㅛㅠㅟ")


def korean_ipa(text: str) -> str:
    """Korean text without digits or Latin letters; punctuation and spaces stay."""
    sounds = []
    previous: Syllable | None = None
    for char in pronounce(text):
        syllable = decompose(char) if is_syllable(char) else None
        sounds.append(_sound(syllable, previous) if syllable else char)
        previous = syllable
    return "".join(sounds)


def _sound(syllable: Syllable, previous: Syllable | None) -> str:
    onset = _ONSETS[syllable.onset]
    if previous and previous.coda in ("", "ㄴ", "ㄹ", "ㅁ", "ㅇ"):
        onset = _VOICED.get(syllable.onset, onset)
    if previous and previous.coda == "ㄹ" and syllable.onset == "ㄹ":
        onset = "l"
    if syllable.vowel in _FRONT:
        onset = onset.replace("s", "ɕ")
    return onset + _VOWELS[syllable.vowel] + _CODAS[syllable.coda]
