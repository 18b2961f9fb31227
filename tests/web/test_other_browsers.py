"""Firefox, and WebKitGTK in place of Safari: a turn on `/talk` with the browser's own sound, and the page of calls."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web import firefox, room, samples, webkit
from tests.web.opened import Driven
from tests.web.stand_in import StandIn
from tests.web.talk_events import ANSWER, answers, assistant, begins, done, ends, understood
from tests.web.talk_stand_in import TalkStandIn
from tests.web.test_talk import PHASE

ESCAPE, ENTER = "\ue00c", "\ue007"


@pytest.fixture(scope="module")
def in_firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[firefox.Page]:
    if firefox.FIREFOX is None or room.PULSEAUDIO is None:
        pytest.skip("no Firefox, or no PulseAudio for its sound")
    with (
        room.loudspeaker(tmp_path_factory.mktemp("sound")) as environment,
        firefox.page(tmp_path_factory.mktemp("firefox"), environment) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def in_webkit() -> Iterator[webkit.Page]:
    if None in (webkit.DRIVER, webkit.BROWSER, webkit.SCREEN):
        pytest.skip("no WebKitWebDriver, MiniBrowser or Xvfb")
    with webkit.page(dict(os.environ)) as opened:
        yield opened


@pytest.fixture(params=["in_firefox", "in_webkit"])
def page(request: pytest.FixtureRequest) -> Driven:
    opened: Driven = request.getfixturevalue(request.param)
    return opened


def test_a_turn_is_heard_answered_aloud_and_cut_short(page: Driven, mesh: TalkStandIn) -> None:
    page.go(f"{mesh.address}/talk")
    page.click("#en")
    page.shows("Start talking", "#go")
    page.click("#ko")
    page.click("#go", "대화 시작")
    heard = mesh.wait_for_audio(2.0)
    assert max(struct.unpack(f"<{len(heard) // 2}h", heard)) > 1000
    mesh.tell(begins(), ends(), understood("안녕하세요?"), *answers("첫 문장입니다. 둘째 문장입니다.", 20.0))
    page.wait(f"{PHASE} === 'speaking'")
    page.wait("document.querySelector('.felt strong')")
    page.type(ESCAPE)
    cut = mesh.wait("conversation.item.truncate")
    assert cut["item_id"] == ANSWER
    assert 0 < cut["audio_end_ms"] < 20_000
    mesh.tell(
        done("첫 문장입니다. 둘째 문장입니다.", status="cancelled"),
        {"type": "conversation.item.truncated", "item_id": ANSWER, "content_index": 0, "audio_end_ms": 900},
        {"type": "conversation.item.retrieved", "item": assistant("첫 문장입니다.", ANSWER)},
    )
    page.shows("둘째 문장입니다.", ".never-heard")
    page.click("[name=line]")
    page.type(f"몇 시에 여나요?{ENTER}")
    assert mesh.wait("conversation.item.create")["item"]["content"][0]["text"] == "몇 시에 여나요?"
    mesh.wait("response.create")
    page.click("#go", "끝내기")
    page.wait(f"{PHASE} === 'off'")
    assert page.run("document.querySelectorAll('.banner').length") == 0
    assert page.complaints() == []


def test_the_page_of_calls_lists_them(page: Driven, api: StandIn) -> None:
    api.put(samples.complete())
    page.go(api.address)
    page.click("#ko")
    page.shows("위반의심 1", ".calls")
    assert page.complaints() == []


def test_a_firefox_without_a_loudspeaker_says_why_it_hears_nothing(mesh: TalkStandIn, tmp_path: Path) -> None:
    if firefox.FIREFOX is None:
        pytest.skip("no Firefox")
    nowhere = os.environ | {"PULSE_SERVER": f"unix:{tmp_path / 'nothing'}"}
    profile = tmp_path / "profile"
    profile.mkdir()
    with firefox.page(profile, nowhere) as page:
        page.go(f"{mesh.address}/talk")
        page.click("#ko")
        page.click("#go", "대화 시작")
        page.shows("소리를 시작할 수 없습니다", ".banner")
