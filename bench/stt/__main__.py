"""Speech-to-text side by side, on the same two cores: `python -m bench.stt [--only a,b,c,d,e] [--quick]`.

Prints markdown, and writes it to bench/results/speech.md unless it is a quick run. With --only, the other sections of
that file stay as an earlier run left them; each says when it was measured.
"""

import argparse
import datetime as dt
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.options import add_audio, add_models
from bench.stt import accuracy, latency, live, long, machine, throughput
from bench.stt.audio import Library
from bench.stt.peers import FasterWhisperServer, WhisperCpp, WyomingFasterWhisper
from bench.stt.run import Run, report
from bench.stt.sides import ROOT, Chammal, FasterWhisper

SECTIONS: dict[str, tuple[str, Callable[[Run, Library], str]]] = {
    "a": ("Sixteen clients with short clips", throughput.measure),
    "b": ("One short clip, idle service", latency.measure),
    "c": ("A call and a long recording", long.measure),
    "d": ("Errors", accuracy.measure),
    "e": ("Live sessions", live.measure),
}
SIDES = ("direct", "batched4", "batched8", "chammal", "fws", "cpp", "wyoming")
RESULTS = ROOT / "bench" / "results" / "speech.md"
SAVED = ROOT / ".bench" / "speech"


def main() -> None:
    arguments = parse()
    cores = machine.use_cores(arguments.cores)
    model = arguments.models_dir / "whisper-base"
    threads = len(cores)
    makers = {
        "direct": lambda: FasterWhisper(model, threads),
        "batched4": lambda: FasterWhisper(model, threads, batch=4),
        "batched8": lambda: FasterWhisper(model, threads, batch=8),
        "chammal": lambda: Chammal(model, threads),
        "fws": lambda: FasterWhisperServer(model, threads),
        "cpp": lambda: WhisperCpp(model, threads),
        "wyoming": lambda: WyomingFasterWhisper(model, threads),
    }
    chosen = {key: make for key, make in makers.items() if key in arguments.sides or key == "direct"}
    run = Run(chosen, 1 if arguments.quick else arguments.rounds, arguments.quick, model, threads)
    saved = SAVED.with_name("quick") if arguments.quick else SAVED
    if arguments.quick:
        shutil.rmtree(saved, ignore_errors=True)
    saved.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as workshop:
            library = Library(arguments.audio, Path(workshop))
            for key in arguments.only:
                (saved / f"{key}.md").write_text(section(key, run, library), encoding="utf-8")
                text = document(machine.description(len(cores)), saved)
                if not arguments.quick:
                    RESULTS.write_text(text, encoding="utf-8")
    finally:
        run.stop()
    print(text)


def section(key: str, run: Run, library: Library) -> str:
    title, measure = SECTIONS[key]
    begun = time.monotonic()
    try:
        body = measure(run, library)
    except Exception as error:  # noqa: BLE001 - one measure that fails takes no other down
        traceback.print_exc()
        body = f"Failed: {error!r}"
    missing = [f"- {name} is missing: {why}" for name, why in run.missing.items()]
    measured = f"Measured {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC in {time.monotonic() - begun:.0f} s."
    report(f"{key}: {measured}")
    return "\n\n".join([f"## {key}. {title}", body, *(["\n".join(missing)] if missing else []), measured]) + "\n"


def document(machine_and_versions: str, saved: Path) -> str:
    head = f"""# Speech-to-text, side by side

`make bench-stt`. {machine_and_versions}

Every side has the same Whisper base weights in int8, the same recordings, the language given, and the same cores.
faster-whisper, its BatchedInferencePipeline and the peers run with their default arguments (beam 5) on as many threads
as there are cores; Chammal runs with its default settings. Sides take turns within a round, so that a slow minute of
the machine hits all of them; figures are medians (lowest–highest), ratios are to faster-whisper in the same round.
Punctuation, spaces and case do not count as errors.
"""
    sides = (FasterWhisper, Chammal, FasterWhisperServer, WhisperCpp, WyomingFasterWhisper)
    notes = "\n".join(f"- {side.name}: {side.note}." for side in sides) + "\n"
    return "\n".join([head, notes, *(path.read_text(encoding="utf-8") for path in sorted(saved.glob("?.md")))])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_audio(parser)
    add_models(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--only", type=_list(SECTIONS), default=list(SECTIONS), help=f"of {','.join(SECTIONS)}")
    parser.add_argument("--sides", type=_list(SIDES), default=list(SIDES), help=f"of {','.join(SIDES)}")
    parser.add_argument("--quick", action="store_true", help="one round of little, into .bench/quick: to try it out")
    return parser.parse_args()


def _list(accepted: Iterable[str]) -> Callable[[str], list[str]]:
    known = list(accepted)

    def split(text: str) -> list[str]:
        values = text.split(",")
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return values

    return split


if __name__ == "__main__":
    main()
