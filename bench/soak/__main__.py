"""Soak: `python -m bench.soak --minutes 30 [--seed 1] [--models-dir …]`.

A real mesh under a light mixed load, with a fault between two services every half minute or so and a worker killed or
stopped every minute or two. In the first fifth of the time every service is killed and restarted; then they run on and
are measured; at the end every service is killed once more, and must come back. Prints a table for
bench/results/soak.md. Exits with 1 when something grows, hangs, answers 500 or does not come back.
"""

import argparse
import asyncio
import datetime as dt
import io
import os
import platform
import signal
import sys
import time
import wave
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
from bench.options import add_models
from bench.soak.load import Load, Outcomes
from bench.soak.mesh import SERVICES, Mesh, mesh
from bench.soak.samples import Measure, Sample, Samples
from bench.soak.trend import floor, trend
from bench.soak.trouble import Trouble

ROOT = Path(__file__).resolve().parents[2]
SAID = "Ask not what your country can do for you."
_RATE = 24_000
WARM_SHARE = 0.2
RECOVERY_SECONDS = 120.0
TOLERATED = {Measure.MEMORY: 4.0, Measure.DESCRIPTORS: 2.0, Measure.THREADS: 1.0, Measure.TASKS: 2.0}
"""Growth an hour that would not be told from chance within the time."""


async def soak(minutes: float, seed: int, models_dir: Path, log: Path) -> int:
    async with mesh(models_dir, ROOT / "models" / "manifest.toml", log) as running:
        clip = await _spoken(running.api)
        load, trouble, samples = Load(running.api, clip, seed), Trouble(running, seed), Samples(running)
        async with AsyncExitStack() as stack:
            for work in (load.run(), trouble.break_the_network(), trouble.kill_workers(), samples.run()):
                stack.push_async_callback(_end, asyncio.create_task(work))
            warm = minutes * 60 * WARM_SHARE
            await asyncio.sleep(warm / 3)
            await trouble.kill_every_service(signal.SIGKILL)
            await asyncio.sleep(warm / 3)
            await trouble.kill_every_service(signal.SIGTERM)
            await asyncio.sleep(max(0.0, samples.started + warm - time.monotonic()))
            measured = time.monotonic() - samples.started
            await asyncio.sleep(max(0.0, samples.started + minutes * 60 - time.monotonic()))
            end = time.monotonic() - samples.started
            await trouble.kill_every_service(signal.SIGKILL)
        trouble.heal()
        recovered = await _recovery(running)
        samples.save(log.with_suffix(".csv"))
        return _report(minutes, seed, samples, (measured, end), load.outcomes, trouble, recovered)


async def _end(task: "asyncio.Task[None]") -> None:
    """A part that failed by itself fails the soak."""
    if task.done():
        task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _recovery(running: Mesh) -> float | None:
    """Seconds until every service is ready again and a call is answered whole."""
    started = time.monotonic()
    async with httpx2.AsyncClient(base_url=running.api, timeout=30, trust_env=False) as client:
        while time.monotonic() - started < RECOVERY_SECONDS:
            try:
                ready = (await client.get("/ready")).json()
                chat = await client.post(
                    "/v1/chat/completions", json={"model": "default", "messages": [{"role": "user", "content": "?"}]}
                )
                if ready["ready"] and not ready["degraded"] and chat.status_code == 200:
                    return time.monotonic() - started
            except (httpx2.HTTPError, ValueError, KeyError):
                pass
            await asyncio.sleep(0.5)
    return None


def _report(
    minutes: float, seed: int, samples: Samples, window: tuple[float, float], outcomes: Outcomes, trouble: Trouble,
    recovered: float | None,
) -> int:  # fmt: skip
    print(f"# Soak of {minutes:g} minutes, seed {seed}\n")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{dt.datetime.now(dt.UTC):%d %B %Y}, {machine}.")
    print(f"Measured from minute {window[0] / 60:.1f} to {window[1] / 60:.1f}, the lowest of every 30 s.\n")
    print("| service | what | median | slope an hour | 95 % | tolerated | verdict |\n|---|---|---|---|---|---|---|")
    grown = [verdict for service in SERVICES for verdict in _rows(service, samples.taken.get(service, []), window)]
    print(
        f"\nProcessor: {_share(samples, window):.0%} of a core in the services and the workers that they waited for.\n"
    )
    print("| job | outcomes |\n|---|---|")
    for job, counts in sorted(outcomes.by_job.items()):
        print(f"| {job} | {', '.join(f'{name}: {count}' for name, count in counts.most_common())} |")
    print(f"\nTrouble: {', '.join(f'{name}: {count}' for name, count in sorted(trouble.counts.items()))}.")
    print(f"\nHung: {outcomes.hung}. Answers with 500: {samples.failures}. ", end="")
    print(f"All back {recovered:.0f} s after the last kill." if recovered is not None else "NOT ALL CAME BACK.")
    failed = any(grown) or outcomes.hung or samples.failures or recovered is None
    print(f"\nVerdict: {'FAILED' if failed else 'flat'}")
    return 1 if failed else 0


def _rows(service: str, samples: list[Sample], window: tuple[float, float]) -> list[bool]:
    """Prints a row for each measure; True for what grows. Only the process that was there at the end is looked at."""
    within = [sample for sample in samples if window[0] <= sample.seconds <= window[1]]
    within = [sample for sample in within if sample.pid == within[-1].pid]
    grown = []
    for measure in Measure:
        found = trend(*floor([(one.seconds, one.values[measure]) for one in within if measure in one.values]))
        if found is None:
            print(f"| {service} | {measure} | – | too few samples | | | NOT MEASURED |")
            grown.append(True)
            continue
        tolerated = TOLERATED[measure]
        verdict = "GROWS" if found.grows(tolerated) else "flat" if found.tells(tolerated) else "UNSURE"
        slope = f"{found.per_hour:+.2f} | {found.low:+.2f} to {found.high:+.2f}"
        print(f"| {service} | {measure} | {found.middle:.1f} | {slope} | {tolerated:g} | {verdict} |")
        grown.append(verdict != "flat")
    return grown


def _share(samples: Samples, window: tuple[float, float]) -> float:
    used = 0.0
    for taken in samples.taken.values():
        within = [sample for sample in taken if window[0] <= sample.seconds <= window[1]]
        used += within[-1].processor - within[0].processor if within else 0.0
    return used / max(1.0, window[1] - window[0])


async def _spoken(api: str) -> bytes:
    """A recording that the mesh makes for itself."""
    async with httpx2.AsyncClient(base_url=api, timeout=60, trust_env=False) as client:
        spoken = await client.post("/v1/audio/speech", json={"input": SAID, "response_format": "pcm"})
    spoken.raise_for_status()
    out = io.BytesIO()
    with wave.open(out, "wb") as clip:
        clip.setparams((1, 2, _RATE, 0, "NONE", ""))
        clip.writeframes(spoken.content)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    add_models(parser)
    parser.add_argument(
        "--log", type=Path, default=Path("soak.log"), help="what the services print; the samples go beside it, as .csv"
    )
    arguments = parser.parse_args()
    sys.exit(asyncio.run(soak(arguments.minutes, arguments.seed, arguments.models_dir, arguments.log)))


if __name__ == "__main__":
    main()
