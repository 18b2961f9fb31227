"""The page in a real browser: what a supervisor does, sees and hears."""

import json
from pathlib import Path

from chammal_contracts.calls import CallMetadata, CallStatus, Healing, HealingState, Progress, WebhookState
from chammal_contracts.checks import ProductType
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem
from tests.web import samples
from tests.web.chromium import Page
from tests.web.stand_in import StandIn

PLACE = "document.querySelector('audio').currentTime"


def open_call(page: Page, api: StandIn, number: int = 1) -> None:
    page.go(f"{api.address}/calls/{number:032x}")
    page.wait("document.querySelector('.utterances li[data-at]')")


def test_an_upload_shows_its_progress_until_the_result_is_there(page: Page, api: StandIn, recording: Path) -> None:
    page.go(api.address)
    page.shows("아직 통화가 없습니다")
    page.run("document.querySelector('[name=product_type]').value = '투자성'")
    page.choose_files("#files", [recording])
    page.shows("대기", ".upload")
    (metadata, name, size, key) = api.uploads[0]
    assert (metadata.product_type, name, size) == (ProductType.INVESTMENT, recording.name, recording.stat().st_size)
    assert len(key) == 32
    call = next(iter(api.calls.values()))
    running = call.model_copy(
        update={"status": CallStatus.RUNNING, "progress": Progress(stage="stt", done=12, total=30)}
    )
    api.put(running)
    page.shows("전사: 0:12 / 0:30", ".upload")
    page.wait("document.querySelector('.calls tr progress')?.value === 12")
    done = samples.complete().model_copy(update={"id": call.id})
    api.put(done)
    page.shows("완료", ".upload")
    page.shows("위반의심 1", ".calls")


def test_a_call_is_known_by_its_reference_and_by_its_file(page: Page, api: StandIn, recording: Path) -> None:
    api.put(samples.queued())
    page.go(api.address)
    page.shows("2026-1120-0007", ".calls a")
    page.shows("call-0007.wav", ".calls td p")
    page.choose_files("#files", [recording])
    page.shows(recording.name, ".calls tbody tr:first-child a")
    page.click(".calls tbody tr:first-child a")
    page.shows(recording.name, "#call h1")


def test_many_files_are_dropped_at_once_and_a_busy_server_is_asked_again(
    page: Page, api: StandIn, tmp_path: Path
) -> None:
    files = [tmp_path / f"통화 {number}.wav" for number in range(5)]
    for file in files:
        file.write_bytes(b"RIFF" + bytes(100))
    api.busy = 1
    page.expected.append("status of 429")
    page.go(api.address)
    page.wait("document.querySelector('.drop')")
    page.drop_files(files)
    page.wait("document.querySelectorAll('.upload a').length === 5")
    assert sorted(name for _, name, _, _ in api.uploads) == sorted(file.name for file in files)
    assert len({key for _, _, _, key in api.uploads}) == 5


def test_everything_that_may_be_said_of_a_call_is_sent_with_it(page: Page, api: StandIn, recording: Path) -> None:
    said = {
        "product_type": "대출성", "channel": "video", "started_at": "2026-11-20T14:30", "agent_id": "A-7",
        "customer_type": "전문", "language": "ko", "channels": "mix", "hotwords": "서로인, 참말",
        "webhook_url": "https://crm.example/hooks/1", "agent_url": "https://agent.example/ask",
        "agent_request_format": "text_only", "rule_set": "house", "priority": "interactive", "reference": "R-1",
    }  # fmt: skip
    assert set(said) == set(CallMetadata.model_fields)
    page.go(api.address)
    page.wait("document.querySelector('.fields [name=rule_set] option[value=house]')")
    page.run("document.querySelector('.fields details').open = true")
    for name, value in said.items():
        page.run(f"document.querySelector('.fields [name={name}]').value = {json.dumps(value)}")
    page.click("#en")
    page.shows("About the call", ".fields")
    assert page.run("document.querySelector('.fields details').open")
    assert page.run("document.querySelector('.fields [name=rule_set]').innerText.includes('House rules')")
    page.choose_files("#files", [recording])
    page.shows("Queued", ".upload")
    ((metadata, _, _, _),) = api.uploads
    assert metadata.started_at is not None
    assert metadata.started_at.tzinfo is not None
    told = metadata.model_dump(mode="json")
    assert told | {"started_at": said["started_at"]} == said


