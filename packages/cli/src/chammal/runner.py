"""Runs programs until told to stop: prefixes what they print, restarts one that dies, and leaves no process behind.

Each program gets a process group of its own. Ctrl-C therefore reaches only this process, and stopping a program stops
its children too.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import IO

STOP_SECONDS = 25.0
"""What a service gets to finish its requests before it is killed: longer than its own 20 s."""

LAST_WORDS_SECONDS = 1.0
"""How long output is read after the end of a program, in case a process that left its group still holds the pipe."""

LONGEST_LINE = 1 << 20

Say = Callable[[str, str], None]
"""Takes the name of a program, or "chammal", and one line."""


@dataclass(frozen=True)
class Program:
    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    """Set on top of this process's environment."""
    address: str | None = None
    ready_path: str = "/ready"
    stop_wave: int = 0
    """Lower ones have ended before the next are told to: whoever leans on others finishes while they are there."""


@dataclass(frozen=True)
class Restart:
    """Waits 1, 2, 4, … 30 seconds before a restart; a run of a minute clears the score."""

    first_seconds: float = 1.0
    longest_seconds: float = 30.0
    good_run_seconds: float = 60.0

    def delay(self, failures: int) -> float:
        return min(self.first_seconds * 2.0 ** (failures - 1), self.longest_seconds)


@asynccontextmanager
async def running(
    programs: Sequence[Program], say: Say, *, restart: Restart = Restart(), stop_seconds: float = STOP_SECONDS
) -> AsyncIterator[None]:
    """The programs run while this is open, and none of their processes is left when it closes."""
    tasks = [asyncio.create_task(_keep_running(program, say, restart, stop_seconds)) for program in programs]
    try:
        yield
    finally:
        for wave in sorted({program.stop_wave for program in programs}):
            ending = [task for program, task in zip(programs, tasks, strict=True) if program.stop_wave == wave]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)


async def _keep_running(program: Program, say: Say, restart: Restart, stop_seconds: float) -> None:
    failures = 0
    while True:
        started = time.monotonic()
        end = await _run_once(program, say, stop_seconds)
        failures = 1 if time.monotonic() - started >= restart.good_run_seconds else failures + 1
        delay = restart.delay(failures)
        say("chammal", f"{program.name} {end}; starting it again in {delay:.0f} s")
        await asyncio.sleep(delay)


async def _run_once(program: Program, say: Say, stop_seconds: float) -> str:
    """Runs the program to its end and says how it ended."""
    # A pipe of our own: asyncio's would keep process.wait() waiting for grandchildren that hold its other end.
    readable, writable = os.pipe()
    with os.fdopen(readable, "rb") as output, os.fdopen(writable, "wb") as given:
        try:
            process = await asyncio.create_subprocess_exec(
                *program.argv,
                env={**os.environ, **program.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=given,
                stderr=given,
                start_new_session=True,
            )
        except OSError as error:
            return f"could not be started ({error})"
        given.close()
        printing = asyncio.create_task(_print_lines(program.name, output, say))
        try:
            code = await process.wait()
        finally:
            await _stop_group(process, stop_seconds)
            await asyncio.wait([printing], timeout=LAST_WORDS_SECONDS)
            printing.cancel()
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"


async def _stop_group(process: asyncio.subprocess.Process, stop_seconds: float) -> None:
    """SIGTERM to the leader, which knows how to end its own children; then SIGKILL to whoever is left of its group."""
    if process.returncode is None:
        process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), stop_seconds)
    with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _print_lines(name: str, output: IO[bytes], say: Say) -> None:
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
    with closing(transport):
        while True:
            try:
                line = await reader.readline()
            except ValueError:  # a line beyond LONGEST_LINE; asyncio has dropped it
                continue
            if not line:
                return
            say(name, line.decode("utf-8", "replace").rstrip())
