"""Makes the pictures of the documentation anew: `python -m tests.web.screenshots`."""

import tempfile
from pathlib import Path

from chammal_contracts.calls import Call, CallStatus, Progress
from tests.web import samples, stand_in
from tests.web.chromium import Browser, Page, browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LIST, CALL, HEALING = "page-list.png", "page-call.png", "page-healing-dark.png"
SIZES = {LIST: (1180, 1150), CALL: (1180, 900), HEALING: (1180, 900)}
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


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        recording = samples.recording(Path(folder) / "rec_1042_2026-1120-0007.wav")
        with browser(Path(folder) / "profile") as opened:
            take(opened, recording, IMAGES)


if __name__ == "__main__":
    main()
