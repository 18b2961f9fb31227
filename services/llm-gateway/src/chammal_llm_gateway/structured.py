"""Whether a whole answer is the JSON that was asked for, and how to ask once more where it is not."""

from dataclasses import replace
from typing import Any

from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import Attempt, AttemptOutcome, FailureType
from chammal_kit.problems import Problem
from chammal_llm_gateway import metrics
from chammal_llm_gateway.answer import Completion, InvalidAnswer
from chammal_llm_gateway.backend import Answered, Backend
from chammal_llm_gateway.request import ChatRequest, JsonObjectFormat, JsonSchemaFormat
from chammal_llm_gateway.schema import JSON_OBJECT, AnswerSchema, BrokenSchema, InvalidJson, compile_schema

_USAGE_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class BrokenAnswer(InvalidAnswer):
    """The JSON breaks its schema, after a repair where one could be asked for."""


class CutOff(InvalidAnswer):
    """The JSON ended at the token limit; asking again would end there too."""


def wanted_schema(request: ChatRequest, max_bytes: int) -> AnswerSchema | None:
    """What the answer must fulfil; None for plain text. Raises Problem 422 for a schema that cannot be used."""
    match request.response_format:
        case JsonSchemaFormat() as wanted:
            try:
                return compile_schema(wanted.json_schema.json_schema, max_bytes)
            except BrokenSchema as error:
                raise unusable_schema(error) from None
        case JsonObjectFormat():
            return JSON_OBJECT
        case _:
            return None


def unusable_schema(error: BrokenSchema) -> Problem:
    return Problem(422, ErrorCode.INVALID_REQUEST, f"response_format.json_schema.schema cannot be used: {error}.")


async def complete_checked(
    backend: Backend, request: ChatRequest, model: str, schema: AnswerSchema
) -> tuple[Answered, bool]:
    """An answer that fulfils the schema, and whether it had to be repaired. Raises InvalidAnswer and Problem 422."""
    first = await backend.complete(request, model)
    try:
        broken = find_fault(first.completion, schema)
        if broken is None:
            return first, False
        if len(first.completion["choices"]) > 1:
            raise BrokenAnswer(f"one of several choices breaks the schema: {broken}")
        mended = False
        try:
            second = await backend.complete(repair_request(request, first.completion, broken), model)
            still_broken = find_fault(second.completion, schema)
            mended = still_broken is None
        finally:
            metrics.REPAIRS.labels(backend.name, str(mended).lower()).inc()
    except BrokenSchema as error:
        raise unusable_schema(error) from None
    if still_broken is not None:
        raise BrokenAnswer(f"the answer breaks its schema, and so does its repair: {still_broken}")
    add_usage(second.completion, first.completion)
    return replace(second, attempts=[*map(_as_broken, first.attempts), *second.attempts]), True


def _as_broken(attempt: Attempt) -> Attempt:
    if attempt.outcome is not AttemptOutcome.OK:
        return attempt
    update = {"outcome": AttemptOutcome.FAILED, "error_type": FailureType.INVALID_RESPONSE}
    return attempt.model_copy(update=update)


def find_fault(completion: Completion, schema: AnswerSchema) -> InvalidJson | None:
    """What is wrong with the JSON in a choice. Raises CutOff where it is wrong for want of tokens."""
    for choice in completion["choices"]:
        message = choice["message"]
        if message.get("tool_calls") or message.get("refusal"):
            continue
        try:
            schema.check(str(message.get("content") or ""))
        except InvalidJson as fault:
            if choice.get("finish_reason") == "length":
                raise CutOff(
                    "the JSON was cut off at the token limit (finish_reason length); raise max_tokens"
                ) from None
            return fault
    return None


def repair_request(request: ChatRequest, broken: Completion, error: InvalidJson) -> ChatRequest:
    """The same question with the broken answer and what is wrong with it."""
    said = broken["choices"][0]["message"].get("content") or ""
    complaint = (
        f"Your answer does not fulfil the JSON schema. {error}\n"
        "Answer again: the corrected JSON only, without comments or code fences."
    )
    turns = [{"role": "assistant", "content": said}, {"role": "user", "content": complaint}]
    return request.model_copy(update={"messages": [*request.messages, *turns]})


def add_usage(mended: Completion, broken: Completion) -> None:
    """The caller pays for both answers, so both are in `usage`."""
    first, second = broken.get("usage"), mended.get("usage")
    if isinstance(first, dict) and isinstance(second, dict):
        counts: dict[str, Any] = {name: first.get(name, 0) + second.get(name, 0) for name in _USAGE_COUNTS}
        mended["usage"] = {**second, **counts}
