import asyncio
import json

import pytest

from chammal_api.realtime.outbox import ClientTooSlow, Outbox
from chammal_contracts.realtime import AudioCleared, OutputAudioDelta, Settling, TranscriptionDelta

pytestmark = pytest.mark.anyio

MEGABYTE = "A" * (1 << 20)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def audio(delta: str) -> OutputAudioDelta:
    return OutputAudioDelta(response_id="r", item_id="i", delta=delta)


def settling(delta: str, unsettled: str) -> TranscriptionDelta:
    return TranscriptionDelta(item_id="i", delta=delta, chammal=Settling(unsettled=unsettled))


class Client:
    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.reads.set()
        self.got: list[dict[str, object]] = []

    async def send(self, text: str) -> None:
        await self.reads.wait()
        self.got.append(json.loads(text))


async def test_all_that_was_put_goes_in_its_order_before_the_end() -> None:
    client = Client()
    outbox = Outbox(client.send, 1)
    for delta in "ABC":
        outbox.put(audio(delta))
    outbox.close()
    await outbox.run()
    assert [event["delta"] for event in client.got] == ["A", "B", "C"]


async def test_whoever_makes_more_audio_waits_until_some_has_gone() -> None:
    client = Client()
    outbox = Outbox(client.send, 1)
    await outbox.send(audio(MEGABYTE))
    waiting = asyncio.create_task(outbox.send(audio("B")))
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.put(AudioCleared())
    running = asyncio.create_task(outbox.run())
    await waiting
    outbox.close()
    await running
    assert len(client.got) == 3


async def test_dropped_audio_never_goes_and_makes_room() -> None:
    client = Client()
    outbox = Outbox(client.send, 1)
    await outbox.send(audio(MEGABYTE))
    outbox.put(AudioCleared())
    outbox.drop_audio()
    await outbox.send(audio("B"))
    outbox.close()
    await outbox.run()
    assert [event["type"] for event in client.got] == ["input_audio_buffer.cleared", "response.output_audio.delta"]


async def test_of_texts_that_settle_nothing_only_the_newest_goes() -> None:
    client = Client()
    outbox = Outbox(client.send, 1)
    for event in (settling("a", "x"), settling("", "y"), settling("", "z"), settling("b", "")):
        outbox.put(event)
    outbox.close()
    await outbox.run()
    assert [event["delta"] for event in client.got] == ["a", "b"]


async def test_a_client_that_does_not_read_is_found_out() -> None:
    client = Client()
    client.reads.clear()
    outbox = Outbox(client.send, 0.01)
    outbox.put(AudioCleared())
    with pytest.raises(ClientTooSlow):
        await outbox.run()


async def test_answers_to_a_client_that_asks_and_does_not_read_are_bounded() -> None:
    client = Client()
    outbox = Outbox(client.send, 1)
    for _ in range(1024):
        outbox.put(AudioCleared())
    asking = asyncio.create_task(outbox.room_for_answers())
    await asyncio.sleep(0)
    assert not asking.done()
    running = asyncio.create_task(outbox.run())
    await asking
    outbox.close()
    await running
