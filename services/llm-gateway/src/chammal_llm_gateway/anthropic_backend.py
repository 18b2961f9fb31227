"""Anthropic's Messages API as a backend."""

from collections.abc import AsyncIterator, Set
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from chammal_kit.proof import Proof
from chammal_kit.upstream import Reply, StreamReply, Upstream, UpstreamRejected
from chammal_kit.upstream_reply import read_json
from chammal_llm_gateway.answer import Chunk, Completion, InvalidAnswer, error_message, says_something
from chammal_llm_gateway.anthropic_wire import MessageStream, from_message, to_messages
from chammal_llm_gateway.backend import Answered, Opened
from chammal_llm_gateway.names import ModelNames
from chammal_llm_gateway.openai_backend import NAMES_TIMEOUTS, parse_model_ids
from chammal_llm_gateway.request import ChatRequest
from chammal_llm_gateway.settings import BackendName
from chammal_llm_gateway.sse import SseParser

API_VERSION = "2023-06-01"


class AnthropicBackend:
    name = BackendName.ANTHROPIC

    def __init__(
        self, upstream: Upstream, *, own: str, max_tokens: int, aliases: Set[str], believed_seconds: float
    ) -> None:
        self.upstream = upstream
        self.proof = Proof()
        self.names = ModelNames(self._ask_names, own=own, aliases=aliases, believed_seconds=believed_seconds)
        timeouts = upstream.policy.timeouts
        self._whole = timeouts.model_copy(update={"first_byte": timeouts.total})
        self._max_tokens = max_tokens
        self._no_sampling: set[str] = set()

    async def complete(self, request: ChatRequest, model: str) -> Answered:
        try:
            return await self._complete(request, model)
        except UpstreamRejected as error:
            if not self._learns_no_sampling(error, request, model):
                raise
        return await self._complete(request, model)

    @asynccontextmanager
    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Opened]:
        async with AsyncExitStack() as stack:
            reply = await self._open(stack, request, model)
            yield Opened(_chunks(reply, with_usage=request.wants_usage), reply.attempts)

    async def _open(self, stack: AsyncExitStack, request: ChatRequest, model: str) -> StreamReply:
        try:
            return await stack.enter_async_context(self._streaming(request, model))
        except UpstreamRejected as error:
            if not self._learns_no_sampling(error, request, model):
                raise
        return await stack.enter_async_context(self._streaming(request, model))

    def _streaming(self, request: ChatRequest, model: str) -> AbstractAsyncContextManager[StreamReply]:
        return self.upstream.stream("POST", "/v1/messages", json=self._body(request, model, stream=True))

    async def _complete(self, request: ChatRequest, model: str) -> Answered:
        reply = await self.upstream.request(
            "POST",
            "/v1/messages",
            json=self._body(request, model, stream=False),
            timeouts=self._whole,
            parse=_parse_message,
        )
        return Answered(reply.value, reply.attempts)

    def _body(self, request: ChatRequest, model: str, *, stream: bool) -> dict[str, Any]:
        sampling = model not in self._no_sampling
        return to_messages(request, model, self._max_tokens, stream=stream, sampling=sampling)

    def _learns_no_sampling(self, error: UpstreamRejected, request: ChatRequest, model: str) -> bool:
        """Models from 2026 on refuse temperature and top_p with a 400; asked again without, they answer."""
        extra = request.model_extra or {}
        sent = [name for name in ("temperature", "top_p") if extra.get(name) is not None]
        if error.http_status != 400 or model in self._no_sampling:
            return False
        if not any(name in error_message(error.body) for name in sent):
            return False
        self._no_sampling.add(model)
        return True

    async def ask_one_token(self, model: str) -> None:
        body = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Say yes."}]}
        await self.upstream.request("POST", "/v1/messages", json=body, parse=_parse_content)

    async def _ask_names(self) -> list[str]:
        reply = await self.upstream.request("GET", "/v1/models", timeouts=NAMES_TIMEOUTS, parse=parse_model_ids)
        return reply.value


def _parse_content(reply: Reply[None]) -> None:
    if not isinstance(reply.json(), dict) or "content" not in reply.json():
        raise InvalidAnswer("the message has no content")


def _parse_message(reply: Reply[None]) -> Completion:
    body = read_json(reply.body)
    if not isinstance(body, dict):
        raise InvalidAnswer("the answer is no JSON object")
    completion = from_message(body)
    if not says_something(completion["choices"][0]["message"]):
        raise InvalidAnswer(f"the answer is empty (stop_reason {body.get('stop_reason')})")
    return completion


async def _chunks(reply: StreamReply, *, with_usage: bool) -> AsyncIterator[Chunk]:
    parser, translator = SseParser(), MessageStream()
    async for block in reply:
        for data in parser.feed(block):
            try:
                event = read_json(data)
                chunks = translator.translate(event, with_usage=with_usage) if isinstance(event, dict) else []
            except ValueError as error:
                raise reply.unusable(str(error)) from None
            for chunk in chunks:
                yield chunk
