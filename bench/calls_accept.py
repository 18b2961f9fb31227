"""What accepting a recorded call costs the api: `python -m bench.calls_accept [--calls 200] [--out FILE]`.

An api process that accepts and does not analyse is sent uploads one after another. Processor time is that of the whole
process, all threads, from /proc. "Read" is the same upload to a process of the same server and the same layers that
reads the body to its end and drops it: `--reader`. What an accepted one costs more is parsing the form, hashing the
recording, keeping it on disk, the row in SQLite, and the workflow in the queue. Every upload is another recording,
since the same one would be kept once.
"""

import argparse
import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from bench.stt.machine import free_port, processor_seconds
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from chammal_api.access import ACCESS, make_door
from chammal_api.settings import ApiSettings
from chammal_kit.app import create_app
from chammal_kit.serve import serve

SIZES = (100_000, 1_000_000, 10_000_000)
LIMIT_MS = 20.0
ROUNDS = 5
READY_SECONDS = 60.0
FIELDS = {"product_type": "보장성", "agent_id": "a-1"}
API, READER = ("chammal_api",), ("bench.calls_accept", "--reader")
_numbers = itertools.count()


@dataclass(frozen=True)
class Row:
    """Milliseconds of processor time an upload, a round each; of the clock, an accepted upload each."""

    size: int
    calls: int
    read: list[float]
    accepted: list[float]
    waited: list[float]

    @property
    def more(self) -> list[float]:
        return [accepted - read for accepted, read in zip(self.accepted, self.read, strict=True)]

    def line(self) -> str:
        cells = [_spread(values) for values in (self.read, self.accepted, self.more)]
        slow = statistics.quantiles(self.waited, n=100)[98]
        clock = f"{statistics.median(self.waited):.0f} | {slow:.0f}"
        return f"| {self.size / 1e6:g} MB | {' | '.join(cells)} | {clock} | {LIMIT_MS:g} |"


def main() -> None:
    arguments = argparse.ArgumentParser(description="What accepting a recorded call costs the api.")
    arguments.add_argument("--calls", type=int, default=200, help="uploads of each size and kind, in all rounds")
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--reader", action="store_true", help="serve as what the api is compared with")
    told = arguments.parse_args()
    if told.reader:
        _serve_reader()
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        reader, api = (stack.enter_context(_serving(folder, program)) for program in (READER, API))
        rows = [_measure(reader, api, size, max(1, told.calls // ROUNDS)) for size in SIZES]
    text = _report(rows, told.calls)
    print(text)
    if told.out:
        told.out.write_text(text, encoding="utf-8")
    sys.exit(any(statistics.median(row.more) >= LIMIT_MS for row in rows))


def _serve_reader() -> None:
    router = APIRouter()

    @router.post("/v1/calls", status_code=202, response_class=Response)
    async def read(request: Request) -> Response:
        async for _ in request.stream():
            pass
        return Response(status_code=202)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        yield {}

    settings = ApiSettings()
    door = make_door(settings)
    serve(
        create_app(
            service="api",
            distribution="chammal-api",
            lifespan=lifespan,
            routers=[router],
            settings=settings,
            door=door,
            access=ACCESS,
        ),
        settings,
        websockets=True,
    )


@contextmanager
def _serving(folder: Path, program: tuple[str, ...]) -> Iterator[tuple[httpx2.Client, int]]:
    port, log = free_port(), folder / f"{program[-1]}.log"
    own = {name: value for name, value in os.environ.items() if not name.startswith("CHAMMAL_")}
    settings = {
        "CHAMMAL_API_PORT": str(port),
        "CHAMMAL_API_DATA_DIR": str(folder / "data"),
        "CHAMMAL_API_CALLS_AT_ONCE": "0",
        "CHAMMAL_API_MAX_QUEUED_CALLS": "1000000",
        "CHAMMAL_API_MIN_FREE_BYTES": "0",
    }
    with log.open("wb") as told:
        running = subprocess.Popen(
            [sys.executable, "-m", *program],
            env=own | settings,
            cwd=Path(__file__).parents[1],
            stdout=told,
            stderr=told,
        )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            _wait(client, log)
            yield client, running.pid
    finally:
        running.terminate()
        running.wait(30)


def _wait(client: httpx2.Client, log: Path) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up:
        try:
            client.get("/health")
        except httpx2.TransportError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(log.read_text()[-4000:])


def _measure(reader: tuple[httpx2.Client, int], api: tuple[httpx2.Client, int], size: int, calls: int) -> Row:
    row = Row(size, calls, [], [], [])
    for each in (reader, api):
        _spent(*each, size, calls // 4 + 1)
    for _ in range(ROUNDS):
        row.read.append(_spent(*reader, size, calls)[0])
        spent, waited = _spent(*api, size, calls)
        row.accepted.append(spent)
        row.waited.extend(waited)
    return row


def _spent(client: httpx2.Client, pid: int, size: int, calls: int) -> tuple[float, list[float]]:
    """Milliseconds of processor time a call, and of the clock for each."""
    before, waited = processor_seconds(pid), []
    for _ in range(calls):
        audio = next(_numbers).to_bytes(8, "big") * (size // 8)
        started = time.perf_counter()
        answer = client.post("/v1/calls", files={"file": ("call.wav", audio, "audio/wav")}, data=FIELDS)
        waited.append((time.perf_counter() - started) * 1000)
        if answer.status_code != 202:
            raise RuntimeError(answer.text)
    return (processor_seconds(pid) - before) * 1000 / calls, waited


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def _report(rows: list[Row], calls: int) -> str:
    machine = f"{os.cpu_count()} shared cores, Python {platform.python_version()}, {platform.system()}"
    return "\n".join(
        [
            "# What accepting a call costs the api",
            "",
            f"`python -m bench.calls_accept --calls {calls}` on {machine}. Milliseconds of processor time of the whole "
            f"process for one upload; medians of {ROUNDS} rounds (lowest–highest). *Read*: the same upload, read to "
            "its end and dropped by a process of the same server. *More*: what accepting adds to that (form, digest, "
            "file, row, workflow, each on disk). The clock is that of one client, one upload after another.",
            "",
            "| upload | read | accepted | more | clock ms p50 | p99 | limit of *more* |",
            "|---|---|---|---|---|---|---|",
            *(row.line() for row in rows),
            "",
        ]
    )


if __name__ == "__main__":
    main()
