"""What lives as long as the process."""

from concurrent.futures import Executor
from dataclasses import dataclass

from chammal_kit.limiter import Limiter
from chammal_tts.loading import Loading
from chammal_tts.readiness import TtsReadiness
from chammal_tts.settings import TtsSettings
from chammal_tts.work import Work


@dataclass(frozen=True, slots=True)
class TtsState:
    settings: TtsSettings
    loading: Loading
    executor: Executor
    limiter: Limiter
    work: Work
    readiness: TtsReadiness
