import asyncio
import fcntl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chammal.runner import Program, Restart, running

pytestmark = pytest.mark.anyio

AT_ONCE = Restart(first_seconds=0, longest_seconds=0)
GUARD_SECONDS = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Console:
    """What programs print, with a way to wait for a line."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        task = asyncio.create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(self, found: Callable[[list[tuple[str, str]]], bool]) -> None:
        async with asyncio.timeout(GUARD_SECONDS), self._changed:
            await self._changed.wait_for(lambda: found(self.lines))


def program(source: str, name: str = "fake") -> Program:
    return Program(name, (sys.executable, "-u", "-c", source))


@asynccontextmanager
async def started(*programs: Program, stop_seconds: float = 20.0) -> AsyncIterator[Console]:
    console = Console()
    async with running(programs, console.say, restart=AT_ONCE, stop_seconds=stop_seconds):
        yield console


async def freed(lock: Path) -> None:
    """Waits until nobody holds the lock: the kernel frees it when its holder is gone."""
    with lock.open() as stream:
        async with asyncio.timeout(GUARD_SECONDS):
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    await asyncio.sleep(0)
                else:
                    return


async def test_what_a_program_prints_carries_its_name() -> None:
    async with started(program("print('hello'); import signal; signal.pause()")) as console:
        await console.wait_for(lambda lines: ("fake", "hello") in lines)


async def test_errors_that_a_program_prints_are_shown_too() -> None:
    async with started(program("import sys, signal; print('oh no', file=sys.stderr); signal.pause()")) as console:
        await console.wait_for(lambda lines: ("fake", "oh no") in lines)


async def test_a_program_that_dies_is_named_with_its_status_and_started_again() -> None:
    async with started(program("print('up'); raise SystemExit(3)")) as console:
        await console.wait_for(lambda lines: lines.count(("fake", "up")) >= 2)
    assert ("chammal", "fake exited with status 3; starting it again in 0 s") in console.lines


async def test_a_program_that_is_killed_is_named_with_the_signal() -> None:
    async with started(program("import os; os.kill(os.getpid(), 9)")) as console:
        await console.wait_for(lambda lines: any("fake was killed by SIGKILL" in line for _, line in lines))


async def test_a_program_that_cannot_be_started_is_named_with_the_cause() -> None:
    async with started(Program("absent", ("/no/such/program",))) as console:
        await console.wait_for(lambda lines: any("absent could not be started" in line for _, line in lines))


async def test_one_program_that_dies_leaves_the_others_alone() -> None:
    steady = program("print('steady'); import signal; signal.pause()", "steady")
    async with started(steady, program("raise SystemExit(1)")) as console:
        await console.wait_for(lambda lines: len([line for line in lines if line[0] == "chammal"]) >= 3)
    assert console.lines.count(("steady", "steady")) == 1


async def test_stopping_lets_a_program_finish() -> None:
    source = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print('finished'), sys.exit(0)))
print('up')
signal.pause()
"""
    async with started(program(source)) as console:
        await console.wait_for(lambda lines: ("fake", "up") in lines)
    assert ("fake", "finished") in console.lines


def family(lock: Path, leader: str) -> Program:
    """A program whose child holds the lock and refuses to end."""
    child = f"""
import fcntl, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stream = open({str(lock)!r}, "w")
fcntl.flock(stream, fcntl.LOCK_EX)
print("holding", flush=True)
while True: signal.pause()
"""
    return program(f"""
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), flush=True)
{leader}
""")


@pytest.mark.parametrize(
    "leader",
    [
        pytest.param("signal.pause()", id="leader obeys"),
        pytest.param("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()", id="leader refuses"),
    ],
)
async def test_no_grandchild_outlives_the_runner(tmp_path: Path, leader: str) -> None:
    lock = tmp_path / "lock"
    async with started(family(lock, leader), stop_seconds=0.5) as console:
        await console.wait_for(lambda lines: ("fake", "holding") in lines)
    await freed(lock)


async def test_a_grandchild_of_a_program_that_died_does_not_live_on(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    console = Console()
    never_again = Restart(first_seconds=3600, longest_seconds=3600)
    async with running([family(lock, "sys.exit(1)")], console.say, restart=never_again):
        await console.wait_for(lambda lines: any("exited with status 1" in line for _, line in lines))
        await freed(lock)


async def test_a_grandchild_that_holds_the_output_does_not_hide_the_end_of_its_program() -> None:
    source = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
sys.exit(4)
"""
    async with started(program(source)) as console:
        await console.wait_for(lambda lines: any("exited with status 4" in line for _, line in lines))


def test_restarts_come_later_and_later_up_to_a_limit() -> None:
    assert [Restart().delay(failures) for failures in (1, 2, 3, 6, 50)] == [1.0, 2.0, 4.0, 30.0, 30.0]


LAST_WORDS = """
import signal, sys, time
def stop(*_):
    time.sleep(0.2)
    print("ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up")
while True:
    signal.pause()
"""


async def test_whoever_leans_on_others_has_ended_before_they_are_told_to() -> None:
    programs = [
        Program(name, (sys.executable, "-u", "-c", LAST_WORDS), stop_wave=wave)
        for name, wave in [("model", 2), ("door", 0), ("gateway", 1)]
    ]
    async with started(*programs) as console:
        await console.wait_for(lambda lines: sum(line == "up" for _, line in lines) == 3)
    assert [name for name, line in console.lines if line == "ended"] == ["door", "gateway", "model"]
