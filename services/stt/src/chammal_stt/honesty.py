"""What of the model's text is to be believed. Nothing is dropped without being told."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from chammal_contracts.asr import Suspect, SuspectReason
from chammal_stt.hearing import Span, heard, touching, without
from chammal_stt.messages import RecognisedSegment
from chammal_stt.phantoms import Phantom, phantom, squash
from chammal_stt.pieces import Probabilities
from chammal_stt.repetition import Loop, loop

MARGIN_SECONDS = 0.5
"""Whisper's times are about this wrong."""
SLIP_SECONDS = 5.0
"""And this wrong beside long pauses: speech that nobody wrote down, so near, may be what the text stands for."""
SKIPPED_SECONDS = 1.0
"""Speech without text is told from here on."""
TEXT_MARGIN_SECONDS = 1.0
PAUSE_SECONDS = 1.0
"""Longer ones part what was skipped."""
LETTERS_A_SECOND = 30.0
"""Nobody speaks faster: English reaches 25, Korean 10 syllables."""
SURE_LOGPROB = -0.5
SURE_NO_SPEECH = 0.4
"""Text this sure is believed against the voice detector; what was invented for noise scored 0.53 and more."""
NO_SPEECH = 0.6
NO_SPEECH_LOGPROB = -0.8
"""Real Korean scored 0.71 with a good logprob: both are asked, and that little was heard."""
LITTLE_SECONDS = 1.0
LOW_LOGPROB = -1.0
SQUEEZED = 2.4
"""Whisper's own limit of the compression ratio."""
SHORT_UNIT = 3
"""Letters of a word that people repeat: 네, 네, 네, 네; no, no, no, no."""
SHORT_UNIT_TIMES = 8
SHORT_UNIT_SECONDS = 0.15
"""Of speech each time."""
SAME_SEGMENTS = 3
SAME_SEGMENT_LETTERS = 8
"""Shorter ones are answers that people do repeat: a customer says 네 after 네 while the agent explains."""
_SOUND = re.compile(r"\[[^\]]*\]|\([^)]*\)|（[^）]*）|【[^】]*】|\*[^*]*\*|♪[^♪]*♪")
"""[Music], (박수), *sighs*."""


@dataclass(frozen=True, slots=True)
class Examined:
    kept: list[RecognisedSegment] = field(default_factory=list)
    """In order of time, and perhaps shorter than they came."""
    suspect: list[Suspect] = field(default_factory=list)
    """Everything that was dropped, changed or is doubted, in order of time."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    reason: SuspectReason
    detail: str
    left: RecognisedSegment | None = None
    """What remains of the segment; the segment itself when it is kept."""


def examine(
    segments: Sequence[RecognisedSegment],
    speech: Probabilities,
    language: str | None,
    *,
    speaker: str | None = None,
) -> Examined:
    """One channel's text. Times are from the beginning of `speech`, which has a byte for each SPEECH_FRAME."""
    written = sorted((s for s in segments if s.text.strip()), key=lambda segment: segment.start)
    spans = heard(speech)
    under = _speech_under(written, spans)
    examined = Examined()
    for looping, segment in _runs(written):
        again = looping and bool(examined.kept) and squash(examined.kept[-1].text) == squash(segment.text)
        doubt = _doubt(segment, under[id(segment)], again, language)
        if doubt is not None:
            examined.suspect.append(_suspect(segment, doubt, speaker))
        left = segment if doubt is None else doubt.left
        if left is not None:
            examined.kept.append(left)
    examined.suspect.extend(_skipped(written, spans, under, speaker))
    examined.suspect.sort(key=lambda suspect: suspect.start)
    return examined


def confidence(segment: RecognisedSegment) -> float:
    """Mean probability of a token, 0-1."""
    return min(1.0, math.exp(segment.avg_logprob)) if math.isfinite(segment.avg_logprob) else 0.0


def _speech_under(written: Sequence[RecognisedSegment], spans: list[Span]) -> dict[int, list[Span]]:
    """The speech that each segment stands for, by its id(). Where none is, the nearest that no segment claims."""
    under = {id(s): list(touching(spans, _span(s).widened(MARGIN_SECONDS))) for s in written}
    claimed = {span for claims in under.values() for span in claims}
    for segment in written:
        if not under[id(segment)]:
            here = _span(segment)
            free = [span for span in touching(spans, here.widened(SLIP_SECONDS)) if span not in claimed]
            if free:
                nearest = min(free, key=here.distance)
                claimed.add(nearest)
                under[id(segment)] = [nearest]
    return under


def _runs(written: Sequence[RecognisedSegment]) -> Iterator[tuple[bool, RecognisedSegment]]:
    """Each segment, and whether it is one of too many in a row with the same text."""
    for words, group in groupby(written, key=lambda segment: squash(segment.text)):
        same = list(group)
        looping = len(same) >= SAME_SEGMENTS and len(words) >= SAME_SEGMENT_LETTERS
        looping = looping or (len(same) >= SHORT_UNIT_TIMES and same[0].compression_ratio > SQUEEZED)
        yield from ((looping, segment) for segment in same)


def _doubt(segment: RecognisedSegment, under: list[Span], again: bool, language: str | None) -> _Doubt | None:
    if not squash(_SOUND.sub("", segment.text)):
        return _Doubt(SuspectReason.PHANTOM, "Only symbols or a sound's name: the model's mark for music and noise.")
    seconds = sum(span.overlap(_span(segment).widened(MARGIN_SECONDS)) or span.end - span.start for span in under)
    doubts = (
        _unheard(segment, seconds),
        _Doubt(SuspectReason.REPETITION, "The same text again and again: the first is kept.") if again else None,
        _phantom(segment, seconds, language),
        _no_speech(segment, seconds),
        _repetition(segment, seconds),
        _unsure(segment),
    )
    return next((doubt for doubt in doubts if doubt is not None), None)


