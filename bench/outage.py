"""What the rest of the mesh is worth while one service is down and its breaker is open.

    python -m bench.outage [--rounds 3] [--out bench/results/outage.md]

All kinds of requests come open, at about half of what two cores can do. Each round measures the mesh healthy and then
with each service killed in turn. How long an answer takes without a stage is told by the answers themselves: a call's
report has the seconds of each stage, and what is left is what the mesh adds.
"""

import argparse
import datetime as dt
import os
import platform
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import PATIENCE, Answer, Kind, Plan, Report, run
from bench.mesh import ANSWER_SECONDS, SLOTS, Mesh, running
from bench.overload import note, percentile, spread

RATES = {Kind.TRANSCRIPTION: 0.2, Kind.SPEECH: 0.3, Kind.CHAT: 6.0, Kind.CALL: 0.6}
SECONDS, TRIP_SECONDS, CLOSE_SECONDS = 35.0, 3.0, 6.0
DOWN = {"llm-gateway": Kind.CHAT, "tts": Kind.SPEECH, "stt": Kind.TRANSCRIPTION}
NEEDS = {
    Kind.TRANSCRIPTION: {"stt"},
    Kind.SPEECH: {"tts"},
    Kind.CHAT: {"llm-gateway"},
    Kind.CALL: {"stt", "llm-gateway"},
}
WORST_MS, KEPT = 10.0, 0.95


@dataclass
class Side:
    """The mesh in one state, over all rounds."""

    down: str | None
    reports: list[Report] = field(default_factory=list)

    def answers(self, kind: Kind) -> list[Answer]:
        return [answer for report in self.reports for answer in report.of(kind)]

    def shares(self, kind: Kind, healthy: "Side") -> list[float]:
        """Good answers, of those that the healthy mesh gave to the same requests."""
        pairs = zip(self.reports, healthy.reports, strict=True)
        return [len(ours.of(kind, good=True)) / max(1, len(theirs.of(kind, good=True))) for ours, theirs in pairs]


def measure(mesh: Mesh, clip: Path, number: int) -> Report:
    return run(Plan(mesh.url("api"), str(clip), SECONDS, rates=RATES, seed=number))


def outage(mesh: Mesh, clip: Path, down: str, number: int) -> Report:
    mesh.kill(down)
    kinds = {kind: 4.0 for kind, needs in NEEDS.items() if down in needs}
    run(Plan(mesh.url("api"), str(clip), TRIP_SECONDS, rates=kinds))  # opens the breaker
    report = measure(mesh, clip, number)
    mesh.start(down)
    mesh.wait("api", f'"name":"{down}","ready":true')  # whoever asks the api's /ready shortens an open breaker's wait
    run(Plan(mesh.url("api"), str(clip), CLOSE_SECONDS, clients=dict.fromkeys(kinds, 1)))  # closes it
    return report


def beyond_stages(answers: Sequence[Answer], *, without: str | None = None) -> list[float]:
    """Milliseconds of each call that are in no stage's report, or in that of the stage that is down."""
    return [
        1e3 * (a.seconds - sum(taken for stage, (_, taken) in a.stages.items() if stage != without))
        for a in answers
        if a.stages
    ]


def direct(sides: dict[str | None, Side]) -> list[str]:
    """Of requests to the service that is down: an answer is due as soon as the breaker has been asked."""
    rows = ["| down | asked for | answers | p50 ms | p99 ms | highest | 503 |", "|---|---|---|---|---|---|---|"]
    for down, kind in DOWN.items():
        answers = sides[down].answers(kind)
        taken = [answer.seconds * 1e3 for answer in answers]
        refused = sum(answer.status == 503 for answer in answers) / max(1, len(answers))
        rows.append(
            f"| {down} | {kind} | {len(answers)} | {percentile(taken, 0.5):.1f} | {percentile(taken, 0.99):.1f} "
            f"| {max(taken, default=0):.1f} | {refused:.0%} |"
        )
    return rows


