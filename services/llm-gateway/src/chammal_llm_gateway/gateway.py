"""Backends in order: the first that gives a usable answer is the answer, and the answer says so."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from chammal_contracts.chat import ModelCard, ModelList, Provenance
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import Attempt, AttemptOutcome
from chammal_kit.problems import Problem
from chammal_kit.upstream import UpstreamRejected
from chammal_llm_gateway import metrics
from chammal_llm_gateway.answer import Completion, chunks_of, usage_of
from chammal_llm_gateway.backend import Backend, BackendFailed
from chammal_llm_gateway.blame import blaming
from chammal_llm_gateway.metrics import Outcome
from chammal_llm_gateway.request import DEFAULT_MODEL, ChatRequest
from chammal_llm_gateway.streaming import ChatStream, live_events, read_to_first_token, whole_events
from chammal_llm_gateway.structured import complete_checked, wanted_schema
from chammal_llm_gateway.trail import Trail
from chammal_llm_gateway.waits import Waits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    completion: Completion
    provenance: Provenance
    headers: dict[str, str]


class Gateway:
    def __init__(
        self,
        backends: Sequence[Backend],
        *,
        aliases: Sequence[str] = (),
        max_schema_bytes: int,
        waits: Waits = Waits(lambda *_: None),  # noqa: B008  keeps nothing that matters
    ) -> None:
        self._waits = waits
        self.backends = tuple(backends)
        self._aliases = tuple(aliases)
        self._max_schema_bytes = max_schema_bytes

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """A checked, whole answer. Raises Problem."""
        schema = wanted_schema(request, self._max_schema_bytes)
        trail = Trail()

        async def ask(backend: Backend, model: str) -> ChatAnswer:
            started = time.perf_counter()
            try:
                if schema is None:
                    answered = await backend.complete(request, model)
                else:
                    answered, trail.repaired = await complete_checked(backend, request, model, schema)
            except asyncio.CancelledError:
                metrics.REQUESTS.labels(backend.name, Outcome.CANCELLED).inc()
                self._waits.gave_up(time.perf_counter() - started)
                raise
            backend.proof.renew()
            trail.answered(backend.name, answered.attempts)
            seconds = time.perf_counter() - started
            self._waits.answered(backend.name, seconds, usage_of(answered.completion))
            metrics.count_answer(backend.name, Outcome.OK, seconds, usage_of(answered.completion))
            return ChatAnswer(answered.completion, trail.provenance(backend.name, model), trail.headers(backend.name))

        return await self._first(request.model, trail, ask)

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatStream]:
        """A stream whose first token is here. Raises Problem; what fails later is an event of the stream.

        Where JSON is asked for, the whole answer is awaited and checked, and only then sent as events.
        """
        if wanted_schema(request, self._max_schema_bytes) is not None:
            answer = await self.complete(request)
            chunks = chunks_of(answer.completion, with_usage=request.wants_usage)
            async with aclosing(whole_events(chunks, answer.provenance)) as events:
                yield ChatStream(answer.headers, events)
            return
        trail = Trail()
        async with AsyncExitStack() as held:

            async def ask(backend: Backend, model: str) -> ChatStream:
                started = time.perf_counter()
                try:
                    begun = await _begin(backend, model, request, trail, held)
                except asyncio.CancelledError:
                    self._waits.gave_up(time.perf_counter() - started)
                    raise
                backend.proof.renew()
                self._waits.streamed(time.perf_counter() - started)
                return begun

            yield await self._first(request.model, trail, ask)

    async def models(self) -> ModelList:
        """What the backends that can be reached list, and `default`. Raises Problem where none can be reached."""
        trail = Trail()
        lists = await asyncio.gather(*(_cards(backend, trail) for backend in self.backends))
        if not any(lists):
            raise trail.problem()
        return ModelList(data=[ModelCard(id=DEFAULT_MODEL), *(card for cards in lists for card in cards)])

    async def _first(self, requested: str, trail: Trail, ask: Callable[[Backend, str], Awaitable[T]]) -> T:
        for backend in self.backends:
            try:
                with blaming(backend.name, trail):
                    model = await backend.names.resolve(requested)
                    if model is not None:
                        return await _with_fresh_name(backend, requested, model, ask)
            except BackendFailed as failed:
                trail.failed(failed)
        if trail.failures or not self.backends:
            raise trail.problem()
        raise await self._unknown(requested)

    async def _unknown(self, requested: str) -> Problem:
        known = [name for backend in self.backends for name in await backend.names.listed()]
        detail = f"No backend knows the model {requested!r}. Known are: {', '.join([DEFAULT_MODEL, *known])}."
        return Problem(404, ErrorCode.MODEL_NOT_FOUND, detail, models=known, aliases=list(self._aliases))


async def _cards(backend: Backend, trail: Trail) -> list[ModelCard]:
    try:
        with blaming(backend.name, trail):
            return [ModelCard(id=name, owned_by=backend.name) for name in await backend.names.listed()]
    except BackendFailed as failed:
        trail.failed(failed)
    return []


async def _begin(backend: Backend, model: str, request: ChatRequest, trail: Trail, held: AsyncExitStack) -> ChatStream:
    """`held` keeps the backend's stream open for as long as the client reads."""
    started = time.perf_counter()
    async with AsyncExitStack() as trying:
        try:
            opened = await trying.enter_async_context(backend.stream(request, model))
            begun = await read_to_first_token(backend.name, opened.chunks)
        except asyncio.CancelledError:
            metrics.REQUESTS.labels(backend.name, Outcome.CANCELLED).inc()
            raise
        held.push_async_exit(trying.pop_all())
    seconds = time.perf_counter() - started
    metrics.FIRST_TOKEN.labels(backend.name).observe(seconds)
    running = Attempt(backend=backend.name, outcome=AttemptOutcome.OK, http_status=200, seconds=seconds)
    trail.answered(backend.name, [*opened.attempts, running])
    events = live_events(backend.name, begun, opened.chunks, trail.provenance(backend.name, model), started)
    return ChatStream(trail.headers(backend.name), await held.enter_async_context(aclosing(events)))


async def _with_fresh_name(
    backend: Backend, requested: str, model: str, ask: Callable[[Backend, str], Awaitable[T]]
) -> T:
    """A 404 may mean that the backend serves another model than it did; then its names are asked for anew."""
    try:
        return await ask(backend, model)
    except UpstreamRejected as error:
        if error.http_status != 404:
            raise
        backend.names.forget()
        renewed = await backend.names.resolve(requested)
        if renewed is None or renewed == model:
            raise
        return await ask(backend, renewed)
