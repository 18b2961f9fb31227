"""Korean and English: the same things are said in both, and for every value that the api has."""

from chammal_contracts.calls import CallMetadata, CallStatus, HealingState, Priority
from chammal_contracts.checks import CallChannel, CustomerType, ProductType, Verdict
from chammal_contracts.transcribe import AgentRequestFormat
from tests.web import samples
from tests.web.chromium import Browser, Page
from tests.web.stand_in import StandIn
from tests.web.test_page import open_call


def test_the_browsers_language_is_spoken_until_another_is_chosen(browser: Browser, api: StandIn) -> None:
    api.put(samples.partial())
    with browser.page("en-GB,en") as page:
        open_call(page, api)
        page.shows("The check had no answer from the language model", ".banners")
        page.shows("Suspected", ".elements")
        page.click("#ko")
        page.shows("점검에 언어 모델의 답이 없었습니다", ".banners")
        assert page.run("document.documentElement.lang") == "ko"
        page.go(api.address)
        page.shows("녹취 올리기")
        assert page.complaints() == []


def test_both_languages_say_the_same_things(page: Page, api: StandIn) -> None:
    page.go(api.address)
    page.wait("document.querySelector('.drop')")
    folder = page.run("document.querySelector('script').src.replace('main.js', '')")
    tables = page.run(
        f"Promise.all(['korean', 'english'].map(async (one) => (await import('{folder}' + one + '.js'))[one]))"
    )
    holes = [
        {name: sorted({part.split("}")[0] for part in text.split("{")[1:]}) for name, text in table.items()}
        for table in tables
    ]
    assert holes[0] == holes[1]


def test_every_value_of_the_contracts_has_a_name_in_both_languages(page: Page, api: StandIn) -> None:
    page.go(api.address)
    page.wait("document.querySelector('.drop')")
    folder = page.run("document.querySelector('script').src.replace('main.js', '')")
    known = set(page.run(f"import('{folder}korean.js').then((one) => Object.keys(one.korean))"))
    wanted = {f"verdict.{one}" for one in Verdict} | {f"status.{one}" for one in CallStatus}
    wanted |= {f"product.{one}" for one in ProductType} | {f"customer.{one}" for one in CustomerType}
    wanted |= {f"healing.{one}" for one in HealingState} | {f"channel.{one}" for one in CallChannel}
    wanted |= {f"format.{one}" for one in AgentRequestFormat} | {f"priority.{one}" for one in Priority}
    wanted |= {f"field.{one}" for one in CallMetadata.model_fields}
    wanted |= {
        f"banner.{stage}.{state}"
        for stage in ("stt", "analysis", "summary")
        for state in ("degraded", "dummy", "skipped")
    }
    assert wanted <= known
