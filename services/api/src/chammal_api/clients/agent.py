"""An external agent of the caller's choice, from the configured list."""

from chammal_api.analysis import Analysis, read_analysis
from chammal_api.clients.failure import failed_stage
from chammal_api.elements import SYSTEM_PROMPT, sentences_of, user_prompt
from chammal_api.outcome import Outcome
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.transcribe import AgentRequestFormat, AgentType
from chammal_kit.upstream import Reply, Upstream, UpstreamError


class AgentClient:
    """Answers are `{"summary": …, "elements": {id: answer}}`, see `elements.judge`; `elements` may be missing."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    async def analyse(self, path: str, transcript: str, request_format: AgentRequestFormat) -> Outcome[Analysis]:
        try:
            reply = await self.upstream.request(
                "POST",
                path,
                json=_body(transcript, request_format),
                repeatable=False,
                parse=lambda r: _read_answer(r, transcript),
            )
        except UpstreamError as error:
            return failed_stage(Stage.ANALYSIS, error, self.upstream.breaker.state)
        report = StageReport(
            stage=Stage.ANALYSIS,
            status=StageStatus.OK,
            backend=AgentType.EXTERNAL,
            attempts=reply.attempts,
            breaker=self.upstream.breaker.state,
            seconds=reply.seconds,
        )
        return Outcome(reply.value, report)


def _body(transcript: str, request_format: AgentRequestFormat) -> dict[str, str]:
    if request_format is AgentRequestFormat.TEXT_ONLY:
        return {"text": transcript}
    return {"prompt": f"{SYSTEM_PROMPT}\n\n{user_prompt(sentences_of(transcript))}"}


def _read_answer(reply: Reply[None], transcript: str) -> Analysis:
    return read_analysis(reply.json(), transcript, AgentType.EXTERNAL, model=None)
