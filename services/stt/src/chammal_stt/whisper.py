"""faster-whisper. The only module that imports it; it runs in the recogniser process alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel  # type: ignore[import-untyped]
from faster_whisper.vad import VadOptions, get_speech_timestamps  # type: ignore[import-untyped]

from chammal_stt.messages import SAMPLE_RATE, RecognisedSegment, RecognisedWord, RecogniseJob, RecogniseReply
from chammal_stt.windows import Samples, windows

CUT_FROM_SECONDS = 15
"""Shorter recordings are decoded whole: cutting them costs more words than it saves phantoms."""
VAD = VadOptions(threshold=0.35, min_silence_duration_ms=5000, speech_pad_ms=600)
"""Only silences of 5 s part what is decoded together. Shorter pauses stay in: without them Whisper's time stamps jump
and whole sentences are lost (a call of 87 s came out at CER 0.41 with pauses of 2 s taken out, at 0.14 with them)."""
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class Abandoned(Exception):
    """Nobody waits for this transcript any more."""


class Whisper:
    def __init__(self, directory: Path, compute_type: str, threads: int) -> None:
        self._model = WhisperModel(
            str(directory), device="cpu", compute_type=compute_type, cpu_threads=threads, local_files_only=True
        )

    def try_one_second(self) -> None:
        """A real decode. Raises what the model raises."""
        hum = np.sin(np.arange(SAMPLE_RATE, dtype=np.float32) * (2 * np.pi * 220 / SAMPLE_RATE)) * np.float32(0.1)
        segments, _ = self._model.transcribe(hum, language="en", temperature=0.0, beam_size=1, max_new_tokens=8)
        for _ in segments:
            pass
        get_speech_timestamps(hum, VAD)

    def transcribe(self, samples: Samples, job: RecogniseJob, abandoned: Callable[[], bool]) -> RecogniseReply:
        """Raises Abandoned, soon after `abandoned` says so."""
        language, segments = job.language, []
        for start, window in windows(samples):
            if abandoned():
                raise Abandoned
            audio = window.astype(np.float32) / np.float32(32_768)
            for first, last in _stretches(audio):
                stretch = audio[first:last]
                found, language = self._transcribe_stretch(stretch, job, language, abandoned)
                segments += [_segment(segment, (start + first) / SAMPLE_RATE) for segment in found]
        return RecogniseReply(language, segments)

    def _transcribe_stretch(
        self,
        audio: npt.NDArray[np.float32],
        job: RecogniseJob,
        language: str | None,
        abandoned: Callable[[], bool],
    ) -> tuple[list[Any], str]:
        segments, info = self._model.transcribe(
            audio,
            language=language,
            beam_size=5,
            temperature=TEMPERATURES if not job.temperature else job.temperature,
            initial_prompt=job.prompt,
            word_timestamps=job.words,
        )
        found = []
        for segment in segments:
            if abandoned():
                raise Abandoned
            found.append(segment)
        return found, info.language


def _stretches(audio: npt.NDArray[np.float32]) -> list[tuple[int, int]]:
    """First and last sample of each stretch with speech in it; none in silence, however long."""
    speech = get_speech_timestamps(audio, VAD)
    if speech and len(audio) <= CUT_FROM_SECONDS * SAMPLE_RATE:
        return [(0, len(audio))]
    return [(part["start"], part["end"]) for part in speech]


def _segment(segment: Any, offset: float) -> RecognisedSegment:
    words = None
    if segment.words is not None:
        words = [
            RecognisedWord(word.word, round(word.start + offset, 3), round(word.end + offset, 3), word.probability)
            for word in segment.words
        ]
    return RecognisedSegment(
        start=round(segment.start + offset, 3),
        end=round(segment.end + offset, 3),
        text=segment.text,
        tokens=list(segment.tokens),
        temperature=segment.temperature,
        avg_logprob=segment.avg_logprob,
        compression_ratio=segment.compression_ratio,
        no_speech_prob=segment.no_speech_prob,
        words=words,
    )
