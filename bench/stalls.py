"""When the machine itself stood still: `python -m bench.stalls` runs until its stdin ends, then prints the stalls.

A watcher on each core sleeps for a millisecond at a time, ahead of every ordinary process. When even it comes late, the
host had given the core to somebody else, and no answer could have been sent. Needs the right to real-time priority.
"""

import json
import os
import sys
import threading
import time

WORTH_NOTING = 0.005
_NAP = 0.001


def watch(core: int, stalls: list[tuple[float, float]]) -> None:
    """Notes when each stall begins and ends, as of time.perf_counter, which Linux's processes share."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    while True:
        due = time.perf_counter() + _NAP
        time.sleep(_NAP)
        now = time.perf_counter()
        if now - due > WORTH_NOTING:
            stalls.append((due, now))


if __name__ == "__main__":
    seen: list[tuple[float, float]] = []
    threading.excepthook = lambda failed: os._exit(0)  # not allowed here: nothing is printed
    for core in os.sched_getaffinity(0):
        threading.Thread(target=watch, args=(core, seen), daemon=True).start()
    sys.stdin.read()
    print(json.dumps(sorted(seen)))
