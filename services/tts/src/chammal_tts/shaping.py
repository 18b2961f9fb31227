"""What an engine could not do itself: rate, pitch and energy of its samples, at the rate that all audio leaves with."""

import numpy as np

from chammal_tts.engine import Samples
from chammal_tts.prosody import Prosody
from chammal_tts.resample import resampled
from chammal_tts.stretch import stretched

OUTPUT_RATE = 24_000

_KNEE = 0.8
"""Above it, loudness is bent so that it never passes full scale."""


def shaped(samples: Samples, sample_rate: int, prosody: Prosody) -> Samples:
    """At OUTPUT_RATE. Speed changes the duration and nothing else; pitch changes the pitch and nothing else."""
    ratio = 2.0 ** (prosody.pitch / 12.0)
    shifted = resampled(samples, sample_rate * ratio, OUTPUT_RATE)
    return louder(stretched(shifted, ratio / prosody.speed, OUTPUT_RATE), prosody.energy)


def louder(samples: Samples, energy: float) -> Samples:
    """By a factor; what would come near full scale is bent, since clipping is heard."""
    if energy == 1.0:
        return samples
    loud = samples * np.float32(energy)
    over = np.abs(loud) - _KNEE
    bent = _KNEE + (1.0 - _KNEE) * np.tanh(over / (1.0 - _KNEE))
    return np.where(over > 0.0, np.copysign(bent, loud), loud).astype(np.float32)
