"""`/talk` in a real browser over the whole mesh: three spoken turns, Korean and English."""

import re
from pathlib import Path

import pytest

from tests.web import chromium, talk_mesh
from tests.wire.conftest import Mesh

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(chromium.CHROMIUM is None, reason="no browser"),
    pytest.mark.skipif(not talk_mesh.AUDIO.exists(), reason="no recordings"),
]


def test_three_spoken_turns_are_answered_aloud(mesh: Mesh, tmp_path: Path) -> None:
    heard = talk_mesh.microphone(tmp_path / "microphone.wav")
    with chromium.browser(tmp_path / "profile", chromium.speaking(heard)) as opened:
        turns = talk_mesh.hold(opened, mesh.url, tmp_path)
    assert re.search("[가-힣]", turns[0].person)
    assert re.search("[A-Za-z]", turns[1].person)
    assert re.search("[가-힣]", turns[2].person)
    assert all(turn.reply for turn in turns)
    assert [turn.banners for turn in turns] == [[], [], []]
    assert {one.name for one in tmp_path.glob("*.png")} == set(talk_mesh.PICTURES)
