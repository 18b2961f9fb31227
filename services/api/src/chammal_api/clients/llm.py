"""The llm-gateway service, asked for one analysis."""

from chammal_api.analysis import Analysis, read_analysis
from chammal_api.clients.completion import complete, gateway_attempts
from chammal_api.clients.failure import failed_stage
from chammal_api.elements import ShortCheck
from chammal_api.outcome import Outcome
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.transcribe import AgentType
from chammal_kit.upstream import Upstream, UpstreamError

MAX_ANSWER_TOKENS = 400


class LlmClient:
    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    async def analyse(self, check: ShortCheck) -> Outcome[Analysis]:
        try:
            done = await complete(
                self.upstream,
                check.messages,
                check.schema,
                name="call_check",
                max_tokens=MAX_ANSWER_TOKENS,
                parse=lambda answer, by: read_analysis(answer, check, AgentType(by.backend), by.model),
            )
        except UpstreamError as error:
            return failed_stage(Stage.ANALYSIS, error, self.upstream.breaker.state, gateway_attempts(error))
        report = StageReport(
            stage=Stage.ANALYSIS,
            status=StageStatus.OK if done.first_choice else StageStatus.DEGRADED,
            backend=done.provenance.backend,
            model=done.provenance.model,
            attempts=done.provenance.attempts,
            breaker=self.upstream.breaker.state,
            seconds=done.seconds,
        )
        return Outcome(done.value, report)
