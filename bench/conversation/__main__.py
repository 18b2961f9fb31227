"""`python -m bench.conversation`: writes bench/results/conversation.md.

The language model is a stand-in that writes at the pace of a real one, so that all sides get the same words at the same
pace; recognition and speech are real, and the same models on every side. `--quick` is a look at whether it works.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

from bench.conversation import barge_in, document, endings, idle, overhead
from bench.conversation.document import Figures
from bench.conversation.quiet import Quiet
from bench.conversation.said import Said, enquiries
from bench.conversation.services import StandInProcess, mesh, pipecat_bot, stand_ins
from bench.conversation.turns import Chammal, OneAfterAnother, Pipecat, Side, Turn
from bench.mesh import Mesh
from bench.options import add_audio, add_models
from bench.stt import machine
from bench.stt.audio import Library
from bench.stt.run import report
from bench.stt.sides import ROOT, SideMissing

RESULTS = ROOT / "bench" / "results" / "conversation.md"
IDLE_SECONDS = 20.0


def main() -> None:
    arguments = parse()
    cores = machine.use_cores(2)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        said = enquiries(Library(arguments.audio, folder), arguments.turns)
        stages = stack.enter_context(stand_ins(folder))
        figures = Figures(machine.description(len(cores)), [one.clip for one in said], endings=endings.measure())
        quiet = Quiet(arguments.tries, figures.others)
        out = Path(os.devnull) if arguments.quick else RESULTS
        with (
            mesh(folder / "real", stages, real_speech=True) as real,
            peers(arguments, folder, stages, real, figures) as others,
        ):
            figures.turns = compare(real, folder, said, others, arguments.rounds, quiet)
        out.write_text(document.write(figures), encoding="utf-8")
        with mesh(folder / "toned", stages, real_speech=False) as toned:
            orchestration(toned, stages, said, arguments, figures, quiet)
            out.write_text(document.write(figures), encoding="utf-8")
            seconds = 5.0 if arguments.quick else IDLE_SECONDS
            figures.idle = idle.measure(toned, seconds)
        text = document.write(figures)
        print(text)
        out.write_text(text, encoding="utf-8")


def orchestration(
    toned: Mesh,
    stages: StandInProcess,
    said: list[Said],
    arguments: argparse.Namespace,
    figures: Figures,
    quiet: Quiet,
) -> None:
    url = toned.url("api")
    Chammal(url).turn(said[0])
    for one in said:
        found = quiet.measure(one.name, partial(overhead.measure, url, stages, one))
        figures.overheads.append(found)
        report(f"{one.name}: overhead {found.added * 1000:.1f} ms")
    for first, second in pairwise(said[: arguments.barge_ins + 1]):
        interrupted = quiet.measure(second.name, partial(barge_in.measure, url, stages, first, second))
        figures.barge_ins.append(interrupted)
        report(f"{second.name}: {interrupted}")


@contextmanager
def peers(
    arguments: argparse.Namespace, folder: Path, stages: StandInProcess, real: Mesh, figures: Figures
) -> Iterator[list[Side]]:
    """Those that run here."""
    with ExitStack() as stack:
        found: list[Side] = []
        if not arguments.no_peer:
            model = arguments.models_dir / "whisper-base"
            try:
                ports = {
                    language: stack.enter_context(pipecat_bot(folder, model, language, stages.url, real.url("tts")))
                    for language in sorted({clip.language for clip in figures.clips})
                }
                found.append(Pipecat(ports))
            except (SideMissing, RuntimeError) as missing:
                figures.missing.append(str(missing))
                report(str(missing))
        yield found


def compare(
    real: Mesh, folder: Path, said: list[Said], others: list[Side], rounds: int, quiet: Quiet
) -> dict[str, list[Turn]]:
    """Side after side for each thing said, so that a slow minute meets all of them."""
    ours = Chammal(real.url("api"))
    warm = ours.turn(said[0])
    sides: list[Side] = [ours, OneAfterAnother(real, folder, warm.parts["silence"]), *others]
    for side in sides[1:]:
        side.turn(said[0])
    turns: dict[str, list[Turn]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for one in said:
            for side in sides:
                try:
                    turn = quiet.measure(f"{one.name}: {side.name}", partial(side.turn, one))
                except (RuntimeError, TimeoutError) as error:
                    turn = Turn(one.name, float("nan"))
                    report(f"{side.name}: {error}")
                turns[side.name].append(turn)
                report(f"{one.name}: {side.name}: {turn.first_audio:.2f} s {turn.parts} {turn.heard}")
    return turns


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.conversation", description=__doc__)
    add_audio(parser)
    add_models(parser)
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--barge-ins", type=int, default=6)
    parser.add_argument("--tries", type=int, default=3, help="for a figure, until nobody else needs the processor")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.turns, arguments.rounds, arguments.barge_ins = 2, 1, 1
        arguments.tries = 1
    return arguments


if __name__ == "__main__":
    main()
