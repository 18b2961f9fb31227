import pytest

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
