"""What is understood of `instructions`, for engines that do not read them: words for rate, pitch, loudness and mood.

What is not understood changes nothing. A cue that is denied ("not too fast", "빠르지 않게") is passed over.
"""

import re
from functools import reduce

from chammal_contracts.voice import Emotion
from chammal_tts.prosody import EMOTIONS, NEUTRAL, Prosody

_CUES: tuple[tuple[re.Pattern[str], Prosody], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), prosody)
    for pattern, prosody in (
        (r"\bslow(?:ly|er)?\b|\bunhurried|천천히|느리|느린|느릿|느긋", Prosody(speed=0.85)),
        (
            r"\b(?:fast|faster|quick|quickly|rapid|rapidly|hurried|brisk|briskly)\b|빠르|빠른|빨리|서둘러",
            Prosody(speed=1.15),
        ),
        (r"\b(?:high|higher)[- ](?:pitch|voice|tone)|높은 (?:음|목소리|톤)|톤을 높|고음", Prosody(pitch=2.0)),
        (
            r"\b(?:low|lower|deep|deeper)[- ](?:pitch|voice|tone)|낮은 (?:음|목소리|톤)|톤을 낮|저음",
            Prosody(pitch=-2.0),
        ),
        (r"\b(?:loud|louder|loudly|shout|shouting)\b|크게|큰 소리|큰 목소리|외치", Prosody(energy=1.4)),
        (
            r"\b(?:soft|softly|softer|quiet|quietly|quieter|whisper\w*|gentle|gently)\b"
            r"|조용|작게|작은 (?:소리|목소리)|속삭|부드럽|부드러운|나직",
            Prosody(energy=0.6),
        ),
    )
)
_MOODS: tuple[tuple[re.Pattern[str], Emotion], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), emotion)
    for pattern, emotion in (
        (r"\b(?:excited|excitedly|enthusias\w+|energetic\w*|thrilled)\b|신나|신난|들뜬|흥분|활기", Emotion.EXCITED),
        (
            r"\b(?:happy|happily|cheer\w*|joy\w*|upbeat|warm|warmly|friendly)\b|기쁜|기쁘|행복|밝은|밝게|즐거|다정|친근",
            Emotion.HAPPY,
        ),
        (r"\b(?:angry|angrily|furious\w*|outraged|stern\w*)\b|화난|화나|화가|분노|성난", Emotion.ANGRY),
        (r"\b(?:sad|sadly|sorrow\w*|melanchol\w+|mournful\w*|grie\w+)\b|슬픈|슬프|우울|애도|안타까", Emotion.SAD),
        (r"\b(?:calm|calmly|sooth\w+|relax\w+|serene|composed|reassuring\w*)\b|차분|침착|편안|잔잔|안심", Emotion.CALM),
    )
)
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|never|no|without|avoid|less)|n['’]t)\s+(?:(?:be|sound|speak|talk|too|so|very|overly|a|any)\s+){0,3}$"
    r"|(?<![가-힣])(?:안|덜)\s*$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(r"^[가-힣]{0,3}\s?(?:[가-힣]{1,3}지\s?)?(?:않|말고|말아|마세요|마라|없이)")
_DENIED_WITHIN = 40
"""Characters before a cue or after it."""


def prosody_of(instructions: str | None, emotion: Emotion | None) -> Prosody:
    """`emotion` outranks a mood that the instructions name."""
    text = instructions or ""
    mood = emotion or mood_in(text)
    found = [prosody for pattern, prosody in _CUES if _asked(pattern, text)]
    return reduce(Prosody.also, found, EMOTIONS[mood] if mood else NEUTRAL)


def mood_in(text: str) -> Emotion | None:
    """The one that is named first."""
    found = [(match.start(), emotion) for pattern, emotion in _MOODS if (match := _asked(pattern, text))]
    return min(found)[1] if found else None


def _asked(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next((match for match in pattern.finditer(text) if not _denied(match, text)), None)


def _denied(match: re.Match[str], text: str) -> bool:
    before = text[max(0, match.start() - _DENIED_WITHIN) : match.start()]
    after = text[match.end() : match.end() + _DENIED_WITHIN]
    return bool(_DENIED_BEFORE.search(before) or _DENIED_AFTER.search(after))
