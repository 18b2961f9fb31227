"""What was heard, as turns of speakers with ids that evidence can name."""

from collections.abc import Iterator

from chammal_api.check.evidence import sentences
from chammal_contracts.asr import Segment, Transcription
from chammal_contracts.calls import CallTranscript
from chammal_contracts.checks import MAX_UTTERANCE_CHARACTERS, MAX_UTTERANCES, Speaker, Utterance


def to_transcript(heard: Transcription) -> CallTranscript:
    """One utterance a segment, `u1` first. Who speaks is known only where the channels were split.

    Of a recogniser that tells no segments: one a sentence, without times.
    """
    said = [segment for segment in heard.segments if segment.text.strip()]
    numbered = enumerate(said[:MAX_UTTERANCES], 1)
    utterances = [_utterance(number, segment) for number, segment in numbered] or list(_sentences(heard.text))
    return CallTranscript(
        language=heard.language,
        duration=heard.duration,
        model=heard.model,
        channels=heard.channels,
        utterances=utterances,
        words=heard.words,
        suspect=heard.suspect,
    )


def _utterance(number: int, segment: Segment) -> Utterance:
    return Utterance(
        id=f"u{number}",
        speaker=_speaker(segment.speaker),
        start=max(0.0, segment.start),
        end=max(0.0, segment.start, segment.end),
        text=segment.text.strip()[:MAX_UTTERANCE_CHARACTERS],
        confidence=segment.confidence,
    )


def _sentences(text: str) -> Iterator[Utterance]:
    for number, sentence in enumerate(sentences(text)[:MAX_UTTERANCES], 1):
        yield Utterance(id=f"u{number}", text=sentence.text[:MAX_UTTERANCE_CHARACTERS])


def _speaker(name: str | None) -> Speaker:
    """stt can be told other names for its channels; of those it is not known whose they are."""
    return Speaker(name) if name in (Speaker.AGENT, Speaker.CUSTOMER) else Speaker.UNKNOWN
