"""a. Sixteen clients with short clips."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from bench.stt.audio import Clip, Library
from bench.stt.run import Run, report
from bench.stt.score import Score, characters, total
from bench.stt.sides import Side
from bench.stt.table import Bar, ratio, spread, table

CLIENTS = 16
REQUESTS_A_CLIENT = 4


@dataclass
class Load:
    """What one side did in one round."""

    audio: float = 0.0
    wall: float = 0.0
    scores: list[Score] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def throughput(self) -> float:
        return self.audio / self.wall


def measure(run: Run, library: Library) -> str:
    sides = run.sides("direct", "batched8", "chammal", "fws", "cpp", "wyoming")
    clips = library.short
    queue = [
        clips[(client + request * CLIENTS) % len(clips)]
        for request in range(1 if run.quick else REQUESTS_A_CLIENT)
        for client in range(CLIENTS)
    ]
    for key, side in list(sides.items()):
        try:
            side.transcribe(clips[0])
        except Exception as error:  # noqa: BLE001 - a peer that fails takes no other down
            run.drop(sides, key, error)
    loads: dict[str, list[Load]] = {key: [] for key in sides}
    for number in range(run.rounds):
        for key, side in sides.items():
            loads[key].append(load := _load(side, queue))
            report(f"a {number + 1}/{run.rounds} {side.name}: {load.throughput:.1f} s/s")
    base = [load.throughput for load in loads["direct"]]
    rates = {key: total(score for load in of for score in load.scores).rate for key, of in loads.items()}
    ratios = {key: ratio([load.throughput for load in of], base) for key, of in loads.items()}
    rows = [
        [
            sides[key].name,
            spread([load.throughput for load in of], 1),
            f"{ratios[key]:.2f}",
            f"{rates[key]:.3f}" if ratios[key] else "–",
            str(sum(len(load.failures) for load in of)),
        ]
        for key, of in loads.items()
    ]
    heads = ["side", "seconds of audio a second", "ratio", "CER", "failed requests"]
    bars = []
    if "chammal" in loads:
        bars.append(Bar("throughput ÷ faster-whisper", ratios["chammal"], 2.0, at_least=True))
        bars.append(Bar("CER − faster-whisper's, points", 100 * (rates["chammal"] - rates["direct"]), 0.5))
        bars += [
            Bar(f"throughput ÷ {sides[key].name}", ratios["chammal"] / ratios[key], 1.0, at_least=True)
            for key in run.peers(loads)
            if ratios[key]
        ]
    said = f"{len(queue)} requests a round by {CLIENTS} clients, {len(clips)} clips of 3–6 s, {run.rounds} rounds."
    return "\n\n".join([said, table(heads, rows), "\n".join(bar.line() for bar in bars)])


def _load(side: Side, clips: list[Clip]) -> Load:
    load, waiting, lock = Load(), deque(clips), threading.Lock()

    def client() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                clip = waiting.popleft()
            try:
                heard = side.transcribe(clip)
            except Exception as error:  # noqa: BLE001 - a failed request is a figure of the table
                with lock:
                    load.failures.append(repr(error))
                continue
            with lock:
                load.audio += clip.seconds
                load.scores.append(characters(clip.reference, heard))

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    begun = time.perf_counter()
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    load.wall = time.perf_counter() - begun
    return load
