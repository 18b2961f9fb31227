"""What a short window costs and loses: `python -m bench.stt.windows [--rounds 3]`.

The service's own recogniser code, on one thread, hears the restaurant enquiries and the turns of the call with windows,
beams and batches of several sizes. Writes the tables into docs/decisions/short-windows.md, between its two marks.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from bench.stt import machine
from bench.stt.audio import RATE, Clip, Library
from bench.stt.run import report
from bench.stt.score import Score, characters, total
from bench.stt.sides import ROOT
from bench.stt.table import spread, table
from faster_whisper import WhisperModel

from chammal_stt.messages import Piece
from chammal_stt.whisper import Whisper, WhisperOptions

PAGE = ROOT / "docs" / "decisions" / "short-windows.md"
BEGIN, END = "<!-- tables: python -m bench.stt.windows -->", "<!-- end of tables -->"
FULL_SECONDS = 30.0
MARGINS = (1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
FIXED = (15.0, 10.0)
BEAMS = (1, 3, 5)
BATCHES = (1, 2, 4, 8)

Audio = npt.NDArray[np.float32]


@dataclass
class Variant:
    """One way to decode the clips. `fixed` is the whole window in seconds; else it is the clip and the margin."""

    options: WhisperOptions
    batch: int = 1
    fixed: float | None = None
    seconds: list[float] = field(default_factory=list)
    scores: dict[str, Score] = field(default_factory=dict)

    def hear(self, whisper: Whisper, audios: Sequence[Audio], languages: Sequence[str]) -> list[str]:
        texts = []
        for first in range(0, len(audios), self.batch):
            batch = [self._padded(audio) for audio in audios[first : first + self.batch]]
            of = languages[first : first + self.batch]
            pieces = [Piece(0, len(audio), language=one) for audio, one in zip(batch, of, strict=True)]
            texts += ["".join(part.text for part in found.segments) for found in whisper.recognise(batch, pieces)]
        return texts

    def _padded(self, audio: Audio) -> Audio:
        if self.fixed is None:
            return audio
        return np.pad(audio, (0, max(0, round(self.fixed * RATE) - len(audio))))


class Plain:
    """faster-whisper's own transcribe, which all are compared with."""

    def __init__(self, model: Path) -> None:
        self._model = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)

    def hear(self, audios: Sequence[Audio], languages: Sequence[str]) -> list[str]:
        return [self._text(audio, language) for audio, language in zip(audios, languages, strict=True)]

    def _text(self, audio: Audio, language: str) -> str:
        segments, _ = self._model.transcribe(audio, language=language)
        return "".join(segment.text for segment in segments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--audio", type=Path, default=os.environ.get("CHAMMAL_TEST_AUDIO", ROOT.parent / "shared/audio")
    )
    parser.add_argument("--models-dir", type=Path, default=os.environ.get("CHAMMAL_MODELS_DIR", ROOT / "models"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="print the tables, and leave the page as it is")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as workshop:
        library = Library(arguments.audio, Path(workshop))
        sets = {"enquiries": library.naver, "call turns 8 kHz": [c for c in library.turns if c.seconds < FULL_SECONDS]}
        text = measure(arguments.models_dir.resolve() / "whisper-base", sets, arguments.rounds)
    print(text)
    if not arguments.dry:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def measure(model: Path, sets: dict[str, list[Clip]], rounds: int) -> str:
    options = {margin: WhisperOptions(margin_seconds=margin) for margin in (0.0, *MARGINS, FULL_SECONDS)}
    chosen = WhisperOptions()
    windows = {"30 s": Variant(options[FULL_SECONDS])}
    windows |= {f"clip + {margin:g} s": Variant(options[margin]) for margin in MARGINS}
    windows |= {f"fixed {seconds:g} s": Variant(options[0.0], fixed=seconds) for seconds in FIXED}
    beams = {str(beam): Variant(WhisperOptions(beam_size=beam)) for beam in BEAMS}
    batches = {str(batch): Variant(chosen, batch) for batch in BATCHES}
    plain, plain_side = Variant(chosen), Plain(model)
    variants = [*windows.values(), *beams.values(), *batches.values()]
    loaded = {variant.options: Whisper(model, variant.options) for variant in variants}
    heard = {name: [clip.samples().astype(np.float32) / np.float32(32768) for clip in of] for name, of in sets.items()}
    for number in range(rounds):
        _take(plain, sets, heard, lambda audios, languages: plain_side.hear(audios, languages))
        for variant in variants:
            whisper = loaded[variant.options]
            _take(variant, sets, heard, lambda audios, languages, v=variant, w=whisper: v.hear(w, audios, languages))
        report(f"round {number + 1} of {rounds}")
    clips = [clip for of in sets.values() for clip in of]
    seconds = sum(clip.seconds for clip in clips)
    said = (
        f"{machine.description(1)} {len(clips)} clips, {seconds:.0f} s of speech, one thread, {rounds} rounds; "
        "processor seconds for all clips, ratios to faster-whisper's own `transcribe`."
    )
    base = {"faster-whisper": plain}
    around = f"margin {chosen.margin_seconds:g} s"
    return "\n\n".join(
        [
            said,
            f"Window (beam {chosen.beam_size}, one clip at a time):",
            _table("window", base | windows, plain, sets),
            f"Beam ({around}, one clip at a time):",
            _table("beam", beams, plain, sets),
            f"Clips in a batch ({around}, beam {chosen.beam_size}; the window is that of the longest):",
            _table("batch", batches, plain, sets),
        ]
    )


def _take(variant: Variant, sets: dict[str, list[Clip]], heard: dict[str, list[Audio]], hear: Any) -> None:
    spent = 0.0
    for name, clips in sets.items():
        begun = time.process_time()
        texts = hear(heard[name], [clip.language for clip in clips])
        spent += time.process_time() - begun
        pairs = zip(clips, texts, strict=True)
        variant.scores[name] = total(characters(clip.reference, text) for clip, text in pairs)
    variant.seconds.append(spent)


def _table(head: str, variants: dict[str, Variant], base: Variant, sets: dict[str, list[Clip]]) -> str:
    middle = statistics.median(base.seconds)
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
