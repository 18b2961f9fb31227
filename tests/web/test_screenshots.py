"""The pictures of the documentation can be made anew, and are all of those that it shows."""

import re
import struct
from pathlib import Path

from tests.web import screenshots, talk_mesh
from tests.web.chromium import Browser

ROOT = Path(__file__).parents[2]


def size(picture: Path) -> tuple[int, int]:
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:])
    return width, height


def test_the_pictures_are_made_anew(browser: Browser, talker: Browser, recording: Path, tmp_path: Path) -> None:
    screenshots.take(browser, recording, tmp_path)
    screenshots.take_talk(talker, tmp_path)
    assert {one.name: size(one) for one in tmp_path.iterdir()} == screenshots.SIZES
    kept = {one.name: size(one) for one in screenshots.IMAGES.iterdir() if one.name not in talk_mesh.PICTURES}
    assert kept == screenshots.SIZES


def test_every_picture_that_is_kept_is_shown_with_words_for_it() -> None:
    shown = set()
    for document in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")):
        for words, path in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", document.read_text()):
            assert len(words) > 10, (document.name, path)
            assert (document.parent / path).is_file(), (document.name, path)
            shown.add(Path(path).name)
    assert shown == {one.name for one in screenshots.IMAGES.iterdir()}
