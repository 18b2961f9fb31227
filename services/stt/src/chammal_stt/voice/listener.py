"""Voices of a batch, measured on a thread of their own while the model reads the same audio."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from chammal_stt.messages import SAMPLE_RATE, Piece, Recognition
from chammal_stt.voice.measure import Audio, Measured

if TYPE_CHECKING:
    from chammal_stt.voice.pitch import PitchDetector


class VoiceListener:
    """The model of pitch is loaded at the first piece whose voice is asked for: without it there still is text."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "voice")
        self._detector: PitchDetector | None = None

    def begin(self, audios: Sequence[Audio], pieces: Sequence[Piece]) -> list[Future[Measured] | None]:
        return [
            self._thread.submit(self._measure, audio) if piece.voice else None
            for audio, piece in zip(audios, pieces, strict=True)
        ]

    def _measure(self, audio: Audio) -> Measured:
        if self._detector is None:
            from chammal_stt.voice.pitch import PitchDetector

            self._detector = PitchDetector()
        return Measured(audio, self._detector.contour(audio))


def with_voice(recognition: Recognition, piece: Piece, measuring: Future[Measured] | None) -> Recognition:
    """Waits for the measurement. Its failure is told and leaves the text as it is."""
    if measuring is None:
        return recognition
    try:
        measured = measuring.result()
        segments = [
            replace(segment, voice=measured.stretch(segment.start, segment.end)) for segment in recognition.segments
        ]
        whole = measured.stretch(piece.voice_from / SAMPLE_RATE, piece.samples / SAMPLE_RATE)
    except Exception as error:  # noqa: BLE001  the boundary of the measurement: the text goes out without it
        reason = f"{type(error).__name__}: {error}"
        segments = [replace(segment, voice_error=reason) for segment in recognition.segments]
        return replace(recognition, segments=segments, voice_error=reason)
    return replace(recognition, segments=segments, voice=whole)
