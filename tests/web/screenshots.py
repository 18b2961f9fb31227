"""Makes the pictures of the documentation anew: `python -m tests.web.screenshots`."""

import tempfile
from pathlib import Path

from chammal_contracts.calls import Call, CallStatus, Progress
from tests.web import samples, stand_in, talk_stand_in
from tests.web.chromium import Browser, Page, browser, speaking
from tests.web.talk_events import answers, begins, done, ends, hears, turn, understood

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LIST, CALL, HEALING = "page-list.png", "page-call.png", "page-healing-dark.png"
TALK = "page-talk.png"
SIZES = {LIST: (1180, 1150), CALL: (1180, 900), HEALING: (1180, 900), TALK: (1180, 960)}
WAY = {
    "silence": 0.51, "after_endpoint": 0.05, "waited": 0.0, "first_words": 0.21, "first_sentence": 0.16,
    "first_sample": 0.24, "overhead": 0.01, "first_out": 1.18, "whole": 2.9,
}  # fmt: skip
ZONE = "Asia/Seoul"


def named(call: Call) -> Call:
    """By a recorder of the office."""
    filename = f"rec_1042_{call.metadata.reference}.wav"
    return call.model_copy(update={"recording": call.recording.model_copy(update={"filename": filename})})


def fill(api: stand_in.StandIn) -> None:
    running = samples.queued(5, "2026-1120-0005")
    progress = Progress(stage="stt", done=212, total=634)
    for call in (
        samples.failed(1, "2026-1120-0001"),
        samples.complete(2, "2026-1120-0002"),
        samples.healed(3, "2026-1120-0003"),
        samples.partial(4, "2026-1120-0004"),
        running.model_copy(update={"status": CallStatus.RUNNING, "progress": progress}),
        samples.queued(6, "2026-1120-0006"),
    ):
        api.put(named(call))


def take_list(page: Page, api: stand_in.StandIn, path: Path) -> None:
    page.size(*SIZES[LIST])
    page.go(api.address)
    page.wait("document.querySelectorAll('.calls tbody tr').length === 6")
    page.choose_files("#files", [api.recording])
    page.wait("document.querySelector('.upload a')")
    call = api.calls[f"{7:032x}"]
    progress = Progress(stage="stt", done=12, total=30)
    api.put(call.model_copy(update={"status": CallStatus.RUNNING, "progress": progress}))
    page.wait(
        "document.querySelectorAll('.calls tr progress').length === 1 && document.querySelector('.upload progress')"
    )
    page.screenshot(path)


def take_call(page: Page, api: stand_in.StandIn, number: int, path: Path) -> None:
    page.go(f"{api.address}/calls/{number:032x}")
    page.wait("document.querySelector('.utterances li[data-at]') && document.querySelector('audio').duration")
    page.click(".evidence button", "원금 보장이라고")
    page.wait("document.querySelector('audio').currentTime > 15.6")
    page.run("document.querySelector('audio').pause(); scrollTo(0, 0)")
    page.screenshot(path)


def take(opened: Browser, recording: Path, folder: Path) -> None:
    """All of SIZES, into this folder."""
    api = stand_in.StandIn(recording)
    stop = stand_in.start(api)
    try:
        fill(api)
        with opened.page("ko-KR", *SIZES[CALL]) as page:
            page.send("Emulation.setTimezoneOverride", timezoneId=ZONE)
            take_call(page, api, 2, folder / CALL)
            take_list(page, api, folder / LIST)
        with opened.page("en-GB", *SIZES[HEALING]) as page:
            page.send("Emulation.setTimezoneOverride", timezoneId=ZONE)
            page.media(prefers_color_scheme="dark")
            take_call(page, api, 4, folder / HEALING)
    finally:
        stop()


def take_talk(opened: Browser, folder: Path) -> None:
    mesh = talk_stand_in.TalkStandIn()
    stop = talk_stand_in.start(mesh)
    phase = "document.querySelector('#go').dataset.phase"
    answer = "토요일은 오전 아홉 시부터 오후 한 시까지 열고, 일요일은 쉽니다. 토요일에 예약해 드릴까요?"
    try:
        with opened.page("ko-KR", *SIZES[TALK]) as page:
            page.go(f"{mesh.address}/talk")
            page.click("#go")
            page.wait(f"{phase} === 'listening'")
            mesh.tell(*turn("안녕하세요, 오늘 몇 시까지 하세요?", "안녕하세요. 오늘은 여섯 시까지 엽니다.", 0.4))
            page.wait(f"{phase} === 'listening' && document.querySelector('.felt')")
            ended = len(mesh.wait_for_audio(2.0)) // 48 - 900
            asked = understood("그럼 주말에도 여나요?", "asked", seconds=WAY)
            mesh.tell(begins("asked"), ends("asked", ended), asked, *answers(answer, 20.0, "told"))
            page.wait(f"{phase} === 'speaking'")
            stages = [{"stage": one, "status": "ok"} for one in ("stt", "emotion", "reply", "tts")]
            mesh.tell(done(answer, "told", stages=stages, seconds=WAY), begins("more"), hears("토요일", "에는", "more"))
            page.wait(f"{phase} === 'hearing' && document.querySelector('.unsettled')")
            page.screenshot(folder / TALK)
    finally:
        stop()


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        recording = samples.recording(Path(folder) / "rec_1042_2026-1120-0007.wav")
        with browser(Path(folder) / "profile", speaking(recording)) as opened:
            take(opened, recording, IMAGES)
            take_talk(opened, IMAGES)


if __name__ == "__main__":
    main()
