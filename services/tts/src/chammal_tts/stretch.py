"""A longer or shorter duration at the same pitch: waveform-similarity overlap-add.

Verhelst and Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high quality time-scale
modification of speech", ICASSP 1993: frames are laid down at even steps, and each is taken from where, near its place
in the original, the wave goes on most like the frame before it.
"""

import numpy as np

from chammal_tts.engine import Samples

_FRAME_SECONDS = 0.04
"""Two periods of a voice of 50 Hz."""
_REACH_SECONDS = 0.01
"""How far from its place a frame may be taken, either way: together a period of 50 Hz."""
_SILENCE = 1e-6


def stretched(samples: Samples, factor: float, sample_rate: int) -> Samples:
    """`factor` times as long."""
    wanted = round(samples.size * factor)
    if factor == 1.0 or not wanted:
        return samples[:wanted]
    hop = int(_FRAME_SECONDS * sample_rate / 2)
    reach = int(_REACH_SECONDS * sample_rate)
    frames = -(-wanted // hop) + 1
    frame = 2 * hop
    window = np.hanning(frame + 1)[:frame].astype(np.float32)
    # half a frame before the start, so that windows add up to one from the first sample on
    lead = hop + reach
    source = np.concatenate((np.zeros(lead, np.float32), samples, np.zeros(lead + 2 * frame, np.float32)))
    out = np.zeros((frames + 1) * hop, np.float32)
    at = reach
    for number in range(frames):
        place = min(reach + round(number * hop / factor), source.size - frame - hop - reach)
        if number:
            at = place + _likest(source[place - reach : place + reach + hop], source[at + hop : at + frame]) - reach
        out[number * hop : number * hop + frame] += window * source[at : at + frame]
    return out[hop : hop + wanted]


def _likest(near: Samples, pattern: Samples) -> int:
    """Where in `near` the wave is most like `pattern`."""
    products = np.correlate(near, pattern, "valid")
    squares = np.concatenate(([0.0], np.cumsum(near.astype(np.float64) ** 2)))
    energy = squares[pattern.size :] - squares[: -pattern.size]
    return int(np.argmax(products / np.sqrt(energy + _SILENCE)))
