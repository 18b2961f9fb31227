"""What a short window costs and loses: `python -m bench.stt.windows [--rounds 3]`.

The service's own recogniser code, on one thread, hears the restaurant enquiries and the turns of the call with windows,
beams and batches of several sizes, and narrations and the whole call cut into pieces of several lengths. Writes the
tables into docs/decisions/short-windows.md, between its two marks.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench.options import add_audio, add_models
from bench.stt import machine
from bench.stt.audio import Clip, Library
from bench.stt.run import report
from bench.stt.score import Score, characters, total
from bench.stt.sides import ROOT
from bench.stt.table import spread, table
from faster_whisper import WhisperModel

from chammal_stt.activity import ActivityMeter
from chammal_stt.messages import Piece
from chammal_stt.pieces import Cut, Probabilities, cut, probabilities
from chammal_stt.whisper import Whisper, WhisperOptions

PAGE = ROOT / "docs" / "decisions" / "short-windows.md"
BEGIN, END = "<!-- tables: python -m bench.stt.windows -->", "<!-- end of tables -->"
FULL_SECONDS = 30.0
MARGINS = (1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
LEAST = (8.0, 10.0, 15.0)
BEAMS = (1, 3, 5)
BATCHES = (1, 2, 4, 8)
PIECES = (8.0, 12.0, 16.0, 18.0, 20.0, 27.0)
PAUSES = (1.0, 2.0)

Audio = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """A clip in memory."""

    clip: Clip
    audio: Audio
    speech: Probabilities

    @classmethod
    def of(cls, clip: Clip) -> "Sound":
        samples = clip.samples()
        meter = ActivityMeter()
        meter.feed(samples)
        return cls(clip, samples.astype(np.float32) / np.float32(32768), probabilities(meter.activity()))


Sets = dict[str, list[Sound]]


@dataclass
class Variant:
    """One way to decode."""

    options: WhisperOptions
    batch: int = 1
    pieces: Cut | None = None
    """How to cut each clip; None decodes it whole."""
    seconds: list[float] = field(default_factory=list)
    scores: dict[str, Score] = field(default_factory=dict)

    def hear(self, whisper: Whisper, sounds: Sequence[Sound]) -> list[str]:
        if self.pieces is not None:
            return ["".join(self._recognise(whisper, self._cut(sound), sound.clip.language)) for sound in sounds]
        return self._recognise(whisper, [sound.audio for sound in sounds], sounds[0].clip.language)

    def _cut(self, sound: Sound) -> list[Audio]:
        assert self.pieces is not None
        stretches = cut(sound.speech, len(sound.audio), self.pieces)
        return [sound.audio[stretch.first : stretch.last] for stretch in stretches]

    def _recognise(self, whisper: Whisper, audios: Sequence[Audio], language: str) -> list[str]:
        texts = []
        for first in range(0, len(audios), self.batch):
            batch = audios[first : first + self.batch]
            found = whisper.recognise(batch, [Piece(0, len(audio), language=language) for audio in batch])
            texts += ["".join(part.text for part in one.segments) for one in found]
        return texts


class Plain:
    """faster-whisper's own transcribe, which all are compared with."""

    def __init__(self, model: Path) -> None:
        self._model = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)

    def hear(self, sounds: Sequence[Sound]) -> list[str]:
        return [self._text(sound) for sound in sounds]

    def _text(self, sound: Sound) -> str:
        segments, _ = self._model.transcribe(sound.audio, language=sound.clip.language)
        return "".join(segment.text for segment in segments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_audio(parser)
    add_models(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="print the tables, and leave the page as it is")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as workshop:
        library = Library(arguments.audio, Path(workshop))
        turns = [clip for clip in library.turns if clip.seconds < FULL_SECONDS]
        short = {"enquiries": library.naver, "call turns 8 kHz": turns}
        long = {"narration": library.azure, "call": [library.call]}
        model = arguments.models_dir / "whisper-base"
        text = measure(model, _sounds(short), _sounds(long), arguments.rounds)
    print(text)
    if not arguments.dry:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _sounds(sets: dict[str, list[Clip]]) -> Sets:
    return {name: [Sound.of(clip) for clip in clips] for name, clips in sets.items()}


def measure(model: Path, short: Sets, long: Sets, rounds: int) -> str:
    chosen = WhisperOptions()
    windows = {"30 s": Variant(WhisperOptions(margin_seconds=FULL_SECONDS))}
    for margin in MARGINS:
        windows[f"clip + {margin:g} s"] = Variant(WhisperOptions(margin_seconds=margin, shortest_seconds=0))
    for least in LEAST:
        windows[f"clip + 2.5 s, at least {least:g} s"] = Variant(WhisperOptions(shortest_seconds=least))
    beams = {str(beam): Variant(WhisperOptions(beam_size=beam)) for beam in BEAMS}
    batches = {str(batch): Variant(chosen, batch) for batch in BATCHES}
    pieces = {f"{seconds:g} s": Variant(chosen, 4, pieces=Cut(piece_seconds=seconds)) for seconds in PIECES}
    pieces |= {f"18 s, pauses to {pause:g} s": Variant(chosen, 4, pieces=Cut(18, pause)) for pause in PAUSES}
    plain = {"faster-whisper": Variant(chosen)}, {"faster-whisper": Variant(chosen)}
    groups = [(short, [*windows.values(), *beams.values(), *batches.values()]), (long, [*pieces.values()])]
    loaded = {variant.options: Whisper(model, variant.options) for _, variants in groups for variant in variants}
    reference = Plain(model)
    for number in range(rounds):
        for (sets, variants), base in zip(groups, plain, strict=True):
            _take(base["faster-whisper"], sets, reference.hear)
            for variant in variants:
                _take(variant, sets, partial(variant.hear, loaded[variant.options]))
        report(f"round {number + 1} of {rounds}")
    around = f"clip + {chosen.margin_seconds:g} s, at least {chosen.shortest_seconds:g} s"
    parts = [
        f"{machine.description(1)} One thread, {rounds} rounds; processor seconds for all clips, ratios to "
        "faster-whisper's own `transcribe`. A point of CER is "
        f"{_letters(short) / 100:.1f} letters of the short clips, {_letters(long) / 100:.1f} of the long ones.",
        f"Window (beam {chosen.beam_size}, one clip at a time):",
        _table("window", plain[0] | windows, plain[0], short),
        f"Beam ({around}, one clip at a time):",
        _table("beam", beams, plain[0], short),
        f"Clips in a batch ({around}, beam {chosen.beam_size}; the window is that of the longest):",
        _table("batch", batches, plain[0], short),
        f"Longest piece of a long recording ({around}, beam {chosen.beam_size}, batches of 4, pauses to 5 s kept):",
        _table("piece", plain[1] | pieces, plain[1], long),
    ]
    return "\n\n".join(parts)


def _letters(sets: Sets) -> int:
    return total(characters(sound.clip.reference, "") for sounds in sets.values() for sound in sounds).length


def _take(variant: Variant, sets: Sets, hear: Callable[[Sequence[Sound]], list[str]]) -> None:
    spent = 0.0
    for name, sounds in sets.items():
        begun = time.process_time()
        texts = hear(sounds)
        spent += time.process_time() - begun
        pairs = zip(sounds, texts, strict=True)
        variant.scores[name] = total(characters(sound.clip.reference, text) for sound, text in pairs)
    variant.seconds.append(spent)


def _table(head: str, variants: dict[str, Variant], base: dict[str, Variant], sets: Sets) -> str:
    middle = statistics.median(base["faster-whisper"].seconds)
    rows = [
        [
            name,
            spread(variant.seconds),
            f"{statistics.median(variant.seconds) / middle:.2f}",
            *(f"{variant.scores[of].rate:.3f}" for of in sets),
            f"{total(variant.scores.values()).rate:.3f}",
        ]
        for name, variant in variants.items()
    ]
    return table([head, "processor, s", "ratio", *(f"CER {name}" for name in sets), "CER of all"], rows)


if __name__ == "__main__":
    main()
