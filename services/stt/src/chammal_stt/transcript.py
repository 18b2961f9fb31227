"""What the model wrote, to what is answered: doubted, ordered by time, with its speakers."""

from chammal_contracts.asr import (
    ChannelLayout,
    Include,
    Segment,
    Suspect,
    SuspectReason,
    TimestampGranularity,
    Transcription,
    Word,
)
from chammal_contracts.voice import Voice
from chammal_stt.dialogue import Turn, interleave, plain_text
from chammal_stt.form import TranscriptionForm
from chammal_stt.honesty import confidence, examine
from chammal_stt.messages import SAMPLE_RATE, SPEECH_FRAME, RecognisedSegment
from chammal_stt.metrics import SUSPECTS
from chammal_stt.numerals import normalise
from chammal_stt.pieces import FRAMES_A_SECOND
from chammal_stt.reading import Reading, shifted
from chammal_stt.voice.moods import Said, moods
from chammal_stt.voice.rules import VoiceRules

_UNTOLD = "und"
"""ISO 639 for a language that cannot be told: nothing was said."""


def transcription(
    reading: Reading, form: TranscriptionForm, model: str, speakers: tuple[str, str], rules: VoiceRules
) -> Transcription:
    turns, suspect = _examined(reading, speakers)
    for doubt in suspect:
        SUSPECTS.labels(doubt.reason).inc()
    language = reading.language or _UNTOLD
    segments = [_segment(number, turn) for number, turn in enumerate(turns)]
    if Include.VOICE in form.include:
        segments = _with_moods(segments, turns, language, rules)
    text = plain_text(turns)
    if form.normalise:
        segments = [segment.model_copy(update={"text": normalise(segment.text, language)}) for segment in segments]
        text = "\n".join(normalise(line, language) for line in text.split("\n"))
    return Transcription(
        language=language,
        duration=reading.duration,
        text=text,
        segments=segments,
        words=_words(turns) if TimestampGranularity.WORD in form.timestamp_granularities else None,
        model=model,
        channels=reading.layout,
        suspect=suspect,
    )


def text_between(reading: Reading, start: float, end: float, speakers: tuple[str, str]) -> str:
    """Of what begins in these seconds. Doubts that the rest raises may still change it."""
    first = int(start * FRAMES_A_SECOND)
    told = {}
    for track, name in zip(reading.tracks, speakers, strict=False):
        speech = track.speech[first : int(end * FRAMES_A_SECOND) + 1]
        segments = [
            shifted(segment, -first / FRAMES_A_SECOND) for segment in track.segments if start <= segment.start < end
        ]
        told[name] = examine(segments, speech, reading.language).kept
    return plain_text(_turns(reading, told))


def _examined(reading: Reading, speakers: tuple[str, str]) -> tuple[list[Turn], list[Suspect]]:
    split = reading.layout is ChannelLayout.SPLIT
    suspect = [_bleed(bleed.first, bleed.last, speakers[bleed.channel]) for bleed in reading.bleed]
    channels = {}
    for track, name in zip(reading.tracks, speakers, strict=False):
        examined = examine(track.segments, track.speech, reading.language, speaker=name if split else None)
        channels[name] = examined.kept
        suspect += examined.suspect
    return _turns(reading, channels), sorted(suspect, key=lambda doubt: doubt.start)


def _turns(reading: Reading, kept: dict[str, list[RecognisedSegment]]) -> list[Turn]:
    if reading.layout is ChannelLayout.SPLIT:
        return interleave(kept)
    return [Turn(segment) for segments in kept.values() for segment in segments]


def _bleed(first: int, last: int, speaker: str) -> Suspect:
    return Suspect(
        start=round(first * SPEECH_FRAME / SAMPLE_RATE, 3),
        end=round((last + 1) * SPEECH_FRAME / SAMPLE_RATE, 3),
        text="",
        reason=SuspectReason.BLEED_THROUGH,
        dropped=True,
        detail="The other channel's speaker is heard faintly here; it was not transcribed twice.",
        speaker=speaker,
    )


def _segment(number: int, turn: Turn) -> Segment:
    segment = turn.segment
    return Segment(
        id=number,
        start=segment.start,
        end=segment.end,
        text=segment.text,
        tokens=segment.tokens,
        temperature=segment.temperature,
        avg_logprob=segment.avg_logprob,
        compression_ratio=segment.compression_ratio,
        no_speech_prob=segment.no_speech_prob,
        confidence=confidence(segment),
        speaker=turn.speaker,
    )


def _with_moods(segments: list[Segment], turns: list[Turn], language: str, rules: VoiceRules) -> list[Segment]:
    said = [Said(turn.speaker, turn.segment, turn.segment.text.strip()) for turn in turns]
    return [
        segment.model_copy(update={"voice" if isinstance(voice, Voice) else "voice_missing": voice})
        for segment, voice in zip(segments, moods(said, language, rules), strict=True)
    ]


def _words(turns: list[Turn]) -> list[Word]:
    return [
        Word(word=word.word.strip(), start=word.start, end=word.end, probability=word.probability, speaker=turn.speaker)
        for turn in turns
        for word in turn.segment.words or ()
    ]
