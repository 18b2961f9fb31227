"""What of the model's text is to be believed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chammal_contracts.asr import Suspect
from chammal_stt.messages import RecognisedSegment


@dataclass(frozen=True, slots=True)
class Examined:
    kept: list[RecognisedSegment] = field(default_factory=list)
    """In order of time, and perhaps shorter than they came."""
    suspect: list[Suspect] = field(default_factory=list)
    """Everything that was dropped, changed or is doubted, in order of time."""


def examine(
    segments: Sequence[RecognisedSegment],
    speech: NDArray[np.uint8],
    language: str | None,
    *,
    speaker: str | None = None,
) -> Examined:
    """One channel's text. Times are seconds from the beginning of `speech`: a probability (0-255) for each SPEECH_FRAME."""
    return Examined(kept=list(segments))


def confidence(segment: RecognisedSegment) -> float:
    """Mean probability of a token, 0-1."""
    return 0.0
