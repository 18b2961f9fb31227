"""The page without a mouse, without sight, or four times as large: of WCAG 2.2 AA what a browser can tell."""

import itertools
import json
from pathlib import Path

import pytest

from tests.web import samples
from tests.web.chromium import Page
from tests.web.stand_in import StandIn
from tests.web.test_page import PLACE, open_call

OPERATED = {"button", "link", "textbox", "searchbox", "combobox", "checkbox", "slider", "DisclosureTriangle", "Date"}
NAMED = OPERATED | {"dialog", "progressbar", "region", "search", "table", "Audio", "img"}
SHOWN = ("/", f"/calls/{1:032x}", f"/calls/{2:032x}")
WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true })"


def show(page: Page, api: StandIn, path: str) -> None:
    """With all that unfolds unfolded."""
    page.go(api.address + path)
    page.wait("document.querySelector('.badge.danger')")
    page.run(OPEN_ALL)


@pytest.mark.parametrize("path", SHOWN)
def test_whatever_is_operated_has_a_name_and_headings_lead_through_the_page(
    page: Page, api: StandIn, recording: Path, path: str
) -> None:
    api.put(samples.partial(1))
    api.put(samples.complete(2))
    show(page, api, path)
    if path == "/":
        page.choose_files("#files", [recording])
        page.wait("document.querySelector('.upload a')")
    heard = page.heard()
    assert {role for role, _ in heard} >= {"button", "link", "main", "heading"}
    assert [(role, name) for role, name in heard if role in NAMED and not name.strip()] == []
    levels = page.run(
        "[...document.querySelectorAll('h1, h2, h3, h4')].filter((one) => one.checkVisibility())"
        ".map((one) => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels
    ids = page.run("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", SHOWN)
def test_the_keyboard_comes_to_everything_and_shows_where_it_is(page: Page, api: StandIn, path: str) -> None:
    api.put(samples.partial(1))
    api.put(samples.complete(2))
    show(page, api, path)
    page.run("globalThis.reached = new Set()")
    where = """(() => {
      const at = document.activeElement;
      if (at === document.body) return "end";
      reached.add(at);
      const seen = at.classList.contains("unseen") ? at.nextElementSibling : at;
      const { top, bottom, width } = seen.getBoundingClientRect();
      const marked = getComputedStyle(seen).outlineStyle !== "none" || at.tagName === "AUDIO";
      return marked && width > 0 && bottom > 0 && top < innerHeight ? "" : at.outerHTML.slice(0, 200);
    })()"""
    lost = []
    for _ in range(150):
        page.press("Tab", 9)
        if (found := page.run(where)) == "end":
            break
        lost.append(found)
    assert [one for one in lost if one] == []
    missed = (
        "[...document.querySelectorAll('button, a, input, select, summary')]"
        ".filter((one) => one.checkVisibility() && !reached.has(one)).map((one) => one.outerHTML.slice(0, 200))"
    )
    assert page.run(missed) == []


def test_evidence_is_played_with_the_keyboard(page: Page, api: StandIn) -> None:
    api.put(samples.complete())
    open_call(page, api)
    page.run("document.querySelector('.evidence button').focus()")
    page.press("Enter", 13)
    page.wait(f"{PLACE} >= 15")


def test_the_keyboard_stays_where_it_is_when_a_healed_revision_arrives(page: Page, api: StandIn) -> None:
    api.put(samples.partial())
    open_call(page, api)
    held = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    for selector in ("[data-element=EXP-07] .evidence button", ".chips [data-verdict=위반의심]", ".actions .danger"):
        api.put(samples.partial())
        page.shows("점검에 언어 모델의 답이 없었습니다", ".banners")
        page.run(f"document.querySelector('{selector}').focus()")
        before = page.run(held)
        api.put(samples.healed())
        page.shows("저절로 복구된 결과", ".banners")
        assert page.run(held) == before
        assert page.run("document.activeElement.isConnected && document.activeElement !== document.body")


def test_the_keyboard_stays_on_an_upload_that_goes_on(page: Page, api: StandIn, recording: Path) -> None:
    page.expected.append("status of 429")
    api.busy = 2
    page.go(api.address)
    page.wait("document.querySelector('.drop')")
    page.choose_files("#files", [recording])
    page.shows("서버가 바쁩니다", ".upload")
    page.run("globalThis.first = document.querySelector('.upload button'); first.focus()")
    page.wait("!first.isConnected && document.activeElement.closest('.upload')?.tagName === 'LI'")


def test_escape_closes_the_menu_and_a_dialog_and_gives_the_keyboard_back(page: Page, api: StandIn) -> None:
    api.put(samples.complete())
    open_call(page, api)
    page.click(".menu summary")
    page.press("Tab", 9)
    page.press("Escape", 27)
    assert page.run("!document.querySelector('.menu').open && document.activeElement.tagName") == "SUMMARY"
    page.run("document.querySelector('.actions .danger').focus()")
    page.press("Enter", 13)
    page.shows("통화를 삭제할까요?", "dialog")
    assert ("dialog", "통화를 삭제할까요?") in page.heard()
    page.press("Escape", 27)
    page.wait("!document.querySelector('dialog')")
    assert page.run("document.activeElement.matches('.actions .danger')")
    assert len(api.calls) == 1


def test_what_was_spoken_is_read_out_in_its_language(page: Page, api: StandIn) -> None:
    api.put(samples.complete())
    open_call(page, api)
    page.click("#en")
    page.shows("What the agent did", ".side")
    spoken = "[...document.querySelectorAll('.utterances .text, .evidence q, .lead, .side dd')].map((one) => one.lang)"
    assert set(page.run(spoken)) == {"ko"}
    assert page.run("document.documentElement.lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(page: Page, api: StandIn, scheme: str) -> None:
    api.put(samples.partial(1))
    api.put(samples.complete(2))
    page.media(prefers_color_scheme=scheme)
    script = (Path(__file__).parent / "contrast.js").read_text()
    for path in SHOWN:
        show(page, api, path)
        assert json.loads(page.run(script)) == [], path


@pytest.mark.parametrize("path", SHOWN)
def test_what_is_pressed_is_large_enough(page: Page, api: StandIn, path: str) -> None:
    api.put(samples.partial(1))
    api.put(samples.complete(2))
    show(page, api, path)
    small = (
        "[...document.querySelectorAll('button, select, summary, input:not(.unseen, [type=checkbox])')]"
        ".filter((one) => one.checkVisibility()).map((one) => [one, one.getBoundingClientRect()])"
        ".filter(([, { width, height }]) => width < 24 || height < 24)"
        ".map(([one, { width, height }]) => [one.outerHTML.slice(0, 150), width, height])"
    )
    assert page.run(small) == []


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("path", SHOWN)
def test_at_four_times_its_size_nothing_stands_beside_the_page(
    page: Page, api: StandIn, path: str, language: str
) -> None:
    api.put(samples.partial(1))
    api.put(samples.complete(2))
    page.size(320, 640)
    show(page, api, path)
    page.click(f"#{language}")
    page.wait(f"document.documentElement.lang === '{language}'")
    page.run(OPEN_ALL)
    assert not page.run(WIDE)
    beyond = (
        "[...document.querySelectorAll('main *')].filter((one) => one.checkVisibility() && !one.closest('.unseen')"
        " && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 150))"
    )
    assert page.run(beyond) == []


def test_on_a_narrow_screen_nothing_stands_beside_it_and_evidence_brings_its_words_into_view(
    page: Page, api: StandIn
) -> None:
    api.put(samples.complete())
    page.size(390, 800)
    page.go(api.address)
    page.shows("위반의심 1", ".calls")
    assert not page.run(WIDE)
    assert page.run("document.querySelector('.calls').getBoundingClientRect().right <= innerWidth")
    open_call(page, api)
    assert not page.run(WIDE)
    page.click(".evidence button", "칠 일 이내에")
    page.wait("document.querySelector('.quoted').getBoundingClientRect().top > 0")