def test_what_is_not_known_of_a_call_is_not_said(page: Page, api: StandIn, recording: Path) -> None:
    page.go(api.address)
    page.wait("document.querySelector('.drop')")
    page.choose_files("#files", [recording])
    page.shows("대기", ".upload")
    assert api.uploads[0][0] == CallMetadata()


def test_an_address_that_is_not_allowed_is_told_with_the_reason(page: Page, api: StandIn, recording: Path) -> None:
    page.expected.append("status of 403")
    api.refusal = Problem(403, ErrorCode.WEBHOOK_URL_NOT_ALLOWED, "webhook_url: 10.0.0.1 is a private address.")
    page.go(api.address)
    page.wait("document.querySelector('.drop')")
    page.choose_files("#files", [recording])
    page.shows("이 웹훅 주소는 쓸 수 없습니다. webhook_url: 10.0.0.1 is a private address.", ".upload")


def test_what_is_typed_stays_when_the_rules_come(page: Page, api: StandIn) -> None:
    api.rules_held = True
    page.go(api.address)
    page.shows("아직 통화가 없습니다")
    page.run("document.querySelector('.fields [name=reference]').value = 'R-9'")
    page.click(".filters [name=q]")
    page.run("document.querySelector('.filters [name=q]').value = '원금'")
    api.tell_rules()
    page.wait("document.querySelector('.filters [name=element] option[value=SOL-01]')")
    page.wait("document.querySelector('.fields [name=rule_set] option[value=house]')")
    shown = "document.activeElement.value + document.querySelector('.fields [name=reference]').value"
    assert page.run(shown) == "원금R-9"


