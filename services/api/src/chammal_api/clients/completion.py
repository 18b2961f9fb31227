"""One question to the llm-gateway whose answer is JSON of a given schema, and who answered it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from chammal_api.clients.failure import read_problem
from chammal_contracts.chat import Provenance
from chammal_contracts.stages import Attempt
from chammal_kit.upstream import Reply, Upstream, UpstreamError
from chammal_kit.upstream_reply import read_json

T = TypeVar("T")


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Completion(BaseModel):
    choices: list[_Choice]
    chammal: Provenance


@dataclass(frozen=True, slots=True)
class Completed(Generic[T]):
    value: T
    provenance: Provenance
    seconds: float

    @property
    def first_choice(self) -> bool:
        """A retry or a repair by the same backend is still its answer."""
        return all(attempt.backend == self.provenance.backend for attempt in self.provenance.attempts)


async def complete(
    upstream: Upstream,
    messages: Sequence[dict[str, str]],
    schema: dict[str, Any],
    *,
    name: str,
    max_tokens: int,
    parse: Callable[[Any, Provenance], T],
) -> Completed[T]:
    """Raises UpstreamError, also where `parse` raises ValueError."""

    def read(reply: Reply[None]) -> tuple[T, Provenance]:
        completion = _Completion.model_validate(reply.json())
        if not completion.choices:
            raise ValueError("the answer has no choices")
        return parse(read_json(completion.choices[0].message.content), completion.chammal), completion.chammal

    asked = {
        "model": "default",
        "temperature": 0,
        "max_tokens": max_tokens,
        "messages": list(messages),
        "response_format": {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}},
    }
    reply = await upstream.request("POST", "/v1/chat/completions", json=asked, parse=read)
    value, provenance = reply.value
    return Completed(value, provenance, reply.seconds)


def gateway_attempts(error: UpstreamError) -> list[Attempt] | None:
    """What the gateway tried at its backends, from its problem+json."""
    problem = read_problem(error.body)
    told = (problem.model_extra or {}).get("attempts") if problem else None
    try:
        return [Attempt.model_validate(row) for row in told] if isinstance(told, list) else None
    except ValidationError:
        return None
