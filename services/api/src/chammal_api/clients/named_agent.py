"""The external agent that a call names, by the original interface: `{"prompt": …}` or `{"text": …}` in, JSON out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from chammal_api.clients.agents import Agents
from chammal_api.outcome import Outcome
from chammal_contracts.stages import Attempt, AttemptOutcome, FailureType, Stage, StageReport, StageStatus
from chammal_contracts.transcribe import AgentRequestFormat, AgentType
from chammal_kit.address import AddressError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NamedAgent:
    url: str
    format: AgentRequestFormat = AgentRequestFormat.PROMPT_BASED


async def ask_agent(
    agents: Agents,
    named: NamedAgent,
    stage: Stage,
    prompt: str,
    text: str,
    read: Callable[[object], T],
) -> Outcome[T]:
    """An address that is no longer on the list is a failure of the agent: a call is kept longer than a setting."""
    try:
        address = agents.admit(named.url)
    except AddressError as error:
        return Outcome(None, _refused(stage, str(error)), 403)
    body = {"text": text} if named.format is AgentRequestFormat.TEXT_ONLY else {"prompt": prompt}
    client = await agents.get(address)
    return await client.ask(stage, address.target, body, read)


def _refused(stage: Stage, reason: str) -> StageReport:
    attempt = Attempt(
        backend=AgentType.EXTERNAL, outcome=AttemptOutcome.REFUSED, error_type=FailureType.MISCONFIGURED, seconds=0
    )
    return StageReport(
        stage=stage,
        status=StageStatus.DUMMY,
        attempts=[attempt],
        error_type=FailureType.MISCONFIGURED,
        error=f"agent_url: {reason}",
    )
