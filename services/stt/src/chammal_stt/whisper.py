"""Whisper on CTranslate2, a batch at a time. Only this imports faster_whisper, in the recogniser process alone.

faster-whisper pads every window to 30 s, and twice the window costs its encoder more than twice as much. Here only as
many frames are encoded as the longest piece of the batch needs, and a margin: without some silence behind the speech
Whisper repeats itself. docs/decisions/short-windows.md has the figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel  # type: ignore[import-untyped]
from faster_whisper.tokenizer import Tokenizer  # type: ignore[import-untyped]
from faster_whisper.transcribe import (  # type: ignore[import-untyped]
    get_compression_ratio,
    get_ctranslate2_storage,
    get_suppressed_tokens,
)

from chammal_stt.messages import SAMPLE_RATE, Piece, RecognisedSegment, RecognisedWord, Recognition

Audio = npt.NDArray[np.float32]
"""One channel at 16 kHz, -1 to 1."""

FRAME_SAMPLES = 160
FULL_WINDOW = 3000
"""Frames, 30 s: the window that Whisper was trained on, and the longest."""
_WINDOW_STEP = 50
_TIME_STEP = 0.02
_PROMPT_TOKENS = 223
_CONTEXT_TOKENS = 448
MAX_COMPRESSION = 2.4
"""Text that gzip shrinks more than this repeats itself. OpenAI's value."""
TEMPERATURES = (0.0, 0.4, 0.8)
"""In the full window, for what repeated itself in a short one."""
_BEST_OF = 5
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"


@dataclass(frozen=True, slots=True)
class WhisperOptions:
    device: str = "cpu"
    compute_type: str = "int8"
    threads: int = 1
    beam_size: int = 5
    margin_seconds: float = 2.5
    """Silence encoded behind the speech."""
    shortest_seconds: float = 10.0
    """Of a window. Most short clips share it: what is written of one does not depend on what else is in its batch."""


@dataclass(frozen=True, slots=True)
class _Text:
    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float
    finished: bool
    """It ended by itself, not at the limit of tokens."""

    @property
    def is_loop(self) -> bool:
        return not self.finished or self.compression_ratio > MAX_COMPRESSION


