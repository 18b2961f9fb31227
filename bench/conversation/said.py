"""What the person says: recordings without silence at their ends, spoken into a session at the pace of speech."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
from bench.stt.audio import Clip, Library, Samples, decode

FRAME_SECONDS = 0.02
LOUD = 0.05
"""Of the loudest 20 ms: what is quieter at the ends of a recording is silence."""


@dataclass(frozen=True)
class Said:
    clip: Clip

    @property
    def name(self) -> str:
        return self.clip.name

    def samples(self, rate: int) -> Samples:
        """Ends with the last sound."""
        whole = decode(self.clip.path, rate)
        frame = round(FRAME_SECONDS * rate)
        frames = whole[: len(whole) // frame * frame].reshape(-1, frame).astype(np.float64)
        loudness = np.sqrt((frames**2).mean(axis=1))
        loud = np.flatnonzero(loudness > LOUD * loudness.max())
        return whole[loud[0] * frame : (loud[-1] + 1) * frame]


def enquiries(library: Library, count: int) -> list[Said]:
    """Without a pause that would end the turn."""
    return [Said(clip) for clip in islice(cycle(library.live), count)]


def speak(samples: Samples, rate: int, send: Callable[[bytes], None], over: Callable[[], bool]) -> float:
    """Sends each frame when it has been said, then silence until `over`. The second at which the last sound was sent,
    on the monotonic clock."""
    frame = round(FRAME_SECONDS * rate)
    silence = bytes(2 * frame)
    begun, ended = time.monotonic(), 0.0
    number = 0
    while not ended or not over():
        number += 1
        time.sleep(max(0.0, begun + number * FRAME_SECONDS - time.monotonic()))
        piece = samples[(number - 1) * frame : number * frame].tobytes()
        if not piece and not ended:
            ended = begun + len(samples) / rate
        send(piece if len(piece) == len(silence) else piece + silence[len(piece) :])
    return ended
