"""What becomes of the mesh at five times its capacity.

    python -m bench.overload [--rounds 3] [--out bench/results/overload.md]

Capacity is found by a ramp of closed clients, the same number of each kind of request at each step; each kind keeps
the number that brought the most good answers. Each round then measures the peak again, with these clients together, and
straight after it the mesh while five times that comes, open. Kept is the one by the other, so both have met the same
machine.
"""

import argparse
import datetime as dt
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import PATIENCE, Answer, Kind, Plan, Report, run
from bench.mesh import ANSWER_SECONDS, SLOTS, Mesh, running

KINDS = (Kind.TRANSCRIPTION, Kind.SPEECH, Kind.CHAT)
STEPS = (1, 2, 4, 8)
TIMES = 5
RAMP_SECONDS, PEAK_SECONDS, OVERLOAD_SECONDS = 15.0, 25.0, 45.0
WARM_SECONDS = 5.0
SETTLE_SECONDS = 15.0
"""Of overload, before anything is counted: the limits find their places."""
KEPT, SHED_MS = 0.9, 50.0
SERVICES = {Kind.TRANSCRIPTION: "stt", Kind.SPEECH: "tts", Kind.CHAT: "llm-gateway"}

Goodput = dict[Kind, float]


@dataclass
class Round:
    peak: Goodput
    kept: Goodput
    """Good answers a second under overload."""
    overload: Report
    limits: dict[Kind, float]

    def share(self, kind: Kind) -> float:
        return self.kept[kind] / self.peak[kind]

    @property
    def whole(self) -> float:
        """Of the mesh: each kind counts the same."""
        return statistics.mean(self.share(kind) for kind in KINDS)


def closed(mesh: Mesh, clip: Path, clients: dict[Kind, int], seconds: float) -> Goodput:
    report = run(Plan(mesh.url("api"), str(clip), seconds, clients=clients))
    return {kind: report.goodput(kind, WARM_SECONDS) for kind in KINDS}


def ramp(mesh: Mesh, clip: Path) -> dict[int, Goodput]:
    """What each step brought."""
    return {clients: closed(mesh, clip, dict.fromkeys(KINDS, clients), RAMP_SECONDS) for clients in STEPS}


def best(steps: dict[int, Goodput]) -> dict[Kind, int]:
    """The clients of each kind that brought most; of equal ones the fewest."""
    return {kind: max(steps, key=lambda clients: (steps[clients][kind], -clients)) for kind in KINDS}


def measure(mesh: Mesh, clip: Path, clients: dict[Kind, int], number: int) -> Round:
    peak = closed(mesh, clip, clients, PEAK_SECONDS)
    rates = {kind: TIMES * goodput for kind, goodput in peak.items()}
    overload = run(Plan(mesh.url("api"), str(clip), OVERLOAD_SECONDS, rates=rates, seed=number))
    kept = {kind: overload.goodput(kind, SETTLE_SECONDS) for kind in KINDS}
    limits = {kind: mesh.metric(name, f'chammal_limit{{limit="{name}"}}') for kind, name in SERVICES.items()}
    done = Round(peak, kept, overload, limits)
    note(f"round {number}: " + ", ".join(f"{kind} {peak[kind]:.2f}/s → {kept[kind]:.2f}/s" for kind in KINDS))
    return done


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def milliseconds(answers: Sequence[Answer]) -> list[float]:
    return [answer.seconds * 1e3 for answer in answers]