class Whisper:
    def __init__(self, directory: Path, options: WhisperOptions) -> None:
        self._options = options
        self._model = WhisperModel(
            str(directory),
            device=options.device,
            compute_type=options.compute_type,
            cpu_threads=options.threads,
            local_files_only=True,
        )
        self._tokenizers: dict[str, Tokenizer] = {}

    def try_one_second(self) -> None:
        """A real decode. Raises what the model raises."""
        hum = np.sin(np.arange(SAMPLE_RATE, dtype=np.float32) * (2 * np.pi * 220 / SAMPLE_RATE)) * np.float32(0.1)
        self.recognise([hum], [Piece(0, SAMPLE_RATE, language="en", quick=True)])

    def recognise(self, audios: Sequence[Audio], pieces: Sequence[Piece]) -> list[Recognition]:
        """The pieces differ in place and language alone. None is longer than 30 s; `words` needs one language."""
        window = _window(max(len(audio) for audio in audios) / SAMPLE_RATE, self._options)
        encoded = self._encode(audios, window)
        languages = self._languages(encoded, pieces)
        tokenizers = [self._tokenizer(language) for language in languages]
        texts = self._write(encoded, audios, pieces, tokenizers)
        segments = [
            _split(text, tokenizer, len(audio) / SAMPLE_RATE)
            for text, tokenizer, audio in zip(texts, tokenizers, audios, strict=True)
        ]
        if pieces[0].words:
            self._align(segments, encoded, tokenizers[0], audios)
        return [
            Recognition(language, [_segment(segment, text, tokenizer) for segment in found])
            for language, found, text, tokenizer in zip(languages, segments, texts, tokenizers, strict=True)
        ]

    def _encode(self, audios: Sequence[Audio], window: int) -> Any:
        """Padded with zeros in the log-mel plane, as faster-whisper does: digital silence there costs letters."""
        features = np.zeros((len(audios), self._model.model.n_mels, window), np.float32)
        for row, audio in zip(features, audios, strict=True):
            heard = self._model.feature_extractor(audio[: window * FRAME_SAMPLES])[:, :window]
            row[:, : heard.shape[1]] = heard
        return self._model.model.encode(get_ctranslate2_storage(features))

    def _languages(self, encoded: Any, pieces: Sequence[Piece]) -> list[str]:
        if not self._model.model.is_multilingual:
            return ["en"] * len(pieces)
        if all(piece.language for piece in pieces):
            return [piece.language or "" for piece in pieces]
        heard = self._model.model.detect_language(encoded)
        return [piece.language or found[0][0][2:-2] for piece, found in zip(pieces, heard, strict=True)]

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self._tokenizers:
            multilingual = self._model.model.is_multilingual
            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer, multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]

    def _write(
        self, encoded: Any, audios: Sequence[Audio], pieces: Sequence[Piece], tokenizers: Sequence[Tokenizer]
    ) -> list[_Text]:
        options, piece = self._options, pieces[0]
        if piece.temperature:
            return self._generate(encoded, audios, pieces, tokenizers, temperature=piece.temperature)
        if piece.quick:
            return self._generate(encoded, audios, pieces, tokenizers, beam_size=1)
        texts = self._generate(encoded, audios, pieces, tokenizers, beam_size=options.beam_size)
        return [
            self._second_try(audios[i], pieces[i], tokenizers[i], text) if text.is_loop else text
            for i, text in enumerate(texts)
        ]

    def _second_try(self, audio: Audio, piece: Piece, tokenizer: Tokenizer, first: _Text) -> _Text:
        """In the full window, then ever more freely; the likeliest text that is no loop, else the likeliest."""
        encoded = self._encode([audio], FULL_WINDOW)
        tries = [first]
        for temperature in TEMPERATURES:
            tries += self._generate(
                encoded, [audio], [piece], [tokenizer], beam_size=self._options.beam_size, temperature=temperature
            )
            if not tries[-1].is_loop:
                return tries[-1]
        return max(tries, key=lambda text: text.avg_logprob)

    def _generate(
        self,
        encoded: Any,
        audios: Sequence[Audio],
        pieces: Sequence[Piece],
        tokenizers: Sequence[Tokenizer],
        *,
        beam_size: int = 1,
        temperature: float = 0.0,
    ) -> list[_Text]:
        prompts = [self._prompt(piece, tokenizer) for piece, tokenizer in zip(pieces, tokenizers, strict=True)]
        limit = _token_limit(max(len(audio) for audio in audios) / SAMPLE_RATE)
        search: dict[str, Any] = {"beam_size": beam_size}
        if temperature:
            search = {
                "beam_size": 1,
                "num_hypotheses": _BEST_OF,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
        results = self._model.model.generate(
            encoded,
            prompts,
            max_length=min(_CONTEXT_TOKENS, len(prompts[0]) + limit),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizers[0], [-1]),
            **search,
        )
        texts = []
        for result, tokenizer in zip(results, tokenizers, strict=True):
            tokens = result.sequences_ids[0]
            texts.append(
                _Text(
                    tokens=tokens,
                    avg_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
                    no_speech_prob=result.no_speech_prob,
                    compression_ratio=get_compression_ratio(tokenizer.decode(tokens).strip()),
                    temperature=temperature,
                    finished=len(tokens) < limit - 1,
                )
            )
        return texts

    def _prompt(self, piece: Piece, tokenizer: Tokenizer) -> list[int]:
        before: list[int] = []
        for text in (piece.hotwords, piece.prompt):
            before += tokenizer.encode(" " + text.strip()) if text else []
        context = [tokenizer.sot_prev, *before[-_PROMPT_TOKENS:]] if before else []
        return [*context, *tokenizer.sot_sequence]

    def _align(
        self, segments: Sequence[list[dict[str, Any]]], encoded: Any, tokenizer: Tokenizer, audios: Sequence[Audio]
    ) -> None:
        """Adds `words`, by the attention of the decoder. Pieces without text get none."""
        frames = [len(audio) // FRAME_SAMPLES for audio in audios]
        with_text = [found or [{"seek": 0, "start": 0.0, "end": 0.0, "tokens": []}] for found in segments]
        self._model.add_word_timestamps(with_text, tokenizer, encoded, frames, _PREPENDED, _APPENDED, 0.0)


def _window(seconds: float, options: WhisperOptions) -> int:
    frames = max(seconds + options.margin_seconds, options.shortest_seconds) * SAMPLE_RATE / FRAME_SAMPLES
    return min(FULL_WINDOW, -int(-frames // _WINDOW_STEP) * _WINDOW_STEP)


def _token_limit(seconds: float) -> int:
    """More than anyone says in that time, so that a loop ends early."""
    return min(_CONTEXT_TOKENS // 2, 24 + int(seconds * 16))


def _split(text: _Text, tokenizer: Tokenizer, seconds: float) -> list[dict[str, Any]]:
    """At Whisper's time stamps, `<|0.00|> text <|2.40|><|2.40|> text <|5.00|>`, as add_word_timestamps takes it."""
    first_stamp = tokenizer.timestamp_begin
    segments: list[dict[str, Any]] = []
    start, tokens = 0.0, list[int]()
    for token in text.tokens:
        if token < first_stamp:
            tokens.append(token)
            continue
        at = min(seconds, (token - first_stamp) * _TIME_STEP)
        if tokens:
            segments.append({"seek": 0, "start": start, "end": max(at, start), "tokens": tokens})
            tokens = []
        start = at
    if tokens:
        segments.append({"seek": 0, "start": start, "end": seconds, "tokens": tokens})
    return [segment for segment in segments if tokenizer.decode(segment["tokens"]).strip()]


def _segment(segment: dict[str, Any], text: _Text, tokenizer: Tokenizer) -> RecognisedSegment:
    words = None
    if "words" in segment:
        words = [
            RecognisedWord(word["word"], float(word["start"]), float(word["end"]), float(word["probability"]))
            for word in segment["words"]
        ]
    return RecognisedSegment(
        start=round(float(segment["start"]), 3),
        end=round(float(segment["end"]), 3),
        text=tokenizer.decode(segment["tokens"]),
        tokens=segment["tokens"],
        temperature=text.temperature,
        avg_logprob=text.avg_logprob,
        compression_ratio=text.compression_ratio,
        no_speech_prob=text.no_speech_prob,
        words=words,
    )
