"""An external agent of the caller's choice, from the configured list."""

from collections.abc import Callable
from typing import TypeVar

from chammal_api.analysis import Analysis, read_analysis
from chammal_api.clients.failure import failed_stage
from chammal_api.elements import SYSTEM_PROMPT, sentences_of, user_prompt
from chammal_api.outcome import Outcome
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.transcribe import AgentRequestFormat, AgentType
from chammal_kit.upstream import Upstream, UpstreamError

T = TypeVar("T")


class AgentClient:
    """Answers are `{"summary": …, "elements": {id: answer}}`, see `elements.judge`; `elements` may be missing."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    async def analyse(self, path: str, transcript: str, request_format: AgentRequestFormat) -> Outcome[Analysis]:
        body = _body(transcript, request_format)
        return await self.ask(
            Stage.ANALYSIS,
            path,
            body,
            lambda answer: read_analysis(answer, transcript, AgentType.EXTERNAL, model=None),
        )

    async def ask(self, stage: Stage, path: str, body: dict[str, str], read: Callable[[object], T]) -> Outcome[T]:
        """`read` raises ValueError for an answer that is none."""
        try:
            reply = await self.upstream.request(
                "POST", path, json=body, repeatable=False, parse=lambda r: read(r.json())
            )
        except UpstreamError as error:
            return failed_stage(stage, error, self.upstream.breaker.state)
        report = StageReport(
            stage=stage,
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
