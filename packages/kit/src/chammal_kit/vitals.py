"""Whether the event loop still turns: how late it is, and the end of a process whose loop has stopped for good.

A loop that is blocked answers no probe either, and nothing restarts a container for being unhealthy. So the process
ends itself, and whoever started it starts it again.
"""

import asyncio
import faulthandler
import os
import sys
import threading
from collections.abc import Callable

from chammal_kit.logs import component_logger
from chammal_kit.metrics import LOOP_LAG, PROCESS_TASKS, PROCESS_THREADS

log = component_logger("Server")

TICK_SECONDS = 0.5
LATE_SECONDS = 1.0
"""A loop that is later than this is worth a line in the log."""
BLOCKED = 70
"""Exit status of a process that gave itself up (EX_SOFTWARE)."""


def give_up() -> None:
    """Writes the stack of every thread, which names what blocks, and ends the process."""
    log.critical("The event loop does not turn any more; the stacks follow, and the process ends.")
    faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr, all_threads=True)
    os._exit(BLOCKED)


class Vitals:
    """`start` it in the loop that is watched. `blocked_seconds` of 0 only measures."""

    def __init__(self, blocked_seconds: float, end: Callable[[], None] = give_up) -> None:
        self._blocked_seconds = blocked_seconds
        self._end = end
        self._ticks = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._over = threading.Event()

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        PROCESS_TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))
        PROCESS_THREADS.set_function(threading.active_count)
        self._plan(loop)
        if self._blocked_seconds:
            threading.Thread(target=self._watch, name="vitals", daemon=True).start()

    def stop(self) -> None:
        self._over.set()
        if self._timer is not None:
            self._timer.cancel()

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + TICK_SECONDS
        self._timer = loop.call_at(self._due, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ticks += 1
        late = max(0.0, loop.time() - self._due)
        LOOP_LAG.observe(late)
        if late > LATE_SECONDS:
            log.warning("The event loop was blocked, or the process stopped, for %.1f s.", late)
        self._plan(loop)

    def _watch(self) -> None:
        """Counts its own turns instead of asking a clock: a process that was stopped whole was not blocked."""
        seen, missed = self._ticks, 0.0
        while not self._over.wait(TICK_SECONDS):
            missed = missed + TICK_SECONDS if self._ticks == seen else 0.0
            seen = self._ticks
            if missed >= self._blocked_seconds:
                self._end()
                return