def test_a_refused_upload_says_why(page: Page, api: StandIn, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    page.expected.append("status of 400")
    page.go(api.address)
    page.wait("document.querySelector('.drop')")
    page.choose_files("#files", [tmp_path / "empty.wav"])
    page.shows("파일이 비어 있습니다", ".upload")


def test_evidence_plays_its_moment_and_marks_the_quote(page: Page, api: StandIn) -> None:
    api.put(samples.complete())
    open_call(page, api)
    page.click(".evidence button", "사실상 원금 보장이라고")
    page.wait(f"{PLACE} >= 15 && {PLACE} < 20")
    page.wait("document.querySelector('.quoted')?.innerText.includes('사실상 원금 보장이라고')")
    assert page.run("[...CSS.highlights.get('quote')].map(String)") == ["사실상 원금 보장이라고 보시면 됩니다"]


def test_the_transcript_follows_the_sound_and_a_click_goes_there(page: Page, api: StandIn) -> None:
    api.put(samples.complete())
    open_call(page, api)
    page.click(".utterances li", "철회도 되나요")
    page.wait("document.querySelector('.utterances li[aria-current]')?.innerText.includes('철회도 되나요')")
    assert page.run(f"{PLACE} >= 22.5")
    page.wait("[...(CSS.highlights.get('word') ?? [])].map(String)[0]?.startsWith('네')")
    page.wait("document.querySelector('.utterances li[aria-current]')?.innerText.includes('칠 일 이내에')")


def test_a_healed_revision_arrives_and_the_sound_plays_on(page: Page, api: StandIn) -> None:
    api.put(samples.partial())
    open_call(page, api)
    page.shows("점검에 언어 모델의 답이 없었습니다", ".banners")
    page.shows("이유: 서비스에 연결할 수 없음: llm-gateway: connection refused", ".banners")
    page.shows("서비스가 돌아오면 빠진 단계(점검, 요약)만 저절로 다시 합니다", ".banners")
    page.shows("핵심어 규칙만으로 본 결과", ".banners")
    page.click(".utterances li", "위험등급은 삼 등급입니다")
    page.wait(f"{PLACE} >= 20 && !document.querySelector('audio').paused")
    page.run("globalThis.before = [document.querySelector('audio'), document.querySelector('.utterances li')]")
    api.put(samples.healed())
    page.shows("새 결과가 도착했습니다 (개정 2)", ".banners")
    page.shows("저절로 복구된 결과", ".banners")
    page.shows("이전: 판정불가", "[data-element=EXP-08]")
    page.shows("미충족", "[data-element=EXP-08]")
    page.shows("글로벌 채권 펀드를 소개했고", ".side")
    kept = "document.querySelector('audio') === before[0] && document.querySelector('.utterances li') === before[1]"
    assert page.run(f"{kept} && {PLACE} >= 20")
    assert not page.run("document.querySelector('.banners').innerText.includes('언어 모델의 답이 없었습니다')")


def test_what_was_said_is_text_whatever_it_says(page: Page, api: StandIn) -> None:
    hostile = '<img src=x onerror="document.title=1"><script>fetch("https://evil.example")</script>&lt;b&gt;'
    call = samples.complete(reference=hostile)
    assert call.transcript is not None
    assert call.check is not None
    assert call.summary is not None
    call.transcript.utterances[0].text = hostile
    call.check.elements[0].name = call.check.elements[0].article = call.check.elements[0].evidence[0].quote = hostile
    call.summary.sentence = call.summary.reason = hostile
    call.recording.filename = call.metadata.agent_id = hostile[:120]
    call.stages[0].error = hostile
    api.put(call)
    page.go(api.address)
    page.shows(hostile, ".calls")
    open_call(page, api)
    for place in (".utterances", ".elements", ".side", ".call-head"):
        page.shows(hostile, place)
    assert page.run("document.querySelectorAll('main img, main script').length") == 0


def test_markup_from_a_string_is_refused_by_the_browser_itself(page: Page, api: StandIn) -> None:
    page.expected.append("TrustedHTML")
    page.go(api.address)
    page.wait("document.querySelector('.drop')")
    tried = "try { document.body.innerHTML = '<b>'; return 'taken' } catch (error) { return error.name }"
    assert page.run(f"(() => {{ {tried} }})()") == "TypeError"


def test_a_failed_call_says_why(page: Page, api: StandIn) -> None:
    api.put(samples.failed())
    page.go(f"{api.address}/calls/{1:032x}")
    page.shows("이 녹음은 분석할 수 없었습니다", ".banners")
    page.shows("cannot be decoded", ".banners")


def test_what_was_sent_with_a_call_is_shown_and_who_was_told_of_it(page: Page, api: StandIn) -> None:
    call = samples.complete()
    call.metadata.hotwords = "서로인"
    call.metadata.webhook_url = "https://crm.example/hooks/1"
    call.metadata.rule_set = "house"
    api.put(call)
    open_call(page, api)
    page.click(".facts summary")
    for told in ("서로인", "house", "https://crm.example/hooks/1", "아직 알리지 않았습니다"):
        page.shows(told, ".facts")
    state = WebhookState(revision=1, attempts=3, last_status=500, error="http_error: HTTP 500")
    api.put(call.model_copy(update={"webhook": state}))
    page.shows("알리지 못했습니다 (개정 1): 3번 시도, 마지막은 http_error: HTTP 500", ".facts")
    api.put(call.model_copy(update={"webhook": WebhookState(revision=1, attempts=4, delivered=True, last_status=204)}))
    page.shows("4번째 시도에 알렸습니다", ".facts")
    assert page.run("document.querySelector('.facts').open")


def test_a_call_is_deleted_only_after_a_yes(page: Page, api: StandIn) -> None:
    api.put(samples.complete())
    open_call(page, api)
    page.click(".actions .danger")
    page.click("dialog button", "취소")
    page.wait("!document.querySelector('dialog')")
    assert len(api.calls) == 1
    page.click(".actions .danger")
    page.click("dialog .danger")
    page.shows("아직 통화가 없습니다")
    assert not api.calls
    assert page.run("location.pathname") == "/"


def test_a_call_is_analysed_again_after_a_yes(page: Page, api: StandIn) -> None:
    api.put(samples.complete())
    open_call(page, api)
    page.click(".actions button", "다시 분석")
    page.click("dialog .primary")
    page.shows("차례를 기다리고 있습니다", ".banners")
    assert api.reanalysed == [f"{1:032x}"]


def test_filters_stand_in_the_address_and_come_back_with_it(page: Page, api: StandIn) -> None:
    api.put(samples.complete(1, "첫째"))
    api.put(samples.failed(2, "둘째"))
    page.go(f"{api.address}/?status=failed&from=2026-11-01")
    page.shows("둘째", ".calls")
    assert not page.run("document.querySelector('.calls').innerText.includes('첫째')")
    assert api.queries[-1]["status"] == "failed"
    assert api.queries[-1]["from"].startswith("2026-1")
    page.click(".calls a", "둘째")
    page.shows("이 녹음은 분석할 수 없었습니다")
    page.click(".back")
    page.shows("둘째", ".calls")
    page.click(".filters button", "조건 지우기")
    page.shows("첫째", ".calls")
    page.click(".filters [name=q]")
    page.type('원금 "보장" OR *')
    page.shows("조건에 맞는 통화가 없습니다")
    assert api.queries[-1]["q"] == '원금 "보장" OR *'


def test_calls_are_found_by_healing_by_product_and_by_what_a_human_must_see(page: Page, api: StandIn) -> None:
    wanted = {"healing": "waiting", "product_type": "투자성", "needs_human": "true"}
    api.put(samples.partial())
    page.go(api.address)
    page.shows("2026-1120-0007", ".calls")
    for name, value in wanted.items():
        page.run(
            f"(() => {{ const field = document.querySelector('.filters [name={name}]');"
            f" field.value = '{value}'; field.dispatchEvent(new Event('change')) }})()"
        )
    page.wait(f"new URLSearchParams(location.search).size === {len(wanted)}")
    page.run("location.reload()")
    page.wait("document.querySelector('.filters [name=healing]')?.value === 'waiting'")
    page.shows("2026-1120-0007", ".calls")
    assert {name: api.queries[-1].get(name) for name in wanted} == wanted
    assert page.run("document.querySelector('.filters [name=product_type]').value") == "투자성"
    page.click(".filters button", "조건 지우기")
    page.wait("location.search === ''")
    page.shows("2026-1120-0007", ".calls")
    assert not wanted.keys() & api.queries[-1].keys()


def test_more_calls_are_shown_when_asked_for(page: Page, api: StandIn) -> None:
    for number in range(1, 121):
        api.put(samples.queued(number, f"통화 {number}"))
    page.go(api.address)
    page.shows("50건을 보고 있습니다")
    page.click("#list > section > button", "더 보기")
    page.shows("100건을 보고 있습니다")
    api.put(samples.queued(500, "새 통화"))
    page.shows("새 통화", ".calls tbody tr")
    page.wait("document.querySelectorAll('.calls tbody tr').length >= 100")


def test_a_call_of_two_thousand_utterances_is_shown_whole_and_followed(page: Page, api: StandIn) -> None:
    call = samples.complete()
    call.transcript = samples.transcript(samples.TALK * 167)
    api.put(call)
    open_call(page, api)
    assert page.run("document.querySelectorAll('.utterances li').length") == 2004
    page.run("document.querySelectorAll('.utterances li button')[1900].click()")
    page.wait("document.querySelector('.utterances li[aria-current]')")


def test_what_was_missed_while_the_connection_was_lost_is_fetched_when_it_is_back(page: Page, api: StandIn) -> None:
    page.expected.append("status of 503")
    api.put(samples.partial())
    open_call(page, api)
    api.hang_up()
    page.shows("실시간 연결이 끊겼습니다", "header")
    api.put(samples.healed())
    api.deaf = False
    page.shows("새 결과가 도착했습니다 (개정 2)", ".banners")
    page.wait("document.querySelector('#connection').hidden")


def test_progress_is_shown_without_being_read_out_each_second(page: Page, api: StandIn) -> None:
    running = samples.queued().model_copy(update={"status": CallStatus.RUNNING})
    api.put(running)
    page.go(f"{api.address}/calls/{1:032x}")
    page.shows("분석하고 있습니다", ".banners")
    page.run("globalThis.before = document.querySelector('.banner')")
    for done in (5, 10):
        api.put(running.model_copy(update={"progress": Progress(stage="stt", done=done, total=30)}))
        page.wait(f"document.querySelector('.under progress')?.value === {done}")
    assert page.run("document.querySelector('.banner') === before")


def test_the_progress_of_a_call_that_heals_is_shown_and_nothing_is_fetched_for_it(page: Page, api: StandIn) -> None:
    healing = Healing(state=HealingState.RUNNING, missing=["analysis", "summary"], attempts=3)
    call = api.put(samples.partial().model_copy(update={"healing": healing}))
    open_call(page, api)
    page.shows("다시 하고 있습니다", ".banners")
    fetched = "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('0001')).length"
    before = page.run(fetched)
    for done in (5, 10):
        api.put(call.model_copy(update={"progress": Progress(stage="stt", done=done, total=30)}))
        page.wait(f"document.querySelector('.under progress')?.value === {done}")
    page.run("new Promise((resolve) => setTimeout(resolve, 400))")  # it would fetch after 150 ms
    assert page.run(fetched) == before
    api.put(samples.healed())
    page.wait("!document.querySelector('.under progress')")
