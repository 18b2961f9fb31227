"""What sessions cost in which nobody speaks: processor time of all our services."""

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench.conversation.said import FRAME_SECONDS
from bench.conversation.talker import RATE, Talker, session
from bench.mesh import Mesh
from bench.stt.machine import processor_seconds

SESSIONS = 20
SETTLE_SECONDS = 3.0


@dataclass(frozen=True)
class Idle:
    """Cores."""

    none: float
    """Without any session."""
    silent: float
    """Sessions that send nothing."""
    open_microphones: float
    """Sessions that send silence all the time."""


def measure(mesh: Mesh, seconds: float) -> Idle:
    time.sleep(SETTLE_SECONDS)
    none = _spent(mesh, seconds)
    with ExitStack() as stack:
        talkers = [stack.enter_context(session(mesh.url("api"), "ko")) for _ in range(SESSIONS)]
        time.sleep(SETTLE_SECONDS)
        silent = _spent(mesh, seconds)
        over = threading.Event()
        sender = threading.Thread(target=_be_silent, args=(talkers, over))
        sender.start()
        stack.callback(sender.join)
        stack.callback(over.set)
        time.sleep(SETTLE_SECONDS)
        return Idle(none, silent, _spent(mesh, seconds))


def _spent(mesh: Mesh, seconds: float) -> float:
    pids = mesh.pids()
    before, begun = sum(map(processor_seconds, pids)), time.monotonic()
    time.sleep(seconds)
    return (sum(map(processor_seconds, pids)) - before) / (time.monotonic() - begun)


def _be_silent(talkers: list[Talker], over: threading.Event) -> None:
    """Pieces of 100 ms, as a browser sends them."""
    piece, number, begun = bytes(round(5 * FRAME_SECONDS * RATE) * 2), 0, time.monotonic()
    while not over.wait(max(0.0, begun + number * 5 * FRAME_SECONDS - time.monotonic())):
        number += 1
        for talker in talkers:
            talker.hear(piece)
