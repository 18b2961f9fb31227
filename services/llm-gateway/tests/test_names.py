import asyncio

import pytest

from chammal_contracts.stages import FailureType
from chammal_kit.deadline import Deadline, set_deadline
from chammal_kit.upstream_errors import UpstreamError
from chammal_llm_gateway.names import ModelNames

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Listing:
    def __init__(self) -> None:
        self.ids = ["first", "second"]
        self.asked = 0
        self.now = 100.0

    async def __call__(self) -> list[str]:
        self.asked += 1
        return self.ids

    def names(self, own: str | None = None) -> ModelNames:
        aliases = frozenset({"default", "gpt-4o"})
        return ModelNames(self, own=own, aliases=aliases, believed_seconds=30, clock=lambda: self.now)


async def test_the_first_listed_model_is_asked_for_once() -> None:
    listing = Listing()
    names = listing.names()
    assert [await names.resolve(name) for name in ("default", "gpt-4o", "second")] == ["first", "first", "second"]
    assert listing.asked == 1


async def test_a_configured_model_needs_no_question() -> None:
    listing = Listing()
    names = listing.names(own="mine")
    assert [await names.resolve(name) for name in ("default", "mine")] == ["mine", "mine"]
    assert listing.asked == 0


async def test_an_unknown_name_asks_again_only_when_the_list_is_old() -> None:
    listing = Listing()
    names = listing.names()
    assert await names.resolve("third") is None
    listing.ids = ["third"]
    assert await names.resolve("third") is None
    listing.now += 30
    assert await names.resolve("third") == "third"


async def test_what_is_forgotten_is_asked_for_again() -> None:
    listing = Listing()
    names = listing.names()
    await names.resolve("default")
    listing.ids = ["other"]
    names.forget()
    assert await names.resolve("default") == "other"


class Slow(Listing):
    """Answers, or fails, when it is let."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.failure = failure
        self.may_answer = asyncio.Event()
        self.left = 0

    async def __call__(self) -> list[str]:
        self.asked += 1
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        if self.failure:
            raise self.failure
        return self.ids


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_wait_for_a_list_share_one_question_and_its_failure() -> None:
    listing = Slow(UpstreamError("vllm", FailureType.READ_TIMEOUT, "silent"))
    names = listing.names()
    waiting = [asyncio.ensure_future(names.resolve("default")) for _ in range(16)]
    await settle()
    listing.may_answer.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert listing.asked == 1
    assert all(isinstance(result, UpstreamError) for result in results)
    listing.failure = None
    assert await names.resolve("default") == "first"


async def test_the_question_outlives_whoever_asked_first_but_not_the_last() -> None:
    listing = Slow()
    names = listing.names()
    first, second = (asyncio.ensure_future(names.resolve("default")) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    assert (first.cancelled(), listing.left) == (True, 0)
    second.cancel()
    await settle()
    assert (second.cancelled(), listing.left) == (True, 1)
    listing.may_answer.set()
    assert await names.resolve("default") == "first"


async def test_an_impatient_caller_neither_waits_nor_spoils_the_list_for_others() -> None:
    listing = Slow()
    names = listing.names()
    set_deadline(Deadline.after(0.01))
    impatient = asyncio.create_task(names.resolve("default"))
    await settle()
    set_deadline(None)
    patient = asyncio.create_task(names.resolve("default"))
    with pytest.raises(UpstreamError) as caught:
        await impatient
    assert caught.value.failure is FailureType.DEADLINE_EXCEEDED
    listing.may_answer.set()
    assert await patient == "first"
    assert listing.asked == 1
