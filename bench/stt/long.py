"""c. The two-channel call, and four minutes."""

import time
from dataclasses import dataclass, field
from typing import Any

from bench.stt.audio import Clip, Library
from bench.stt.machine import processor_seconds
from bench.stt.run import Run, report
from bench.stt.score import Score, characters
from bench.stt.sides import Chammal, Side
from bench.stt.table import Bar, ratio, spread, table


@dataclass
class Work:
    """One side, one recording, all rounds."""

    processor: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


def measure(run: Run, library: Library) -> str:
    sides = run.sides("direct", "batched4", "batched8", "chammal", "fws", "cpp", "wyoming")
    parts = []
    for side in sides.values():
        side.transcribe(library.naver[0])
    for clip in (library.call,) if run.quick else (library.call, library.four_minutes):
        works: dict[str, Work] = {key: Work() for key in sides}
        for number in range(run.rounds):
            for key, side in list(sides.items()):
                try:
                    _add(works[key], side, clip)
                except Exception as error:  # noqa: BLE001 - a peer that fails takes no other down
                    run.drop(sides, key, error)
                    works.pop(key)
                    continue
                report(f"c {number + 1}/{run.rounds} {clip.name} {side.name}: {works[key].processor[-1]:.1f} s")
        parts += _section(run, clip, sides, works)
    chammal = sides.get("chammal")
    if isinstance(chammal, Chammal):
        parts.append(_split(run, library.call, chammal))
    return "\n\n".join(parts)


def _add(work: Work, side: Side, clip: Clip) -> None:
    before, begun = processor_seconds(side.pid), time.perf_counter()
    heard = side.transcribe(clip)
    work.wall.append(time.perf_counter() - begun)
    work.processor.append(processor_seconds(side.pid) - before)
    work.rates.append(characters(clip.reference, heard).rate)


def _section(run: Run, clip: Clip, sides: dict[str, Side], works: dict[str, Work]) -> list[str]:
    base = works["direct"]
    processor = {key: ratio(work.processor, base.processor) for key, work in works.items()}
    rows = [
        [
            sides[key].name,
            spread(work.processor, 1),
            f"{processor[key]:.2f}",
            spread(work.wall, 1),
            f"{ratio(work.wall, base.wall):.2f}",
            spread(work.rates, 3) if len(set(work.rates)) > 1 else f"{work.rates[0]:.3f}",
        ]
        for key, work in works.items()
    ]
    bars = []
    if "chammal" in works:
        points = 100 * (_middle(works["chammal"].rates) - _middle(base.rates))
        bars.append(Bar(f"{clip.name}: processor time ÷ faster-whisper", processor["chammal"], 0.75))
        bars.append(Bar(f"{clip.name}: CER − faster-whisper's, points", points, 1.0))
        bars += [
            Bar(f"{clip.name}: processor time ÷ {sides[key].name}", processor["chammal"] / processor[key], 1.0)
            for key in run.peers(works)
        ]
    said = (
        f"**{clip.name}**, {clip.seconds:.0f} s, channels mixed, {run.rounds} rounds, processor time of all processes."
    )
    heads = ["side", "processor, s", "ratio", "wall, s", "ratio", "CER"]
    return [said, table(heads, rows), "\n".join(bar.line() for bar in bars)]


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _split(run: Run, clip: Clip, side: Chammal) -> str:
    work, heard = Work(), {}
    for _ in range(run.rounds):
        before, begun = processor_seconds(side.pid), time.perf_counter()
        try:
            heard = side.split(clip)
        except Exception as error:  # noqa: BLE001 - said in the table
            return f"**{clip.name}, channels=split**: failed: {error!r}"
        work.wall.append(time.perf_counter() - begun)
        work.processor.append(processor_seconds(side.pid) - before)
    scores = by_channel(clip, heard)
    cells = [spread(work.processor, 1), spread(work.wall, 1), *(f"{score.rate:.3f}" for score in scores)]
    heads = ["side", "processor, s", "wall, s", "CER left (agent)", "CER right (customer)"]
    return f"**{clip.name}, channels=split**\n\n" + table(heads, [[side.name, *cells]])


def by_channel(clip: Clip, heard: dict[str, Any]) -> list[Score]:
    """Left and right; the left speaker is the one called agent, or first by name where none is."""
    segments = heard["segments"]
    names = sorted({str(segment.get("speaker")) for segment in segments})
    left = names[0] if names else ""
    texts = {
        True: " ".join(segment["text"] for segment in segments if str(segment.get("speaker")) == left),
        False: " ".join(segment["text"] for segment in segments if str(segment.get("speaker")) != left),
    }
    return [characters(clip.channel_references[0], texts[True]), characters(clip.channel_references[1], texts[False])]
