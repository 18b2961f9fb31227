"""A backend that speaks OpenAI's chat completions: vLLM, Ollama, llama.cpp's server, or any cloud."""

from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager

from chammal_kit.proof import Proof
from chammal_kit.upstream import Hedge, Reply, StreamReply, Timeouts, Upstream
from chammal_llm_gateway.answer import Chunk, Completion, InvalidAnswer, read_chunk, read_completion, read_model_ids
from chammal_llm_gateway.backend import Answered, Opened
from chammal_llm_gateway.names import ModelNames
from chammal_llm_gateway.request import ChatRequest, upstream_body
from chammal_llm_gateway.settings import BackendName
from chammal_llm_gateway.sse import SseParser

NAMES_TIMEOUTS = Timeouts(connect=1.0, first_byte=5.0, idle=5.0, total=5.0)
NAMES_HEDGE = Hedge(seconds=1.0)
"""A list costs a server nothing, and a chat may wait for it. Chats are never sent twice: each costs the model."""


class OpenAIBackend:
    def __init__(
        self, name: BackendName, upstream: Upstream, *, own: str | None, aliases: Set[str], believed_seconds: float
    ) -> None:
        self.name = name
        self.upstream = upstream
        self.proof = Proof()
        self.names = ModelNames(self._ask_names, own=own, aliases=aliases, believed_seconds=believed_seconds)
        timeouts = upstream.policy.timeouts
        self._whole = timeouts.model_copy(update={"first_byte": timeouts.total})

    async def complete(self, request: ChatRequest, model: str) -> Answered:
        body = upstream_body(request, model, stream=False)
        reply = await self.upstream.request(
            "POST", "/chat/completions", json=body, timeouts=self._whole, parse=_parse_completion
        )
        return Answered(reply.value, reply.attempts)

    @asynccontextmanager
    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Opened]:
        body = upstream_body(request, model, stream=True)
        async with self.upstream.stream("POST", "/chat/completions", json=body) as reply:
            yield Opened(_chunks(reply), reply.attempts)

    async def ask_one_token(self, model: str) -> None:
        body = {"model": model, "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 1}
        await self.upstream.request("POST", "/chat/completions", json=body, parse=_parse_choices)

    async def _ask_names(self) -> list[str]:
        reply = await self.upstream.request(
            "GET", "/models", timeouts=NAMES_TIMEOUTS, hedge=NAMES_HEDGE, parse=parse_model_ids
        )
        return reply.value


def _parse_completion(reply: Reply[None]) -> Completion:
    return read_completion(reply.body)


def _parse_choices(reply: Reply[None]) -> None:
    if not isinstance(reply.json(), dict) or not reply.json().get("choices"):
        raise InvalidAnswer("the answer has no choices")


def parse_model_ids(reply: Reply[None]) -> list[str]:
    return read_model_ids(reply.body)


async def _chunks(reply: StreamReply) -> AsyncIterator[Chunk]:
    parser = SseParser()
    async for block in reply:
        for data in parser.feed(block):
            try:
                chunk = read_chunk(data)
            except InvalidAnswer as error:
                raise reply.unusable(str(error)) from None
            yield chunk