def spread(values: Sequence[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def table(steps: dict[int, Goodput], rounds: list[Round]) -> str:
    rows = [
        "# The mesh at five times its capacity",
        "",
        f"`python -m bench.overload --rounds {len(rounds)}` on {os.cpu_count()} shared cores, Python "
        f"{platform.python_version()}, {platform.system()}, {dt.datetime.now(dt.UTC):%d %B %Y}. api, stt "
        "(whisper-base), tts (kokoro) and llm-gateway as they come; the language model is a stub with "
        f"{SLOTS} slots of {ANSWER_SECONDS} s. The load comes from a process of its own on the same cores, through the "
        "api. A good answer is complete, status 200, and within its caller's patience: "
        + ", ".join(f"{kind} {PATIENCE[kind]:.0f} s" for kind in KINDS)
        + ". Medians of the rounds (lowest–highest).",
        "",
        "Capacity, by closed clients of each kind; good answers a second:",
        "",
        "| clients of each kind | " + " | ".join(KINDS) + " |",
        "|---|" + "---|" * len(KINDS),
    ]
    peak = best(steps)
    for count, goodput in steps.items():
        cells = [f"{goodput[kind]:.2f}{' (peak)' if peak[kind] == count else ''}" for kind in KINDS]
        rows.append(f"| {count} | " + " | ".join(cells) + " |")
    rows += ["", f"{TIMES} times the peak, open (Poisson), {OVERLOAD_SECONDS:.0f} s, the first {SETTLE_SECONDS:.0f} s "]
    rows[-1] += "not counted:"
    rows += [
        "",
        "| | peak/s | good/s under overload | kept | answers too late or broken | shed | shed ms p50 | p99 | highest "
        "| limit at the end |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows += [row(kind, rounds) for kind in KINDS]
    shed = [time for each in rounds for time in milliseconds(each.overload.shed)]
    lags = [lag * 1e3 for each in rounds for lag in each.overload.lags]
    late = [1e3 * (answer.sent - answer.due) for each in rounds for answer in each.overload.answers]
    within = sum(time < SHED_MS for time in shed) / max(1, len(shed))
    own = [
        1e3 * (answer.seconds - each.overload.stood_still(answer)) for each in rounds for answer in each.overload.shed
    ]
    stalls = [1e3 * (end - begin) for each in rounds for begin, end in each.overload.stalls or ()]
    watched = all(each.overload.stalls is not None for each in rounds)
    rows += [
        "",
        f"The generator itself: sent {percentile(late, 0.99):.1f} ms after they were due at p99, which is not in the "
        f"times above; its event loop {percentile(lags, 0.5):.2f} ms late at p50 and {percentile(lags, 0.99):.1f} ms "
        "at p99, which is.",
        "",
        f"The machine itself stood still {len(stalls)} times for more than 5 ms, {max(stalls, default=0):.0f} ms at "
        "most: its host had given a core to somebody else, as a watcher of real-time priority on each core saw."
        if watched
        else "Nobody could watch whether the machine itself stood still: that needs real-time priority.",
        "",
        "| bar | measured | |",
        "|---|---|---|",
        bar(f"keeps at least {KEPT:.0%} of its peak goodput", [each.whole for each in rounds], KEPT),
        f"| sheds the rest in under {SHED_MS:.0f} ms each | {within:.2%} of {len(shed):,}, p99 "
        f"{percentile(shed, 0.99):.1f} ms, highest {max(shed, default=0):.1f} ms "
        f"| {'met' if shed and max(shed) < SHED_MS else '**missed**'} |",
        "| the same, less what the machine stood still "
        f"| {sum(time < SHED_MS for time in own) / max(1, len(own)):.2%}, highest {max(own, default=0):.1f} ms "
        f"| {'met' if own and max(own) < SHED_MS else '**missed**'} |",
    ]
    return "\n".join(rows) + "\n"


def row(kind: Kind, rounds: list[Round]) -> str:
    counted = [[a for a in each.overload.of(kind) if a.due >= SETTLE_SECONDS] for each in rounds]
    shed = [time for answers in counted for time in milliseconds([a for a in answers if a.status == 503])]
    lost = [sum(not a.good and a.status != 503 for a in answers) / max(1, len(answers)) for answers in counted]
    refused = [sum(a.status == 503 for a in answers) / max(1, len(answers)) for answers in counted]
    return (
        f"| {kind} | {spread([each.peak[kind] for each in rounds])} | {spread([each.kept[kind] for each in rounds])} "
        f"| {spread([each.share(kind) for each in rounds])} | {statistics.median(lost):.1%} "
        f"| {statistics.median(refused):.1%} | {percentile(shed, 0.5):.1f} | {percentile(shed, 0.99):.1f} "
        f"| {max(shed, default=float('nan')):.1f} | {', '.join(f'{each.limits[kind]:.0f}' for each in rounds)} |"
    )


def bar(name: str, shares: Sequence[float], limit: float) -> str:
    met = statistics.median(shares) >= limit
    return f"| {name} | {spread(shares)} | {'met' if met else '**missed**'} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--logs", type=Path, help="folder that keeps the logs of the services")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = told.logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with running(folder) as mesh:
            clip = mesh.clip()
            closed(mesh, clip, dict.fromkeys(KINDS, 2), WARM_SECONDS + 1)
            steps = ramp(mesh, clip)
            clients = best(steps)
            note(f"most good answers with {clients}")
            rounds = [measure(mesh, clip, clients, number + 1) for number in range(told.rounds)]
    written = table(steps, rounds)
    print(written)
    if told.out:
        told.out.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
