"""Streams on their way to the client."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from pydantic_core import from_json, to_json

from chammal_contracts.chat import Provenance
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import FailureType
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_kit.upstream import UpstreamError
from chammal_kit.upstream_errors import unusable
from chammal_llm_gateway import metrics
from chammal_llm_gateway.answer import Chunk, Usage
from chammal_llm_gateway.metrics import Outcome
from chammal_llm_gateway.settings import BackendName
from chammal_llm_gateway.sse import DONE_EVENT, error_event, event

log = component_logger("AgentBackend")

STAGE = "chat"
"""The stage that the closing error event of a broken stream names."""


@dataclass(frozen=True, slots=True)
class ChatStream:
    """Headers of the answer, and its server-sent events as bytes."""

    headers: dict[str, str]
    events: AsyncIterator[bytes]


async def read_to_first_token(backend: BackendName, chunks: AsyncIterator[Chunk]) -> list[Chunk]:
    """The chunks up to the first that carries content. Raises UpstreamError where none ever does."""
    begun = []
    async for chunk in chunks:
        begun.append(chunk)
        if chunk.has_tokens:
            return begun
        if chunk.done:
            break
    ended = any(chunk.done or chunk.finished for chunk in begun)
    raise unusable(backend, "the answer is empty" if ended else "the stream ended before its first token")


async def whole_events(data: Sequence[bytes], provenance: Provenance) -> AsyncGenerator[bytes]:
    yield event(_with_provenance(data[0], provenance))
    for rest in data[1:]:
        yield event(rest)
    yield DONE_EVENT


async def live_events(
    backend: BackendName, begun: Sequence[Chunk], rest: AsyncIterator[Chunk], provenance: Provenance, started: float
) -> AsyncGenerator[bytes]:
    """Ends with [DONE] only if the backend ended its answer; else with an error event that says why not."""
    outcome, usage, finished = Outcome.CANCELLED, _last_usage(begun), any(chunk.finished for chunk in begun)
    try:
        yield event(_with_provenance(begun[0].data, provenance))
        for chunk in begun[1:]:
            yield event(chunk.data)
        try:
            async for chunk in rest:
                usage = chunk.usage or usage
                finished = finished or chunk.finished or chunk.done
                if chunk.data and not chunk.done:
                    yield event(chunk.data)
            failure, reason = FailureType.CONNECTION_LOST, "the backend closed the stream before its end"
        except UpstreamError as error:
            failure, reason = error.failure, error.detail
        outcome = Outcome.OK if finished else Outcome.FAILED
        if finished:
            yield DONE_EVENT
        else:
            log.error("%s broke off its stream: %s: %s", backend, failure, reason)
            yield error_event(_broken(backend, failure, reason))
    finally:
        metrics.count_answer(backend, outcome, time.perf_counter() - started, usage)


def _with_provenance(data: bytes, provenance: Provenance) -> bytes:
    return to_json({**from_json(data), "chammal": provenance.model_dump(mode="json")})


def _last_usage(chunks: Sequence[Chunk]) -> Usage | None:
    return next((chunk.usage for chunk in reversed(chunks) if chunk.usage), None)


def _broken(backend: BackendName, failure: FailureType, reason: str) -> bytes:
    detail = f"The stream broke off in stage {STAGE} at {backend}: {failure}: {reason}. What came before is incomplete."
    problem = Problem(502, ErrorCode.STAGE_FAILED, detail, stage=STAGE, reason=failure, backend=backend)
    return problem.body().model_dump_json().encode()
