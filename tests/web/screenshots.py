"""Makes the pictures of the documentation anew: `python -m tests.web.screenshots`."""

import tempfile
from pathlib import Path

from chammal_contracts.calls import CallStatus, Progress
from tests.web import samples, stand_in
from tests.web.chromium import Browser, Page, browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZE = {"width": 1180, "height": 860}


def fill(api: stand_in.StandIn) -> None:
    api.put(samples.failed(1, "2026-1120-0001"))
    api.put(samples.complete(2, "2026-1120-0002"))
    api.put(samples.healed(3, "2026-1120-0003"))
    api.put(samples.partial(4, "2026-1120-0004"))
    running = samples.queued(5, "2026-1120-0005")
    progress = Progress(stage="stt", done=212, total=634)
    api.put(running.model_copy(update={"status": CallStatus.RUNNING, "progress": progress}))
    api.put(samples.queued(6, "2026-1120-0006"))


def take_list(page: Page, api: stand_in.StandIn, name: str) -> None:
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
    page.screenshot(IMAGES / name)


def take_call(page: Page, api: stand_in.StandIn, number: int, name: str) -> None:
    page.go(f"{api.address}/calls/{number:032x}")
    page.wait("document.querySelector('.utterances li[data-at]') && document.querySelector('audio').duration")
    page.click(".evidence button", "원금 보장이라고")
    page.wait("document.querySelector('audio').currentTime > 15.6")
    page.run("document.querySelector('audio').pause(); scrollTo(0, 0)")
    page.screenshot(IMAGES / name)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        api = stand_in.StandIn(samples.recording(Path(folder) / "2026-1120-0007.wav"))
        stop = stand_in.start(api)
        fill(api)
        with browser(Path(folder) / "profile") as opened:
            take(opened, api)
        stop()


def take(opened: Browser, api: stand_in.StandIn) -> None:
    with opened.page("ko-KR", **SIZE) as page:
        take_call(page, api, 2, "page-call.png")
        take_list(page, api, "page-list.png")
    with opened.page("en-GB", **SIZE) as page:
        page.media(prefers_color_scheme="dark")
        take_call(page, api, 4, "page-healing-dark.png")


if __name__ == "__main__":
    main()
