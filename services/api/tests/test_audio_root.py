from pathlib import Path

import pytest

from chammal_api.audio_root import confine
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "audio"
    (root / "2026").mkdir(parents=True)
    (root / "2026" / "call.wav").write_bytes(b"RIFF")
    (tmp_path / "secret").write_text("no")
    (tmp_path / "audio-of-others").mkdir()
    (tmp_path / "audio-of-others" / "call.wav").write_bytes(b"RIFF")
    return root


def test_a_recording_below_the_root_is_found(root: Path) -> None:
    assert confine(root, "2026/call.wav") == (root / "2026" / "call.wav").resolve()


def test_the_full_path_of_a_recording_below_the_root_is_found(root: Path) -> None:
    assert confine(root, str(root / "2026" / "call.wav")).name == "call.wav"


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "../secret", "/etc/passwd", "2026/../../secret", "../audio-of-others/call.wav", "a\0b"],
)
def test_a_path_that_leads_elsewhere_is_refused(root: Path, path: str) -> None:
    with pytest.raises(Problem) as refused:
        confine(root, path)
    assert (refused.value.status, refused.value.code) == (400, ErrorCode.PATH_NOT_ALLOWED)


def test_a_link_that_leads_elsewhere_is_refused(root: Path) -> None:
    (root / "link.wav").symlink_to(root.parent / "secret")
    with pytest.raises(Problem) as refused:
        confine(root, "link.wav")
    assert refused.value.code is ErrorCode.PATH_NOT_ALLOWED


def test_a_loop_of_links_is_refused(root: Path) -> None:
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    with pytest.raises(Problem) as refused:
        confine(root, "a")
    assert refused.value.status in (400, 404)


@pytest.mark.parametrize("path", ["2026/none.wav", "2026", "."])
def test_what_is_no_file_is_not_found(root: Path, path: str) -> None:
    with pytest.raises(Problem) as refused:
        confine(root, path)
    assert (refused.value.status, refused.value.code) == (404, ErrorCode.FILE_NOT_FOUND)
