"""What it costs to say how something was said: `python -m bench.stt.voice [--seconds 60]`.

The measurement by itself, on the clips of the tests; and the same live session in turn without and with `voice`, by
when finals come, what a decode takes, and what the service uses of processor and memory. Writes bench/results/voice.md
unless the sessions were shorter than a minute.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.options import add_audio, add_models
from bench.stt import live, machine
from bench.stt.audio import RATE, Clip, Library, Samples
from bench.stt.sides import ROOT, Chammal
from bench.stt.table import Bar, spread, table

from chammal_stt.voice.measure import Audio, Measured
from chammal_stt.voice.pitch import PitchDetector

WHOLE_SECONDS = 60
ORDER = (False, True, True, False)
"""Whether the voice is asked for, session by session: a slow minute hits both."""
LATER_SECONDS = 0.05
RESULTS = ROOT / "bench" / "results" / "voice.md"


@dataclass(frozen=True)
class Spent:
    session: live.Session
    processor: float
    """Seconds, of all processes of the service."""
    megabytes: float


def main() -> None:
    arguments = parse()
    cores = machine.use_cores(2)
    with tempfile.TemporaryDirectory() as workshop:
        library = Library(arguments.audio, Path(workshop))
        alone = by_itself([clip.samples() for clip in library.live])
        clips = live.said(library.live, arguments.seconds)
        stream = library.joined("live", clips, arguments.seconds)
        service = Chammal(arguments.models_dir / "whisper-base", threads=len(cores))
        service.start()
        try:
            live.speak(service.port, stream, stream.samples()[: 15 * RATE], voice=True)
            sessions = [(voice, spend(service, stream, voice=voice)) for voice in ORDER]
        finally:
            service.stop()
    text = document(machine.description(len(cores), ("swift-f0", "onnxruntime")), arguments.seconds, alone, sessions)
    print(text)
    if arguments.seconds >= WHOLE_SECONDS:
        RESULTS.write_text(text, encoding="utf-8")


def by_itself(clips: Iterable[Samples]) -> list[float]:
    """Processor milliseconds for each second of each clip."""
    detector = PitchDetector()
    costs = []
    for samples in clips:
        audio: Audio = samples.astype(np.float32) / np.float32(32_768)
        began = time.process_time()
        Measured(audio, detector.contour(audio)).stretch(0.0, len(audio) / RATE)
        costs.append((time.process_time() - began) * 1000 / (len(audio) / RATE))
    return costs


def spend(service: Chammal, stream: Clip, *, voice: bool) -> Spent:
    before = machine.processor_seconds(service.pid)
    session = live.speak(service.port, stream, stream.samples(), voice=voice)
    return Spent(session, machine.processor_seconds(service.pid) - before, machine.megabytes(service.pid))


def document(where: str, seconds: float, alone: list[float], sessions: list[tuple[bool, Spent]]) -> str:
    heads = ["voice", "finals", "final after endpoint, s", "decode, s", "processor, s", "memory, MB", "errors"]
    delays, decodes = (
        {voice: [one for is_on, spent in sessions if is_on is voice for one in of(spent)] for voice in (False, True)}
        for of in (delays_of, decodes_of)
    )
    bars = [
        Bar("measurement alone, ms of processor a second of audio, median", statistics.median(alone), 20.0),
        Bar("final after endpoint, with − without, median, s", difference(delays), LATER_SECONDS),
        Bar("decode, with − without, median, s", difference(decodes), LATER_SECONDS),
    ]
    promises = "\n".join(bar.line() for bar in bars)
    return f"""# The cost of the voice

`python -m bench.stt.voice`. {where}

The measurement by itself takes {spread(alone, 1)} ms of processor for each second of audio. The same {seconds:.0f} s of
enquiries were then spoken in real time over `WS /v1/stream`, in turn without and with `voice`:

{table(heads, [row(voice, spent) for voice, spent in sessions])}

{promises}
"""


def row(voice: bool, spent: Spent) -> list[str]:
    return [
        "yes" if voice else "no",
        str(len(spent.session.finals)),
        spread(delays_of(spent)),
        spread(decodes_of(spent)),
        f"{spent.processor:.1f}",
        f"{spent.megabytes:.0f}",
        str(len(spent.session.errors)),
    ]


def delays_of(spent: Spent) -> list[float]:
    return spent.session.delays()


def decodes_of(spent: Spent) -> list[float]:
    return [final["seconds"]["recognise"] for _, final in spent.session.finals]


def difference(values: dict[bool, list[float]]) -> float:
    return statistics.median(values[True]) - statistics.median(values[False])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=WHOLE_SECONDS)
    add_audio(parser)
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
