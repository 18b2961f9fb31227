"""`/talk` over the api's own conversations, with a microphone that speaks every four seconds and stand-in stages."""

import math
import struct
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from tests.stand_in_stages import Stages, stand_in_stages
from tests.web import chromium
from tests.web.chromium import Browser, Page
from tests.web.serving import serve
from tests.web.test_talk import PHASE

RATE = 48_000
SAID = "[...document.querySelectorAll('.turn.person .settled')].map((one) => one.textContent)"
ANSWERED = "[...document.querySelectorAll('.turn.reply .said')].map((one) => one.textContent)"


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A second of speech, three of silence, and again."""
    if chromium.CHROMIUM is None:
        pytest.skip("no browser")
    folder = tmp_path_factory.mktemp("speaker")
    loud = [int(12_000 * math.sin(2 * math.pi * 437 * at / RATE)) for at in range(RATE)]
    samples = [*[0] * RATE, *loud, *[0] * (2 * RATE)]
    with wave.open(str(folder / "speech.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    with chromium.browser(folder / "profile", chromium.speaking(folder / "speech.wav")) as started:
        yield started


@pytest.fixture
def stages() -> Iterator[Stages]:
    with stand_in_stages() as made:
        yield made


@pytest.fixture
def page(speaker: Browser, stages: Stages, tmp_path: Path) -> Iterator[Page]:
    settings = ApiSettings(
        stt_url=stages.url,
        llm_url=stages.url,
        tts_url=stages.url,
        data_dir=tmp_path / "data",
        breaker_open_seconds=0.2,
    )
    address, stop = serve(create(settings))
    try:
        with speaker.page() as opened:
            opened.go(f"{address}/talk")
            yield opened
            assert opened.complaints() == []
    finally:
        stop()


def start(page: Page) -> None:
    page.click("#go", "대화 시작")
    page.wait(f"{PHASE} !== 'off' && {PHASE} !== 'connecting'")


def test_three_turns_are_heard_answered_and_remembered(page: Page, stages: Stages) -> None:
    stages.words = ["안녕하세요?", "What time do you open?", "고맙습니다."]
    stages.replies = ["반갑습니다.", "At nine.", "천만에요."]
    stages.speech_bytes = 24_000
    start(page)
    page.wait(f"{ANSWERED}.length === 3 && {ANSWERED}[2] === '천만에요.'")
    assert page.run(SAID) == ["안녕하세요?", "What time do you open?", "고맙습니다."]
    assert page.run(ANSWERED) == ["반갑습니다.", "At nine.", "천만에요."]
    page.shows("언어 모델의 첫 낱말", ".timings")
    page.wait("document.querySelector('.felt strong')")
    assert page.run("document.querySelectorAll('.banner.danger').length") == 0
    told = [one["content"] for one in stages.asked[-1]["messages"] if one["role"] != "system"]
    assert "안녕하세요?" in told[0]
    assert told[1] == "반갑습니다."


def test_speaking_into_an_answer_cuts_it_short(page: Page, stages: Stages) -> None:
    stages.words = ["길게 말해 주세요.", "잠깐만요."]
    stages.replies = ["첫째 문장입니다. 둘째 문장입니다.", "네."]
    stages.speech_bytes = 48_000 * 8
    start(page)
    page.shows("중간에 멈춤", ".turn.reply")
    page.shows("둘째 문장입니다.", ".never-heard")
    page.wait(f"{ANSWERED}[1] === '네.'")
    heard = [one["content"] for one in stages.asked[-1]["messages"] if one["role"] == "assistant"]
    assert "둘째" not in str(heard)


@pytest.mark.parametrize(
    ("broken", "said"),
    [("llm", "준비된 문장입니다"), ("tts", "대답은 글로 옵니다"), ("stt", "지금은 말씀을 알아들을 수 없습니다")],
)
def test_a_stage_that_goes_is_told_and_comes_back(page: Page, stages: Stages, broken: str, said: str) -> None:
    stages.words = [f"{number}번째 말입니다." for number in range(1, 60)]
    start(page)
    page.wait(f"{ANSWERED}.length === 1")
    stages.broken.add(broken)
    if broken == "stt":
        stages.lose_stt()
    page.shows(said, ".banner")
    stages.broken.clear()
    page.wait("!document.querySelector('.banner.danger')")
    page.wait(f"{ANSWERED}.at(-1) === '알겠습니다. 또 말씀해 주세요.' && {ANSWERED}.length > 2")
    assert page.run(PHASE) != "off"
