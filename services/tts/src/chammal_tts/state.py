"""What lives as long as the process."""

from collections.abc import Sequence
from dataclasses import dataclass

from chammal_kit.limiter import Limiter
from chammal_tts.backend import Backend
from chammal_tts.settings import TtsSettings
from chammal_tts.work import Work


@dataclass(frozen=True, slots=True)
class TtsState:
    settings: TtsSettings
    backends: Sequence[Backend]
    limiter: Limiter
    work: Work
