"""The words of an answer, from the language model as it writes them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from chammal_api.clients.chat import ChatStream, ChatUsage, stream_chat
from chammal_api.clients.completion import gateway_attempts
from chammal_api.clients.failure import describe
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_kit.logs import component_logger
from chammal_kit.upstream import Timeouts, Upstream, UpstreamError
from chammal_kit.upstream_errors import Evidence

log = component_logger("Writing")

CUT_SHORT = "length"
"""The finish_reason of an answer that reached its most tokens."""


@dataclass(frozen=True, slots=True)
class Written:
    report: StageReport
    usage: ChatUsage | None = None
    cut_short: bool = False
    error: UpstreamError | None = None
    """Why there is no answer, or only a part of it."""


async def write(
    llm: Upstream,
    messages: Sequence[dict[str, str]],
    on_words: Callable[[str], Awaitable[None]],
    *,
    model: str,
    max_tokens: int | None,
    timeouts: Timeouts,
) -> Written:
    """Whatever the language model fails in is in the report."""
    started = asyncio.get_running_loop().time()
    stream: ChatStream | None = None
    wrote = False
    try:
        async with stream_chat(llm, messages, model=model, max_tokens=max_tokens, timeouts=timeouts) as stream:
            async for words in stream.deltas():
                wrote = wrote or bool(words.strip())
                await on_words(words)
            if not wrote:
                raise _empty(stream)
    except UpstreamError as error:
        usage = stream.usage if stream is not None else None
        return Written(_failed(llm, error, stream, wrote, started), usage, error=error)
    seconds = asyncio.get_running_loop().time() - started
    return Written(_report(llm, stream, seconds), stream.usage, stream.finish_reason == CUT_SHORT)


async def read_ahead(llm: Upstream, prompt: str, *, model: str, timeouts: Timeouts) -> None:
    """Has the language model read what every request of a conversation begins with, so that its cache holds it.

    Whatever it fails in, the answer that comes after meets and tells.
    """
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": "."}]
    try:
        async with stream_chat(llm, messages, model=model, max_tokens=1, timeouts=timeouts) as stream:
            async for _ in stream.deltas():
                pass
    except UpstreamError as error:
        log.info("the language model could not read ahead: %s", describe(error))


def _empty(stream: ChatStream) -> UpstreamError:
    """The model's doing, as when it has only thought. The gateway did its part."""
    error = stream.answer.unusable("the answer is empty")
    error.evidence = Evidence.FOR
    return error


def _report(llm: Upstream, stream: ChatStream, seconds: float) -> StageReport:
    told = stream.provenance
    first_choice = told is None or all(attempt.backend == told.backend for attempt in told.attempts)
    return StageReport(
        stage=Stage.REPLY,
        status=StageStatus.OK if first_choice else StageStatus.DEGRADED,
        backend=told.backend if told else None,
        model=told.model if told else None,
        attempts=told.attempts if told else stream.answer.attempts,
        breaker=llm.breaker.state,
        seconds=seconds,
    )


def _failed(llm: Upstream, error: UpstreamError, stream: ChatStream | None, wrote: bool, started: float) -> StageReport:
    """An answer that broke off is a real one as far as it goes."""
    told = stream.provenance if stream is not None else None
    return StageReport(
        stage=Stage.REPLY,
        status=StageStatus.DEGRADED if wrote else StageStatus.DUMMY,
        backend=told.backend if told and wrote else None,
        model=told.model if told and wrote else None,
        attempts=gateway_attempts(error) or (told.attempts if told else error.attempts),
        breaker=llm.breaker.state,
        seconds=asyncio.get_running_loop().time() - started,
        error_type=error.failure,
        error=describe(error),
    )
