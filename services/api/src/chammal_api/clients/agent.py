"""An external agent of the caller's choice, from the configured list."""

from collections.abc import Callable
from typing import TypeVar

from chammal_api.clients.failure import failed_stage
from chammal_api.outcome import Outcome
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.transcribe import AgentType
from chammal_kit.upstream import Upstream, UpstreamError

T = TypeVar("T")


class AgentClient:
    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

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
