"""b. One short clip, nobody else there."""

import time

from bench.stt.audio import Library
from bench.stt.run import Run, report
from bench.stt.table import Bar, ratio, spread, table

CLIP = "ko_naver_005"
TIMES_A_ROUND = 3


def measure(run: Run, library: Library) -> str:
    sides = run.sides("direct", "batched8", "chammal", "fws", "cpp", "wyoming")
    clip = next(clip for clip in library.naver if clip.name == CLIP)
    times = 3 if run.quick else max(9, run.rounds * TIMES_A_ROUND)
    took: dict[str, list[float]] = {key: [] for key in sides}
    heard = {}
    for number in range(times + 1):
        for key, side in list(sides.items()):
            time.sleep(0.1)
            begun = time.perf_counter()
            try:
                heard[key] = side.transcribe(clip)
            except Exception as error:  # noqa: BLE001 - a peer that fails takes no other down
                run.drop(sides, key, error)
                continue
            if number:  # the first warms caches
                took[key].append(time.perf_counter() - begun)
    ratios = {key: ratio(took[key], took["direct"]) for key in sides}
    report("b " + ", ".join(f"{sides[key].name} {ratios[key]:.2f}" for key in sides))
    rows = [[sides[key].name, spread(took[key]), f"{ratios[key]:.2f}", heard[key].strip()] for key in sides]
    bars = []
    if "chammal" in sides:
        bars.append(Bar("latency ÷ faster-whisper", ratios["chammal"], 0.6))
        bars += [Bar(f"latency ÷ {sides[key].name}", ratios["chammal"] / ratios[key], 1.0) for key in run.peers(sides)]
    said = f"{CLIP}, {clip.seconds} s, {times} times, sides in turn."
    parts = [said, table(["side", "latency, s", "ratio", "heard"], rows), "\n".join(bar.line() for bar in bars)]
    return "\n\n".join(parts)
