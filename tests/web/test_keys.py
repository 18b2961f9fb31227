"""The page before a door with keys: the key is asked for, kept in the tab, and never in an address."""

from chammal_kit.door import Door
from chammal_kit.keys import KeyRing, KeyScope, new_key
from tests.web import samples
from tests.web.chromium import Page
from tests.web.conftest import Serve

KEY, STORED = new_key("supervisor", [KeyScope.CALLS])


def test_a_key_is_asked_for_and_then_all_works(page: Page, serve: Serve) -> None:
    api = serve(Door(KeyRing(STORED.line())))
    api.put(samples.complete())
    page.expected.append("status of 401")
    page.go(api.address)
    page.click("dialog input")
    page.type("chm_wrong")
    page.click("dialog .primary")
    page.shows("서버가 이 키를 받지 않았습니다", "dialog")
    page.run("document.querySelector('dialog input').select()")
    page.type(KEY)
    page.press("Enter", 13)
    page.click(".calls a", "2026-1120-0007")
    page.click(".evidence button", "사실상 원금 보장이라고")
    page.wait("document.querySelector('audio').currentTime >= 15")
    assert page.run("document.querySelector('audio').src.startsWith('blob:')")
    api.put(samples.healed())
    page.shows("새 결과가 도착했습니다 (개정 2)", ".banners")
    page.click(".menu summary")
    assert page.run("document.querySelectorAll('.menu a').length") == 0, "a link cannot carry the key"
    assert not [url for url in page.requested() if KEY in url or "chm_" in url]
    assert page.run("[localStorage.length, document.cookie, sessionStorage.length]") == [0, "", 1]


def test_a_key_of_another_scope_is_told_so(page: Page, serve: Serve) -> None:
    other, stored = new_key("speaker", [KeyScope.SPEECH])
    api = serve(Door(KeyRing(stored.line())))
    page.expected += ["status of 401", "status of 403"]
    page.go(api.address)
    page.click("dialog input")
    page.type(other)
    page.click("dialog .primary")
    page.shows("이 키로는 통화를 볼 수 없습니다")
