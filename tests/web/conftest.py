import math
import struct
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chammal_kit.door import Door
from tests.web import chromium, samples, stand_in, talk_stand_in

Serve = Callable[..., stand_in.StandIn]
ServeTalk = Callable[..., talk_stand_in.TalkStandIn]
HERTZ, LOUDNESS = 1000.0, 0.3
"""Of what the microphone hears."""


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    if chromium.CHROMIUM is None:
        pytest.skip("no browser")
    with chromium.browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.recording(tmp_path_factory.mktemp("audio") / "call-0007.wav")


@pytest.fixture
def serve(recording: Path) -> Iterator[Serve]:
    stops = []

    def serve(door: Door | None = None) -> stand_in.StandIn:
        made = stand_in.StandIn(recording)
        stops.append(stand_in.start(made, door))
        return made

    yield serve
    for stop in stops:
        stop()


@pytest.fixture
def api(serve: Serve) -> stand_in.StandIn:
    return serve()


@pytest.fixture
def page(browser: chromium.Browser, serve: Serve) -> Iterator[chromium.Page]:
    """In Korean; closed before the servers are.

    Every test ends with a look at what the browser complained of, and where it went.
    """
    with browser.page() as opened:
        yield opened
        asked = opened.requested()
        assert opened.complaints() == []
        assert {url.split("/")[2] for url in asked if not url.startswith(("blob:", "data:"))} <= {
            url.split("/")[2] for url in asked[:1]
        }


@pytest.fixture(scope="session")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    """With a microphone that hears a tone."""
    if chromium.CHROMIUM is None:
        pytest.skip("no browser")
    folder = tmp_path_factory.mktemp("talker")
    rate = 48_000
    samples = [int(32767 * LOUDNESS * math.sin(2 * math.pi * HERTZ * at / rate)) for at in range(rate * 2)]
    with wave.open(str(folder / "tone.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    with chromium.browser(folder / "profile", chromium.speaking(folder / "tone.wav")) as started:
        yield started


@pytest.fixture
def serve_talk() -> Iterator[ServeTalk]:
    stops = []

    def serve(door: Door | None = None) -> talk_stand_in.TalkStandIn:
        made = talk_stand_in.TalkStandIn()
        stops.append(talk_stand_in.start(made, door))
        return made

    yield serve
    for stop in stops:
        stop()


@pytest.fixture
def mesh(serve_talk: ServeTalk) -> talk_stand_in.TalkStandIn:
    return serve_talk()


@pytest.fixture
def talk_page(talker: chromium.Browser, serve_talk: ServeTalk) -> Iterator[chromium.Page]:
    """In Korean; every test ends with a look at what the browser complained of."""
    with talker.page() as opened:
        yield opened
        assert opened.complaints() == []
