from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chammal_kit.door import Door
from tests.web import chromium, samples, stand_in

Serve = Callable[..., stand_in.StandIn]


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
