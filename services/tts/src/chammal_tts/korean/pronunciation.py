"""Hangul written as it is pronounced, by the rules of 표준발음법. Articles are named where a rule is theirs."""

from chammal_tts.korean.jamo import Syllable, decompose, is_syllable
from chammal_tts.korean.respelling import respell

_CLUSTERS = {
    "ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ", "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ",
    "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ",
}  # fmt: skip
_NEUTRAL = {
    "ㄲ": "ㄱ", "ㅋ": "ㄱ", "ㄳ": "ㄱ", "ㄺ": "ㄱ", "ㅅ": "ㄷ", "ㅆ": "ㄷ", "ㅈ": "ㄷ", "ㅊ": "ㄷ", "ㅌ": "ㄷ",
    "ㅎ": "ㄷ", "ㅍ": "ㅂ", "ㅄ": "ㅂ", "ㄿ": "ㅂ", "ㄵ": "ㄴ", "ㄶ": "ㄴ", "ㄼ": "ㄹ", "ㄽ": "ㄹ", "ㄾ": "ㄹ",
    "ㅀ": "ㄹ", "ㄻ": "ㅁ",
}  # fmt: skip
_TENSE = {"ㄱ": "ㄲ", "ㄷ": "ㄸ", "ㅂ": "ㅃ", "ㅅ": "ㅆ", "ㅈ": "ㅉ"}
_ASPIRATED = {"ㄱ": "ㅋ", "ㄷ": "ㅌ", "ㅂ": "ㅍ", "ㅈ": "ㅊ"}
_NASAL = {"ㄱ": "ㅇ", "ㄷ": "ㄴ", "ㅂ": "ㅁ"}
_STEM_CLUSTERS = frozenset("ㄵㄻㄼㄾ")
_NOUNS_IN_ㄺ = frozenset({("ㄷ", "ㅏ"), ("ㅎ", "ㅡ"), ("ㅊ", "ㅣ"), ("ㅅ", "ㅡ")})
"""닭, 흙, 칡, 기슭: ㄱ is what stays of their ㄺ even before ㄱ (제11항)."""
_NOUNS_IN_STEM_CLUSTERS = frozenset({("ㅅ", "ㅏ", "ㄻ"), ("ㄷ", "ㅓ", "ㄼ")})
"""삶, 여덟: nouns do not make the next sound tense (제25항)."""


_RELEASED = frozenset("한하해했할합")
"""옷 한 벌 is 오 탄 벌 (제12항 붙임)."""


def pronounce(text: str) -> str:
    """Hangul words (divided by spaces) as they sound, again in Hangul. Other characters stay and end a word's sound."""
    parts: list[Syllable | str] = [decompose(c) if is_syllable(c) else c for c in respell(text)]
    _read_ui(parts)
    for index, part in enumerate(parts):
        if isinstance(part, str):
            continue
        following = parts[index + 1] if index + 1 < len(parts) else None
        if isinstance(following, Syllable):
            _join(part, following)
        elif following == " " and index + 2 < len(parts) and isinstance(after := parts[index + 2], Syllable):
            _meet(part, after, negation=str(part) == "못")
        else:
            part.coda = _NEUTRAL.get(part.coda, part.coda)
    _simplify_glides(parts)
    return "".join(str(part) for part in parts)


def _join(left: Syllable, right: Syllable) -> None:
    """Two syllables of one word."""
    if not left.coda:
        return
    if left.coda in "ㅎㄶㅀ":
        _release_h(left, right)
    elif right.onset == "ㅎ":
        _aspirate(left, right)
    elif right.onset == "ㅇ":
        _link(left, right)
    else:
        _harden(left, right)
    _assimilate(left, right)


def _meet(left: Syllable, right: Syllable, *, negation: bool) -> None:
    """Two words said in one breath: obstruents turn nasal (제18항 붙임), the rest keeps its word's sound."""
    left.coda = _NEUTRAL.get(left.coda, left.coda)
    if negation and right.onset == "ㅇ" and right.vowel not in "ㅣㅑㅕㅛㅠ":
        left.coda, right.onset = "", "ㄷ"
    elif negation and right.onset == "ㅇ":
        left.coda = right.onset = "ㄴ"
    elif negation or (left.coda in _NASAL and str(right) in _RELEASED):
        _join(left, right)
    elif left.coda in _NASAL and right.onset in "ㄴㅁ":
        _assimilate(left, right)


