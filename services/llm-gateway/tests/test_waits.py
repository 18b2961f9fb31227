import pytest

from chammal_llm_gateway.answer import Usage
from chammal_llm_gateway.settings import BackendName
from chammal_llm_gateway.waits import Waits

VLLM, OLLAMA = BackendName.VLLM, BackendName.OLLAMA


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def usage(tokens: int) -> Usage:
    return Usage(input_tokens=10, output_tokens=tokens)


def test_a_whole_answer_has_waited_what_it_took_beyond_its_tokens_at_the_best_pace() -> None:
    told: list[float] = []
    waits = Waits(lambda seconds, _: told.append(seconds))
    waits.answered(VLLM, 1.0, usage(100))
    waits.answered(VLLM, 3.0, usage(100))
    waits.answered(VLLM, 2.0, usage(200))
    waits.answered(OLLAMA, 9.0, usage(100))
    assert told == pytest.approx([0.0, 2.0, 0.0, 0.0], abs=0.01)


def test_the_best_pace_is_forgotten_slowly() -> None:
    told: list[float] = []
    clock = Clock()
    waits = Waits(lambda seconds, _: told.append(seconds), clock)
    waits.answered(VLLM, 1.0, usage(100))
    clock.now = 3600.0
    waits.answered(VLLM, 3.0, usage(100))
    assert told == pytest.approx([0.0, 1.0])


def test_a_stream_has_waited_until_its_first_token_and_what_counts_no_tokens_tells_nothing() -> None:
    told: list[float] = []
    waits = Waits(lambda seconds, _: told.append(seconds))
    waits.streamed(0.7)
    waits.answered(VLLM, 5.0, None)
    waits.answered(VLLM, 5.0, usage(0))
    assert told == [0.7]