def calls(sides: dict[str | None, Side]) -> tuple[list[str], dict[str, float]]:
    """And for each service, what its outage adds at p99."""
    rows = ["| down | calls | beyond the stages that worked: p50 ms | p99 ms | p99 beside healthy, ms |"]
    rows.append("|---|---|---|---|---|")
    healthy = beyond_stages(sides[None].answers(Kind.CALL))
    rows.append(f"| nothing | {len(healthy)} | {percentile(healthy, 0.5):.1f} | {percentile(healthy, 0.99):.1f} | |")
    added = {}
    for down, stage in (("llm-gateway", "analysis"), ("stt", "stt"), ("tts", None)):
        taken = beyond_stages(sides[down].answers(Kind.CALL), without=stage)
        added[down] = percentile(taken, 0.99) - percentile(healthy, 0.99)
        rows.append(
            f"| {down} | {len(taken)} | {percentile(taken, 0.5):.1f} | {percentile(taken, 0.99):.1f} "
            f"| {added[down]:+.1f} |"
        )
    return rows, added


def others(sides: dict[str | None, Side]) -> tuple[list[str], list[tuple[str, Kind, float]]]:
    rows = ["| down | " + " | ".join(Kind) + " |", "|---|" + "---|" * len(Kind)]
    medians = []
    for down in DOWN:
        cells = []
        for kind in Kind:
            if down in NEEDS[kind]:
                cells.append("down")
                continue
            shares = sides[down].shares(kind, sides[None])
            medians.append((down, kind, statistics.median(shares)))
            cells.append(spread(shares))
        rows.append(f"| {down} | " + " | ".join(cells) + " |")
    return rows, medians


def table(sides: dict[str | None, Side]) -> str:
    rounds = len(sides[None].reports)
    rates = ", ".join(f"{kind} {rate:g}/s" for kind, rate in RATES.items())
    patience = ", ".join(f"{kind} {PATIENCE[kind]:.0f} s" for kind in Kind)
    call_rows, added = calls(sides)
    other_rows, kept = others(sides)
    lags = [lag * 1e3 for side in sides.values() for report in side.reports for lag in report.lags]
    worst = max(added.values())
    down, kind, least = min(kept, key=lambda entry: entry[2])
    rows = [
        "# The mesh while one of its services is down",
        "",
        f"`python -m bench.outage --rounds {rounds}` on {os.cpu_count()} shared cores, Python "
        f"{platform.python_version()}, {platform.system()}, {dt.datetime.now(dt.UTC):%d %B %Y}. api, stt "
        "(whisper-base), tts (kokoro) and llm-gateway as they come; the language model is a stub with "
        f"{SLOTS} slots of {ANSWER_SECONDS} s. Open (Poisson), {SECONDS:.0f} s a state: {rates}. A service is down by "
        f"SIGKILL, and its breaker open. Good is complete, status 200 and within its caller's patience: {patience}.",
        "",
        "Requests for what is down:",
        "",
        *direct(sides),
        "",
        "`POST /transcribe` with an analysis: the milliseconds of a call beyond the seconds that its report gives to "
        "the stages that worked. Healthy that is the path without its stages; in an outage the dead stage is in it.",
        "",
        *call_rows,
        "",
        "Good answers of the others, as a share of those of the healthy mesh to the same requests, medians of the "
        "rounds (lowest–highest):",
        "",
        *other_rows,
        "",
        f"The generator's event loop was {percentile(lags, 0.5):.2f} ms late at p50 and {percentile(lags, 0.99):.1f} "
        "ms at p99; that is in all times above.",
        "",
        "| bar | measured | |",
        "|---|---|---|",
        f"| answers at p99 within {WORST_MS:.0f} ms of the healthy path minus the stage | {worst:+.1f} ms "
        f"| {'met' if worst <= WORST_MS else '**missed**'} |",
        f"| goodput of the others at least {KEPT:.0%} of healthy | {least:.0%} ({kind}, {down} down) "
        f"| {'met' if least >= KEPT else '**missed**'} |",
    ]
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="of 4 minutes each")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--logs", type=Path, help="folder that keeps the logs of the services")
    told = parser.parse_args()
    sides: dict[str | None, Side] = {down: Side(down) for down in (None, *DOWN)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = told.logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with running(folder) as mesh:
            clip = mesh.clip()
            for number in range(told.rounds):
                sides[None].reports.append(measure(mesh, clip, number))
                for down in DOWN:
                    sides[down].reports.append(outage(mesh, clip, down, number))
                    note(f"round {number + 1} of {told.rounds}: {down} down")
    written = table(sides)
    print(written)
    if told.out:
        told.out.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
