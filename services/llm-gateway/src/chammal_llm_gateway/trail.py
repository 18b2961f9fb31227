"""What was tried for one request, and why it was not enough."""

import math

from chammal_contracts.chat import Provenance
from chammal_contracts.errors import ErrorCode
from chammal_contracts.headers import ATTEMPTS, BACKEND
from chammal_contracts.stages import Attempt, AttemptOutcome, FailureType
from chammal_kit.deadline import current_deadline
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_kit.upstream_errors import without_frames
from chammal_llm_gateway import metrics
from chammal_llm_gateway.backend import BackendFailed
from chammal_llm_gateway.metrics import Outcome
from chammal_llm_gateway.settings import BackendName

log = component_logger("AgentBackend")

RETRY_AFTER_UNKNOWN = 5.0
"""Seconds, where no backend said when to come again: as long as a breaker stays open at first."""
_NO_TIME_SECONDS = 0.1
NO_BACKEND = (
    "No language model is configured: set CHAMMAL_LLM_VLLM_URL, CHAMMAL_LLM_OLLAMA_URL, CHAMMAL_LLM_OPENAI_KEY, "
    "CHAMMAL_LLM_ANTHROPIC_KEY or CHAMMAL_LLM_LLAMACPP_URL."
)


class Trail:
    """The attempts of one request, in order."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.failures: list[BackendFailed] = []
        self.repaired = False

    def failed(self, error: BackendFailed) -> None:
        self.attempts += error.attempts
        self.failures.append(without_frames(error))
        refused = error.attempts[-1].outcome is AttemptOutcome.REFUSED
        metrics.REQUESTS.labels(error.backend, Outcome.REFUSED if refused else Outcome.FAILED).inc()
        log.error("%s failed: %s: %s", error.backend, error.failure, error.reason)

    def answered(self, backend: BackendName, attempts: list[Attempt]) -> None:
        self.attempts += attempts
        if self.failures:
            metrics.FALLBACKS.labels(backend).inc()
            log.warning("fall-back used: %s answers in place of %s", backend, self.failures[0].backend)

    def provenance(self, backend: BackendName, model: str) -> Provenance:
        return Provenance(backend=backend, model=model, attempts=self.attempts, repaired=self.repaired)

    def headers(self, backend: BackendName | None = None) -> dict[str, str]:
        headers = {ATTEMPTS: ", ".join(f"{a.backend}={a.error_type or a.outcome}" for a in self.attempts)}
        return headers if backend is None else {BACKEND: backend, **headers}

    def problem(self) -> Problem:
        """All failed: 503, with the smallest time after which one of them may answer; 504 where the caller's own time
        was too short, which is no failure of ours that its breaker should count."""
        waits = [error.retry_after for error in self.failures if error.retry_after is not None]
        wait = max(1, math.ceil(min(waits, default=RETRY_AFTER_UNKNOWN)))
        causes = "; ".join(f"{error.backend}: {error.failure}: {error.told}" for error in self.failures)
        log.error("no backend answered%s", "" if causes else ": none is configured")
        if self._out_of_time():
            return Problem(
                504,
                ErrorCode.DEADLINE_EXCEEDED,
                f"The caller's time was over before a language model had answered. {causes}",
                headers=self.headers(),
                attempts=[attempt.model_dump(mode="json") for attempt in self.attempts],
            )
        return Problem(
            503,
            ErrorCode.BACKENDS_FAILED,
            f"No language model answered. {causes}" if causes else NO_BACKEND,
            headers={"Retry-After": str(wait), **self.headers()},
            attempts=[attempt.model_dump(mode="json") for attempt in self.attempts],
            retry_after=wait,
        )

    def _out_of_time(self) -> bool:
        deadline = current_deadline()
        late = any(error.failure is FailureType.DEADLINE_EXCEEDED for error in self.failures)
        return late and deadline is not None and deadline.remaining() < _NO_TIME_SECONDS