def _release_h(left: Syllable, right: Syllable) -> None:
    """제12항: the ㅎ of a coda."""
    rest = _CLUSTERS[left.coda][0] if left.coda in _CLUSTERS else ""
    left.coda = rest
    if right.onset in "ㄱㄷㅈ":
        right.onset = _ASPIRATED[right.onset]
    elif right.onset == "ㅅ":
        right.onset = "ㅆ"
    elif right.onset == "ㅇ" and rest:
        left.coda, right.onset = "", rest
    elif right.onset == "ㄴ" and not rest:
        left.coda = "ㄴ"
    elif right.onset not in "ㅇㅎ" and not rest:
        left.coda = "ㄷ"


def _split(coda: str) -> tuple[str, str]:
    """What stays of a coda and what moves on."""
    cluster = _CLUSTERS.get(coda)
    return (cluster[0], cluster[1]) if cluster else ("", coda)


def _aspirate(left: Syllable, right: Syllable) -> None:
    """제12항 붙임: ㄱ ㄷ ㅂ ㅈ before ㅎ; 제17항: ㄷ before 히 is ㅊ."""
    rest, last = _split(left.coda)
    if left.coda in ("ㄳ", "ㅄ"):
        rest, last = "", rest
    palatal = last in "ㄷㅌ" and (right.vowel == "ㅣ" or (right.vowel == "ㅕ" and right.coda in ("", "ㅆ")))
    base = "ㅈ" if palatal or last == "ㅈ" else _NEUTRAL.get(last, last)
    if base in _ASPIRATED:
        left.coda, right.onset = rest, _ASPIRATED[base]


def _link(left: Syllable, right: Syllable) -> None:
    """제13, 14항: a coda moves to the vowel; 제17항: ㄷ ㅌ before 이 are ㅈ ㅊ."""
    if left.coda == "ㅇ":
        return
    rest, last = _split(left.coda)
    if last in "ㄷㅌ" and right.vowel in "ㅣㅕ":
        last = "ㅈ" if last == "ㄷ" else "ㅊ"
    elif last == "ㅅ" and rest:
        last = "ㅆ"
    left.coda, right.onset = rest, last


def _harden(left: Syllable, right: Syllable) -> None:
    """제9–11항: seven codas; 제23–25항: what is tense after them."""
    shape = (left.onset, left.vowel)
    coda = _NEUTRAL.get(left.coda, left.coda)
    tense = coda in _NASAL
    if left.coda == "ㄺ" and right.onset == "ㄱ" and shape not in _NOUNS_IN_ㄺ:
        coda = "ㄹ"
    elif left.coda == "ㄼ" and (shape == ("ㅂ", "ㅏ") or (shape == ("ㄴ", "ㅓ") and str(right) in "죽둥")):
        coda, tense = "ㅂ", True
    elif left.coda in _STEM_CLUSTERS:
        tense = (*shape, left.coda) not in _NOUNS_IN_STEM_CLUSTERS and right.onset in "ㄱㄷㅅㅈ"
    left.coda = coda
    if tense:
        right.onset = _TENSE.get(right.onset, right.onset)


def _assimilate(left: Syllable, right: Syllable) -> None:
    """제18–20항."""
    if left.coda in _NASAL and right.onset in "ㄴㅁㄹ":
        left.coda = _NASAL[left.coda]
        right.onset = "ㄴ" if right.onset == "ㄹ" else right.onset
    elif left.coda in ("ㅁ", "ㅇ") and right.onset == "ㄹ":
        right.onset = "ㄴ"
    elif (left.coda, right.onset) in (("ㄴ", "ㄹ"), ("ㄹ", "ㄴ")):
        left.coda = right.onset = "ㄹ"


def _read_ui(parts: list[Syllable | str]) -> None:
    """제5항: 희 is 히; 의 is 이 inside a word and 에 as a particle."""
    for index, part in enumerate(parts):
        if isinstance(part, str) or part.vowel != "ㅢ":
            continue
        first = index == 0 or isinstance(parts[index - 1], str)
        last = index + 1 == len(parts) or isinstance(parts[index + 1], str)
        if part.onset != "ㅇ":
            part.vowel = "ㅣ"
        elif not first:
            part.vowel = "ㅔ" if last and not part.coda else "ㅣ"


def _simplify_glides(parts: list[Syllable | str]) -> None:
    """제5항: 져 is 저, 계 is 게."""
    for part in parts:
        if isinstance(part, str):
            continue
        if part.vowel == "ㅕ" and part.onset in "ㅈㅉㅊ":
            part.vowel = "ㅓ"
        elif part.vowel == "ㅖ" and part.onset not in "ㅇㄹ":
            part.vowel = "ㅔ"
