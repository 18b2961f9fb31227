"""`/talk` without a mouse, without sight, or four times as large: of WCAG 2.2 AA what a browser can tell."""

import itertools
import json
from pathlib import Path

import pytest

from chammal_contracts.realtime import RealtimeClose
from chammal_contracts.voice import Emotion
from tests.web.chromium import Page
from tests.web.talk_events import answers, begins, done, ends, hears, stage, turn, understood
from tests.web.talk_stand_in import TalkStandIn
from tests.web.test_accessible import NAMED, OPEN_ALL, WIDE
from tests.web.test_talk import PHASE, open_talk


@pytest.fixture
def page(talk_page: Page) -> Page:
    return talk_page


def show(page: Page, mesh: TalkStandIn) -> None:
    """With a reply that was cut, a stage that is away, and words that are not settled."""
    open_talk(page, mesh)
    told = "토요일은 한 시까지 엽니다. 일요일은 쉽니다."
    mesh.tell(*turn("안녕하세요?", "반갑습니다.", 0.4), *answers(told, 20.0, "long"))
    page.wait(f"{PHASE} === 'speaking'")
    mesh.tell(begins("next"), done(told, "long", "cancelled", stages=[stage("tts", "dummy", error="away")]))
    mesh.tell({"type": "conversation.item.retrieved", "item": heard(told[:16])}, hears("그럼", " 언제", "next"))
    page.wait("document.querySelector('.never-heard') && document.querySelector('.unsettled')")
    page.wait("document.querySelector('.banner') && document.querySelector('.bar')")
    page.run(OPEN_ALL)


def heard(text: str) -> dict[str, object]:
    content = [{"type": "output_audio", "transcript": text}]
    return {"id": "long", "type": "message", "role": "assistant", "status": "incomplete", "content": content}


def test_whatever_is_operated_has_a_name_and_headings_lead_through_the_page(page: Page, mesh: TalkStandIn) -> None:
    show(page, mesh)
    told = page.heard()
    roles = {role for role, _ in told}
    assert roles >= {"button", "link", "main", "heading", "log", "meter", "textbox", "combobox", "checkbox"}
    assert [(role, name) for role, name in told if role in NAMED | {"log", "meter"} and not name.strip()] == []
    levels = page.run("[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels
    ids = page.run("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


def test_what_is_heard_is_not_read_out_as_well(page: Page, mesh: TalkStandIn) -> None:
    """The log is silent; the start, and what is amiss, are announced."""
    open_talk(page, mesh)
    assert page.run("document.querySelector('[role=log]').getAttribute('aria-live')") == "off"
    page.shows("듣고 있습니다", "#announcer")
    mesh.tell(begins(), hears("안녕"), ends(), understood("안녕"), *answers("네.", 0.4), done("네."))
    page.shows("네.", ".turn.reply")
    assert "네." not in page.run("document.querySelector('#announcer').textContent")
    assert page.run("document.querySelectorAll('.banners[aria-live=polite]').length") == 1


def test_an_answer_without_a_voice_is_read_out(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    mesh.tell(done("아홉 시에 엽니다.", stages=[stage("tts", "dummy", error="away")]))
    page.shows("아홉 시에 엽니다.", "#announcer")


def test_the_keyboard_alone_starts_types_stops_and_ends(page: Page, mesh: TalkStandIn) -> None:
    page.go(f"{mesh.address}/talk")
    page.run("document.querySelector('#go').focus()")
    page.press("Enter", 13)
    page.wait(f"{PHASE} === 'listening'")
    reached = []
    for _ in range(12):
        page.press("Tab", 9)
        reached.append(page.run("document.activeElement.name || document.activeElement.className"))
        if reached[-1] == "line":
            break
    assert reached[-1] == "line"
    assert "turns" in reached, "the log scrolls"
    page.type("안녕")
    page.press("Enter", 13)
    mesh.wait("response.create")
    mesh.tell(*answers("긴 대답입니다.", 20.0))
    page.wait(f"{PHASE} === 'speaking'")
    page.press("Escape", 27)
    mesh.wait("conversation.item.truncate")
    page.run("document.querySelector('#go').focus()")
    page.press("Enter", 13)
    page.wait(f"{PHASE} === 'off' && document.activeElement.id === 'go'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(page: Page, mesh: TalkStandIn, scheme: str) -> None:
    page.media(prefers_color_scheme=scheme)
    script = (Path(__file__).parent / "contrast.js").read_text()
    page.go(f"{mesh.address}/talk")
    page.wait("document.querySelector('#go').innerText")
    assert json.loads(page.run(script)) == []
    show(page, mesh)
    for phase in ("listening", "hearing", "speaking"):
        page.run(f"{PHASE} = '{phase}'")
        assert json.loads(page.run(script)) == [], phase


@pytest.mark.parametrize("language", ["ko", "en"])
def test_at_four_times_its_size_nothing_stands_beside_the_page(page: Page, mesh: TalkStandIn, language: str) -> None:
    page.size(320, 640)
    show(page, mesh)
    page.click(f"#{language}")
    page.wait(f"document.documentElement.lang === '{language}'")
    assert not page.run(WIDE)
    beyond = (
        "[...document.querySelectorAll('main *, header *')].filter((one) => one.checkVisibility()"
        " && !one.closest('.unseen') && one.getBoundingClientRect().right > innerWidth + 1)"
        ".map((one) => one.outerHTML.slice(0, 150))"
    )
    assert page.run(beyond) == []
    small = (
        "[...document.querySelectorAll('button, select, summary, textarea, label.tick, nav a')]"
        ".filter((one) => one.checkVisibility()).map((one) => [one, one.getBoundingClientRect()])"
        ".filter(([, { width, height }]) => width < 24 || height < 24)"
        ".map(([one, { width, height }]) => [one.outerHTML.slice(0, 150), width, height])"
    )
    assert page.run(small) == []


def test_every_value_of_the_contracts_has_a_name_in_both_languages(page: Page, mesh: TalkStandIn) -> None:
    page.go(f"{mesh.address}/talk")
    folder = page.run("document.querySelector('script').src.replace('talk.js', '')")
    known = set(page.run(f"import('{folder}korean.js').then((one) => Object.keys(one.korean))"))
    stages = ("stt", "emotion", "reply", "tts")
    wanted = {f"mood.{one}" for one in Emotion} | {f"stage.{one}" for one in stages}
    wanted |= {f"talk.banner.{one}.{lack}" for one in stages for lack in ("degraded", "dummy", "partly")}
    wanted |= {f"talk.closed.{code}" for code in RealtimeClose if code is not RealtimeClose.FAILED}
    assert wanted <= known