def _unheard(segment: RecognisedSegment, seconds: float) -> _Doubt | None:
    if seconds:
        return None
    detail = "No speech was heard here, or close by."
    if segment.avg_logprob >= SURE_LOGPROB and segment.no_speech_prob <= SURE_NO_SPEECH and loop(segment.text) is None:
        return _Doubt(SuspectReason.SILENCE, f"{detail} The model is sure of it: kept.", segment)
    return _Doubt(SuspectReason.SILENCE, detail)


def _phantom(segment: RecognisedSegment, seconds: float, language: str | None) -> _Doubt | None:
    kind = phantom(segment.text, language)
    if kind is None:
        return None
    too_little = seconds < len(squash(segment.text)) / LETTERS_A_SECOND
    known = "A phrase that the model is known to invent"
    if too_little:
        return _Doubt(SuspectReason.PHANTOM, f"{known}, over {seconds:.1f} s of speech.")
    if kind is Phantom.OFTEN:
        return None
    if segment.avg_logprob < LOW_LOGPROB:
        return _Doubt(SuspectReason.PHANTOM, f"{known}, with a confidence of {confidence(segment):.2f}.")
    return _Doubt(SuspectReason.PHANTOM, f"{known}, but {seconds:.1f} s of speech were heard: kept.", segment)


def _no_speech(segment: RecognisedSegment, seconds: float) -> _Doubt | None:
    silent = segment.no_speech_prob >= NO_SPEECH and segment.avg_logprob <= NO_SPEECH_LOGPROB
    if not silent or seconds >= LITTLE_SECONDS:
        return None
    detail = (
        f"The model holds that nothing was said ({segment.no_speech_prob:.0%}), is unsure of the words "
        f"(confidence {confidence(segment):.2f}), and only {seconds:.1f} s of speech were heard."
    )
    return _Doubt(SuspectReason.NO_SPEECH, detail)


def _repetition(segment: RecognisedSegment, seconds: float) -> _Doubt | None:
    left, loops = segment, []
    while (found := loop(left.text)) is not None and not _human(found, segment, seconds):
        left = _cut(left, found)
        loops.append(f"{found.unit!r} {found.times} times")
    if loops and seconds < LITTLE_SECONDS:
        return _Doubt(SuspectReason.REPETITION, f"{', '.join(loops)}, over {seconds:.1f} s of speech.")
    if loops:
        return _Doubt(SuspectReason.REPETITION, f"{', '.join(loops)}: the first is kept.", left)
    if segment.compression_ratio > SQUEEZED:
        detail = f"Its text repeats itself (compression ratio {segment.compression_ratio:.1f}): kept."
        return _Doubt(SuspectReason.REPETITION, detail, segment)
    return None


def _unsure(segment: RecognisedSegment) -> _Doubt | None:
    if segment.avg_logprob >= LOW_LOGPROB:
        return None
    detail = f"The model is unsure of the words (confidence {confidence(segment):.2f}): kept."
    return _Doubt(SuspectReason.LOW_CONFIDENCE, detail, segment)


def _human(found: Loop, segment: RecognisedSegment, seconds: float) -> bool:
    """People say 네, 네, 네, 네 as well."""
    short = len(found.unit) <= SHORT_UNIT and found.times < SHORT_UNIT_TIMES
    return short and seconds >= SHORT_UNIT_SECONDS * found.times and segment.compression_ratio <= SQUEEZED


def _cut(segment: RecognisedSegment, found: Loop) -> RecognisedSegment:
    """Its words stay in step with its text; its tokens would not."""
    text = segment.text[: found.start] + segment.text[found.end :]
    words = None
    if segment.words is not None:
        first, last = (len(squash(segment.text[:place])) for place in (found.start, found.end))
        words, letters = [], 0
        for word in segment.words:
            if not first <= letters < last:
                words.append(word)
            letters += len(squash(word.word))
    return replace(segment, text=text, words=words, tokens=[])


def _skipped(
    written: Sequence[RecognisedSegment],
    spans: list[Span],
    under: dict[int, list[Span]],
    speaker: str | None,
) -> Iterator[Suspect]:
    texts = [_span(segment).widened(TEXT_MARGIN_SECONDS) for segment in written]
    slipped = [span for s in written for span in under[id(s)] if not span.overlap(_span(s).widened(MARGIN_SECONDS))]
    held: list[Span] = []
    taken = sorted(texts + slipped, key=lambda span: span.start)
    for span in [*without(spans, taken), Span(math.inf, math.inf)]:
        if held and span.start - held[-1].end > PAUSE_SECONDS:
            seconds = sum(part.end - part.start for part in held)
            if seconds >= SKIPPED_SECONDS:
                detail = f"{seconds:.1f} s of speech were heard here, and the model wrote nothing."
                yield Suspect(
                    start=round(held[0].start, 3),
                    end=round(held[-1].end, 3),
                    text="",
                    reason=SuspectReason.SKIPPED,
                    dropped=False,
                    detail=detail,
                    speaker=speaker,
                )
            held = []
        held.append(span)


def _suspect(segment: RecognisedSegment, doubt: _Doubt, speaker: str | None) -> Suspect:
    return Suspect(
        start=segment.start,
        end=segment.end,
        text=segment.text.strip(),
        reason=doubt.reason,
        dropped=doubt.left is not segment,
        detail=doubt.detail,
        speaker=speaker,
    )


def _span(segment: RecognisedSegment) -> Span:
    return Span(segment.start, max(segment.start, segment.end))
