"""Three turns on `/talk` with a whole mesh: Korean, English, Korean, by a microphone that plays recordings.

`CHAMMAL_TEST_AUDIO=… python -m tests.web.talk_mesh` starts the mesh and keeps the pictures of the documentation.
"""

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench.stt.audio import RATE, Samples, decode, write_wave

from tests.web.chromium import Browser, browser, speaking
from tests.web.opened import Failed

ROOT = Path(__file__).parents[2]
AUDIO = Path(os.environ.get("CHAMMAL_TEST_AUDIO", ROOT.parent / "shared" / "audio"))
IMAGES = ROOT / "docs" / "images"
CLIPS = (("ko_naver_037.wav", 0.0), ("en_jfk.flac", 7.9), ("ko_naver_033.wav", 0.0))
"""And the second at which each begins: before that one there are pauses that end turns."""
PICTURES = ("talk-korean.png", "talk-english.png", "talk-three-turns.png")
SIZE = (1180, 960)
FIRST_SECONDS = 6.0
"""Before the first words: the page connects."""
REPLY_SECONDS = float(os.environ.get("CHAMMAL_TALK_REPLY_SECONDS", "30"))
"""For each answer, before the next recording speaks into it."""
INSTRUCTIONS = "You answer the telephone of a restaurant. Answer in one short sentence, in the language of the caller."
TOLD = """(() => ({
  phase: document.querySelector('#go').dataset.phase,
  person: [...document.querySelectorAll('.turn.person .settled')].map((one) => one.textContent),
  reply: [...document.querySelectorAll('.turn.reply .said')].map((one) => one.textContent),
  moods: [...document.querySelectorAll('.turn.person .badge')].map((one) => one.textContent),
  parts: document.querySelector('.timings')?.innerText ?? '',
  felt: document.querySelector('.felt + .faint') ? null : document.querySelector('.felt strong')?.textContent ?? null,
  banners: [...document.querySelectorAll('.banner.danger')].map((one) => one.innerText),
}))()"""


@dataclass(frozen=True)
class Turn:
    person: str
    reply: str
    felt: str | None
    parts: str
    banners: list[str]


def microphone(path: Path) -> Path:
    """The clips one after another, with room for an answer after each."""
    pieces = [_silence(FIRST_SECONDS)]
    for clip, begin in CLIPS:
        pieces += [decode(AUDIO / clip)[int(RATE * begin) :], _silence(REPLY_SECONDS)]
    write_wave(path, np.concatenate(pieces))
    return path


def _silence(seconds: float) -> Samples:
    return np.zeros(int(RATE * seconds), np.int16)


def hold(opened: Browser, address: str, folder: Path) -> list[Turn]:
    """Pictures of each turn, while it is answered aloud, go into the folder."""
    turns = []
    with opened.page("ko-KR", *SIZE) as page:
        page.go(f"{address}/talk")
        page.wait("document.querySelector('[name=instructions]')")
        page.run(f"document.querySelector('[name=instructions]').value = {json.dumps(INSTRUCTIONS)}")
        page.click("#go")
        for number, picture in enumerate(PICTURES, 1):

            def reached(number: int = number) -> dict[str, Any] | None:
                told: dict[str, Any] = page.run(TOLD)
                whole = len(told["person"]) >= number and len(told["reply"]) >= number and told["reply"][-1]
                answered = told["felt"] and "언어 모델의 첫 낱말" in told["parts"]
                return told if whole and answered and told["phase"] in {"speaking", "listening"} else None

            limit = FIRST_SECONDS + 12 + REPLY_SECONDS * 2
            end = time.monotonic() + limit
            while (told := reached()) is None:
                if time.monotonic() > end:
                    page.screenshot(folder / "talk-failed.png")
                    raise Failed(f"turn {number} was not answered in {limit} s: {page.run(TOLD)}")
                time.sleep(0.05)
            page.screenshot(folder / picture)
            turns.append(Turn(told["person"][-1], told["reply"][-1], told["felt"], told["parts"], told["banners"]))
        complaints = page.complaints()
        page.click("#go", "끝내기")
        if complaints:
            raise Failed(str(complaints))
    return turns


def main() -> None:
    from tests.wire.conftest import PORTS, started

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        heard = microphone(folder / "microphone.wav")
        with (
            started(sys.executable, "-m", "chammal", "up", "--no-fetch", names=PORTS) as mesh,
            browser(folder / "profile", speaking(heard)) as opened,
        ):
            for turn in hold(opened, mesh.url, IMAGES):
                print(json.dumps(turn.__dict__, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
