"""The llm-gateway service, asked for one analysis."""

from typing import Any

from pydantic import BaseModel, ValidationError

from chammal_api.analysis import Analysis, read_analysis
from chammal_api.clients.failure import failed_stage, read_problem
from chammal_api.elements import SYSTEM_PROMPT, answer_schema, sentences_of, user_prompt
from chammal_api.outcome import Outcome
from chammal_contracts.chat import Provenance
from chammal_contracts.stages import Attempt, Stage, StageReport, StageStatus
from chammal_contracts.transcribe import AgentType
from chammal_kit.upstream import Reply, Upstream, UpstreamError
from chammal_kit.upstream_reply import read_json

MAX_ANSWER_TOKENS = 400


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Completion(BaseModel):
    choices: list[_Choice]
    chammal: Provenance


class LlmClient:
    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    async def analyse(self, transcript: str) -> Outcome[Analysis]:
        try:
            reply = await self.upstream.request(
                "POST", "/v1/chat/completions", json=_chat(transcript), parse=lambda r: _read_answer(r, transcript)
            )
        except UpstreamError as error:
            return failed_stage(Stage.ANALYSIS, error, self.upstream.breaker.state, _gateway_attempts(error))
        analysis, provenance = reply.value
        report = StageReport(
            stage=Stage.ANALYSIS,
            status=StageStatus.OK if _first_choice(provenance) else StageStatus.DEGRADED,
            backend=provenance.backend,
            model=provenance.model,
            attempts=provenance.attempts,
            breaker=self.upstream.breaker.state,
            seconds=reply.seconds,
        )
        return Outcome(analysis, report)


def _first_choice(provenance: Provenance) -> bool:
    """A retry or a repair by the same backend is still its answer."""
    return all(attempt.backend == provenance.backend for attempt in provenance.attempts)


def _chat(transcript: str) -> dict[str, Any]:
    sentences = sentences_of(transcript)
    return {
        "model": "default",
        "temperature": 0,
        "max_tokens": MAX_ANSWER_TOKENS,
        "messages": [
            {"role": "system", "content": SYSTEM_PROMPT},
            {"role": "user", "content": user_prompt(sentences)},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "call_check", "strict": True, "schema": answer_schema(len(sentences))},
        },
    }


def _read_answer(reply: Reply[None], transcript: str) -> tuple[Analysis, Provenance]:
    completion = _Completion.model_validate(reply.json())
    if not completion.choices:
        raise ValueError("the answer has no choices")
    provenance = completion.chammal
    answer = read_json(completion.choices[0].message.content)
    return read_analysis(answer, transcript, AgentType(provenance.backend), provenance.model), provenance


def _gateway_attempts(error: UpstreamError) -> list[Attempt] | None:
    """What the gateway tried at its backends, from its problem+json."""
    problem = read_problem(error.body)
    told = (problem.model_extra or {}).get("attempts") if problem else None
    try:
        return [Attempt.model_validate(row) for row in told] if isinstance(told, list) else None
    except ValidationError:
        return None
