"""Which engines were tried for one request, and why they were not enough."""

import math
from collections.abc import Mapping

from chammal_contracts import headers as wire
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import Attempt, AttemptOutcome, FailureType, Stage, StageStatus
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_kit.upstream import UpstreamError
from chammal_tts.metrics import FALLBACKS
from chammal_tts.work import EngineHung

log = component_logger("TTS")

RETRY_AFTER_UNKNOWN = 5.0
"""Seconds."""


class Trail:
    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self._reasons: list[str] = []
        self._waits: list[float] = []

    def failed(self, backend: str, error: Exception, seconds: float) -> None:
        if isinstance(error, UpstreamError):
            self.attempts += [attempt.model_copy(update={"backend": backend}) for attempt in error.attempts]
            reason = f"{error.failure}: {error.detail}"
            if error.retry_after is not None:
                self._waits.append(error.retry_after)
        else:
            outcome, failure = _classified(error)
            self.attempts.append(Attempt(backend=backend, outcome=outcome, error_type=failure, seconds=seconds))
            reason = error.detail if isinstance(error, Problem) else f"{type(error).__name__}: {error}"
        self._reasons.append(f"{backend}: {reason}")
        log.error("%s failed: %s", backend, reason)

    def answered(self, backend: str, seconds: float) -> Mapping[str, str]:
        """The headers of the answer."""
        told = {}
        if self.attempts:
            FALLBACKS.labels(backend).inc()
            log.warning("fall-back used: %s speaks in place of %s", backend, self.attempts[0].backend)
            told[wire.DEGRADED] = f"{Stage.TTS}={StageStatus.DEGRADED}"
        self.attempts.append(Attempt(backend=backend, outcome=AttemptOutcome.OK, seconds=seconds))
        return {wire.BACKEND: backend, wire.ATTEMPTS: self._listed(), **told}

    def problem(self) -> Problem:
        wait = max(1, math.ceil(min(self._waits, default=RETRY_AFTER_UNKNOWN)))
        return Problem(
            503,
            ErrorCode.BACKENDS_FAILED,
            f"No engine spoke. {'; '.join(self._reasons)}",
            headers={"Retry-After": str(wait), wire.ATTEMPTS: self._listed()},
            attempts=[attempt.model_dump(mode="json") for attempt in self.attempts],
            retry_after=wait,
        )

    def _listed(self) -> str:
        return ", ".join(f"{attempt.backend}={attempt.error_type or attempt.outcome}" for attempt in self.attempts)


def _classified(error: Exception) -> tuple[AttemptOutcome, FailureType]:
    if isinstance(error, Problem):  # its weights are not here, or are being loaded
        return AttemptOutcome.REFUSED, FailureType.UNAVAILABLE
    if isinstance(error, EngineHung):
        return AttemptOutcome.FAILED, FailureType.READ_TIMEOUT
    return AttemptOutcome.FAILED, FailureType.INVALID_RESPONSE
