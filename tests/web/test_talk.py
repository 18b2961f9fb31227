"""`/talk` in a real browser, with a microphone that plays a tone and a mesh that says what the test tells it to."""

import itertools
import struct

import pytest

from chammal_kit.door import Door
from chammal_kit.keys import KeyRing, KeyScope, new_key
from tests.web import talk_stand_in
from tests.web.chromium import Browser, Page
from tests.web.conftest import LOUDNESS, ServeTalk
from tests.web.talk_events import (
    ANSWER,
    QUESTION,
    answers,
    assistant,
    begins,
    done,
    ends,
    hears,
    stage,
    turn,
    understood,
    voice,
)
from tests.web.talk_stand_in import TalkStandIn

PHASE = "document.querySelector('#go').dataset.phase"


@pytest.fixture
def page(talk_page: Page) -> Page:
    return talk_page


def open_talk(page: Page, mesh: TalkStandIn) -> None:
    page.go(f"{mesh.address}/talk")
    page.click("#go", "대화 시작")
    page.wait(f"{PHASE} === 'listening'")


def test_one_press_sends_what_the_microphone_hears(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    heard = mesh.wait_for_audio(1.5)
    assert max(struct.unpack(f"<{len(heard) // 2}h", heard)) / 32768 == pytest.approx(LOUDNESS, rel=0.25)
    page.wait("Number(document.querySelector('.level').getAttribute('aria-valuenow')) > 50")
    (update,) = [one for one in mesh.sent if one["type"] == "session.update"]
    assert update["session"]["audio"]["input"]["transcription"] == {"language": None}


def test_speech_settles_before_the_eyes_and_is_answered_aloud(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    mesh.tell(begins())
    page.wait(f"{PHASE} === 'hearing'")
    mesh.tell(hears("오늘 날씨가", "어때"))
    page.shows("오늘 날씨가", ".person .settled")
    page.shows("어때", ".person .unsettled")
    mesh.tell(hears(" 어떤가요", ""))
    page.wait("!document.querySelector('.person .unsettled')")
    mesh.wait_for_audio(1.5)
    mesh.tell(ends(), understood("오늘 날씨가 어떤가요?"))
    page.wait(f"{PHASE} === 'thinking'")
    page.shows("오늘 날씨가 어떤가요?", ".person")
    page.shows("기쁨", ".person .badge")
    mesh.tell(*answers("오늘은 맑고 따뜻합니다.", 1.0))
    page.wait(f"{PHASE} === 'speaking'")
    page.shows("오늘은 맑고 따뜻합니다.", ".reply")
    mesh.tell(done("오늘은 맑고 따뜻합니다.", seconds={"first_words": 0.21, "first_sample": 0.33, "first_out": 0.98}))
    page.shows("말이 끝나고 첫 소리까지", ".felt")
    page.wait(f"{PHASE} === 'listening'")
    assert page.run("document.querySelectorAll('.banner.danger').length") == 0
    assert page.run("[...document.querySelectorAll('.said')].map((one) => one.lang)") == ["ko", "ko"]
    assert not [one for one in mesh.sent if one["type"] == "conversation.item.truncate"]


def test_the_end_of_speech_is_known_by_the_sound_that_was_sent(page: Page, mesh: TalkStandIn) -> None:
    """Not by when the mesh says so."""
    open_talk(page, mesh)
    sent = len(mesh.wait_for_audio(2.0)) // 48
    mesh.tell(begins(), ends(at=sent - 1500), understood("네"), *answers("네.", 0.4), done("네."))
    page.wait("Number.parseFloat(document.querySelector('.felt strong')?.textContent) > 1.4")


def test_speaking_into_a_reply_silences_it_and_says_what_was_heard(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    told = "첫 문장을 말합니다. 둘째 문장은 들리지 않습니다."
    mesh.tell(*answers(told, 20.0))
    page.wait(f"{PHASE} === 'speaking'")
    mesh.tell(begins("item_second"))
    cut = mesh.wait("conversation.item.truncate")
    assert (cut["item_id"], cut["content_index"]) == (ANSWER, 0)
    assert 0 <= cut["audio_end_ms"] < 20_000
    page.wait(f"{PHASE} === 'hearing'")
    heard = "첫 문장을 말합니다."
    truncated = {"type": "conversation.item.truncated", "item_id": ANSWER, "content_index": 0, "audio_end_ms": 900}
    mesh.tell(done(told, status="cancelled"), truncated)
    assert mesh.wait("conversation.item.retrieve")["item_id"] == ANSWER
    mesh.tell({"type": "conversation.item.retrieved", "item": assistant(heard, ANSWER)})
    page.shows("둘째 문장은 들리지 않습니다.", ".never-heard")
    page.shows("중간에 멈춤", ".reply")
    late = [one for one in answers("", 1.0) if one["type"].startswith("response.output_audio.")]
    mesh.tell(*late, ends("item_second"), understood("잠깐만요", "item_second"))
    page.wait(f"{PHASE} === 'thinking'")


def test_sound_that_was_on_its_way_when_the_reply_was_stopped_is_not_played(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    begun, *rest = answers("긴 대답입니다.", 2.0)
    mesh.tell(begun)
    page.wait(f"{PHASE} === 'thinking'")
    page.press("Escape", 27)
    mesh.wait("response.cancel")
    mesh.tell(*rest, done("긴 대답입니다.", status="cancelled"))
    page.shows("중간에 멈춤", ".reply")
    mesh.tell(begins("item_next"), ends("item_next"), understood("네", "item_next"))
    page.wait(f"{PHASE} === 'thinking'")
    assert not [one for one in mesh.sent if one["type"] == "conversation.item.truncate"]


def test_escape_stops_the_reply(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    mesh.tell(*answers("긴 대답입니다.", 20.0))
    page.wait(f"{PHASE} === 'speaking'")
    page.press("Escape", 27)
    mesh.wait("response.cancel")
    mesh.wait("conversation.item.truncate")
    mesh.tell(done("긴 대답입니다.", status="cancelled"))
    page.wait(f"{PHASE} === 'listening'")


def test_what_is_typed_is_a_turn_too(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    page.click(".line input")
    page.type("영업 시간이 어떻게 되나요?")
    page.press("Enter", 13)
    item = mesh.wait("conversation.item.create")["item"]
    assert item["content"] == [{"type": "input_text", "text": "영업 시간이 어떻게 되나요?"}]
    mesh.wait("response.create")
    mesh.tell({"type": "conversation.item.added", "previous_item_id": None, "item": item})
    page.shows("영업 시간이 어떻게 되나요?", ".person")
    mesh.tell(*answers("아홉 시부터입니다.", 0.4), done("아홉 시부터입니다."))
    page.shows("아홉 시부터입니다.", ".reply")


def test_a_stage_that_is_away_is_told_until_it_is_back(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    gone = stage("stt", "dummy", error_type="breaker_open", error="stt has not answered five times.")
    mesh.tell(
        {"type": "error", "error": {"type": "server_error", "code": "unavailable", "message": "x", "chammal": gone}}
    )
    page.shows("지금은 말씀을 알아들을 수 없습니다", ".banner.danger")
    page.shows("stt has not answered five times.", ".banner.danger")
    mesh.tell({"type": "chammal.stage", "stage": stage("stt"), "lost_audio_ms": 2400})
    page.wait("!document.querySelector('.banner.danger')")
    page.shows("2.4초를 듣지 못했습니다", ".banner")
    page.shows("다시 됩니다", "#announcer")


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        (stage("reply", "dummy"), "준비된 문장입니다"),
        (stage("reply", "degraded"), "대체 언어 모델"),
        (stage("tts", "dummy"), "대답은 글로 옵니다"),
        (stage("tts", "degraded"), "대체 목소리"),
    ],
    ids=["reply-dummy", "reply-degraded", "tts-dummy", "tts-degraded"],
)
def test_what_is_not_a_whole_answer_says_so(page: Page, mesh: TalkStandIn, lacking: dict[str, str], said: str) -> None:
    open_talk(page, mesh)
    mesh.tell(*answers("죄송합니다.", 0.4), done("죄송합니다.", stages=[lacking]))
    page.shows(said, ".banner")
    marked = page.run("Boolean(document.querySelector('.reply .badge.danger'))")
    assert marked == (lacking["stage"] == "reply" and lacking["status"] == "dummy")
    mesh.tell(*answers("네, 됩니다.", 0.4, "item_next"), done("네, 됩니다.", "item_next"))
    page.wait("!document.querySelector('.banner')")


def test_a_mood_without_a_pitch_says_what_decided(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    mesh.tell(begins(), ends(), understood("네", voice=voice("sad", f0_measured=False, baseline=0)))
    page.shows("슬픔", ".mood")
    page.shows("크기로 판단했습니다")
    page.shows("아직 평소 목소리와 견주지 않았습니다")


def test_noise_that_nobody_said_leaves_no_trace(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    mesh.tell(begins())
    page.wait("document.querySelector('.person')")
    mesh.tell(ends(), understood("", voice=None))
    page.wait("!document.querySelector('.person')")
    page.wait(f"{PHASE} === 'listening'")


def test_a_connection_that_breaks_is_made_again_and_told_what_was_said(page: Page, mesh: TalkStandIn) -> None:
    open_talk(page, mesh)
    mesh.tell(*turn("안녕하세요", "반갑습니다.", 0.4))
    page.shows("반갑습니다.", ".reply")
    page.wait(f"{PHASE} === 'listening'")
    item = assistant("반갑습니다.", f"{ANSWER}_1")
    mesh.tell({"type": "conversation.item.done", "previous_item_id": None, "item": item})
    mesh.mute = True
    mesh.close(1012, "restart")
    page.shows("다시 연결하고 있으며", ".banner")
    assert mesh.wait("session.update", 2)
    created = [mesh.wait("conversation.item.create", number)["item"] for number in (1, 2)]
    assert [(one["role"], one["id"], one["content"][0]["text"]) for one in created] == [
        ("user", f"{QUESTION}_1", "안녕하세요"),
        ("assistant", f"{ANSWER}_1", "반갑습니다."),
    ]
    mesh.tell({"type": "session.updated", "session": talk_stand_in.SESSION})
    page.wait("!document.querySelector('.banner')")
    mesh.tell(*({"type": "conversation.item.added", "previous_item_id": None, "item": one} for one in created))
    mesh.tell(begins("item_later"))
    page.wait("document.querySelectorAll('.turn').length === 3")


@pytest.mark.parametrize(
    ("code", "said"), [(4408, "오랫동안 말씀이 없어"), (4410, "이어질 수 있는 시간"), (4999, "(4999)")]
)
def test_an_end_says_why(page: Page, mesh: TalkStandIn, code: int, said: str) -> None:
    open_talk(page, mesh)
    mesh.close(code)
    page.shows(said, ".banner")
    assert page.run(PHASE) == "off"
    page.click("#go", "대화 시작")
    page.wait(f"{PHASE} === 'listening' && !document.querySelector('.banner')")


def test_pressing_again_ends_it_and_lets_the_microphone_go(page: Page, mesh: TalkStandIn) -> None:
    page.go(f"{mesh.address}/talk")
    page.run(
        "(() => { const before = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async (asked) => {"
        "globalThis.asked = asked; return (globalThis.given = await before(asked)) } })()"
    )
    page.click("#go")
    page.wait(f"{PHASE} === 'listening' && globalThis.given")
    asked = page.run("globalThis.asked.audio")
    assert asked == {"channelCount": 1, "echoCancellation": True, "noiseSuppression": False, "autoGainControl": False}
    page.click("#go", "끝내기")
    page.wait(f"{PHASE} === 'off'")
    assert page.run("globalThis.given.getTracks().map((one) => one.readyState)") == ["ended"]
    page.wait("document.querySelector('.line input').disabled")


def test_without_leave_to_use_the_microphone_one_can_still_type(browser: Browser, mesh: TalkStandIn) -> None:
    with browser.page() as page:
        page.go(f"{mesh.address}/talk")
        page.run("navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'))")
        page.click("#go")
        page.shows("이 페이지에 허용하고", ".banner")
        page.click(".line input")
        page.type("안녕")
        page.press("Enter", 13)
        mesh.wait("response.create")
        assert page.complaints() == []


def test_a_full_server_is_told_from_one_that_is_away(page: Page, mesh: TalkStandIn) -> None:
    page.expected.append("WebSocket connection to")
    mesh.full = True
    page.go(f"{mesh.address}/talk")
    page.click("#go")
    page.shows("대화 자리가 모두 찼거나", ".banner")
    assert page.run(PHASE) == "off"


def test_a_key_is_asked_for_and_never_in_an_address(page: Page, serve_talk: ServeTalk) -> None:
    key, stored = new_key("talker", [KeyScope.CONVERSATION])
    mesh = serve_talk(Door(KeyRing(stored.line())))
    page.expected += ["status of 401", "WebSocket connection to"]
    page.go(f"{mesh.address}/talk")
    page.click("#go")
    page.click("dialog input")
    page.type(key)
    page.press("Enter", 13)
    page.wait(f"{PHASE} === 'listening'")
    assert mesh.protocols == [["chammal.live", f"chammal.key.{key}"]]
    assert not [url for url in page.requested() if key in url]


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_whatever_rate_the_device_has_what_is_sent_is_of_24_khz(page: Page, mesh: TalkStandIn, rate: int) -> None:
    """In the worklet itself, faster than time. What 24 kHz cannot hold does not come back as another tone."""
    page.go(f"{mesh.address}/talk")
    samples = page.run(CAPTURED % (rate, rate, 1000))
    assert len(samples) == pytest.approx(24_000, abs=2 * 960)
    middle = samples[4800:-4800]
    crossings = sum(one < 0 <= other for one, other in itertools.pairwise(middle))
    assert crossings / (len(middle) / 24_000) == pytest.approx(1000, rel=0.01)
    assert max(middle) == pytest.approx(32767, rel=0.02)
    if rate > 40_000:
        assert max(page.run(CAPTURED % (rate, rate, 15_000))[4800:-4800]) < 330


def test_all_of_the_sound_is_played_and_none_twice(page: Page, mesh: TalkStandIn) -> None:
    """In the worklet itself, faster than time: a tone in, the same tone out at another rate."""
    page.go(f"{mesh.address}/talk")
    result = page.run(OFFLINE % (44_100, 44_100))
    assert result["finished"] == ["one", "two"]
    assert result["seconds"] == pytest.approx(1.0, abs=0.01)
    assert result["hertz"] == pytest.approx(1000, rel=0.01)
    assert result["loudest"] == pytest.approx(0.5, rel=0.03)


CAPTURED = """(async () => {
  const context = new OfflineAudioContext(1, %d, %d);
  await context.audioWorklet.addModule(document.querySelector('script').src.replace('talk.js', 'worklets.js'));
  const node = new AudioWorkletNode(context, 'capture');
  const tone = new OscillatorNode(context, { frequency: %d });
  const samples = [];
  node.port.onmessage = ({ data }) => samples.push(...new Int16Array(data.pcm));
  tone.connect(node).connect(context.destination);
  tone.start();
  await context.startRendering();
  await new Promise((resolve) => setTimeout(resolve, 100));
  return samples;
})()"""
OFFLINE = """(async () => {
  const context = new OfflineAudioContext(1, %d * 1.5, %d);
  await context.audioWorklet.addModule(document.querySelector('script').src.replace('talk.js', 'worklets.js'));
  const node = new AudioWorkletNode(context, 'playback', { numberOfInputs: 0, outputChannelCount: [1] });
  node.connect(context.destination);
  const finished = [];
  node.port.onmessage = ({ data }) => { if (data.finished) finished.push(data.item) };
  let at = 0;
  for (const item of ['one', 'two']) {
    for (let piece = 0; piece < 5; piece += 1) {
      const pcm = Int16Array.from({ length: 2400 }, () => 16384 * Math.sin(2 * Math.PI * 1000 * at++ / 24000)).buffer;
      node.port.postMessage({ item, pcm }, [pcm]);
    }
    node.port.postMessage({ item, end: true });
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  const sound = (await context.startRendering()).getChannelData(0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  let crossings = 0, first = -1, last = 0, loudest = 0;
  sound.forEach((one, place) => {
    if (Math.abs(one) > 0.01) { if (first < 0) first = place; last = place; }
    if (place && sound[place - 1] < 0 && one >= 0) crossings += 1;
    loudest = Math.max(loudest, Math.abs(one));
  });
  const seconds = (last - first) / context.sampleRate;
  return { finished, seconds, hertz: crossings / seconds, loudest };
})()"""
