import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from chammal_api.audio_root import _below, _open, open_recording
from chammal_api.settings import ApiSettings
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

SOUND, SECRET = b"RIFF", b"no"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "audio"
    (root / "2026").mkdir(parents=True)
    (root / "2026" / "call.wav").write_bytes(SOUND)
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "audio-of-others").mkdir()
    (tmp_path / "audio-of-others" / "call.wav").write_bytes(SECRET)
    return root


def read(root: Path, path: str) -> bytes:
    with open_recording(root, path) as recording:
        return recording.read()


def refusal(root: Path, path: str) -> tuple[int, ErrorCode]:
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(Problem) as refused:
        open_recording(root, path)
    assert len(list(Path("/dev/fd").iterdir())) == before, "nothing stays open"
    return refused.value.status, refused.value.code


NOT_ALLOWED = (400, ErrorCode.PATH_NOT_ALLOWED)
NOT_FOUND = (404, ErrorCode.FILE_NOT_FOUND)


def test_a_recording_below_the_root_is_read(root: Path) -> None:
    assert read(root, "2026/call.wav") == SOUND


def test_the_full_path_of_a_recording_below_the_root_is_read(root: Path) -> None:
    assert read(root, str(root / "2026" / "call.wav")) == SOUND


def test_a_link_that_stays_below_the_root_is_followed(root: Path) -> None:
    (root / "latest").symlink_to("2026")
    (root / "today.wav").symlink_to(root / "latest" / "call.wav")
    assert read(root, "today.wav") == SOUND


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd", "../secret", "/etc/passwd", "2026/../../secret", "../audio-of-others/call.wav", "a\0b",
        "/proc/self/environ", "2026/call.wav/../../../secret", "//etc/passwd", "a/" * 3000, "\udcff/../../secret",
        "/dev/zero", "/dev/stdin", "~/../../x/../..",
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(root: Path, path: str) -> None:
    assert refusal(root, path) in {NOT_ALLOWED, NOT_FOUND}
    if "a/" not in path and "~" not in path:
        assert refusal(root, path) == NOT_ALLOWED


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "/proc/self/environ", "/dev/zero", "../nothing-there"])
def test_a_link_that_leads_elsewhere_is_refused_whether_something_is_there_or_not(root: Path, target: str) -> None:
    (root / "link.wav").symlink_to(target)
    assert refusal(root, "link.wav") == NOT_ALLOWED


def test_a_loop_of_links_is_refused(root: Path) -> None:
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    assert refusal(root, "a") in {NOT_ALLOWED, NOT_FOUND}


@pytest.mark.parametrize("path", ["2026/none.wav", "2026", ".", "", "2026/call.wav/x", "none/call.wav"])
def test_what_is_no_file_is_not_found_and_a_folder_is_not_told_from_nothing(root: Path, path: str) -> None:
    assert refusal(root, path) == NOT_FOUND


def test_what_is_no_regular_file_is_not_opened_and_nobody_waits_for_it(root: Path) -> None:
    os.mkfifo(root / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "socket.wav"))
        assert refusal(root, "pipe.wav") == NOT_FOUND
        assert refusal(root, "socket.wav") == NOT_FOUND


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make a device")
def test_a_device_is_not_opened(root: Path) -> None:
    try:
        os.mknod(root / "zero.wav", 0o20666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this root may not")
    assert refusal(root, "zero.wav") == NOT_FOUND


def _file_becomes_link(root: Path) -> None:
    (root / "2026" / "call.wav").unlink()
    (root / "2026" / "call.wav").symlink_to(root.parent / "secret")


def _folder_becomes_link(root: Path) -> None:
    (root / "2026").rename(root / "old")
    (root / "2026").symlink_to(root.parent / "audio-of-others")


def _root_becomes_link(root: Path) -> None:
    root.rename(root.parent / "old")
    (root.parent / "old2").mkdir()
    (root.parent / "old2" / "2026").symlink_to(root.parent / "audio-of-others")
    root.symlink_to(root.parent / "old2")


def _file_becomes_pipe(root: Path) -> None:
    (root / "2026" / "call.wav").unlink()
    os.mkfifo(root / "2026" / "call.wav")


@pytest.mark.parametrize("swap", [_file_becomes_link, _folder_becomes_link, _root_becomes_link, _file_becomes_pipe])
def test_what_is_swapped_after_it_was_checked_is_not_opened(root: Path, swap: Callable[[Path], None]) -> None:
    base, parts = _below(root, "2026/call.wav")
    swap(root)
    with pytest.raises(OSError):
        os.close(_open(base, parts))


def test_a_folder_that_is_swapped_all_the_time_never_leads_outside(root: Path) -> None:
    (root / "evil").symlink_to(root.parent / "audio-of-others")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for a, b in (("2026", "kept"), ("evil", "2026"), ("2026", "evil"), ("kept", "2026")):
                (root / a).rename(root / b)

    swapper = threading.Thread(target=swap)
    swapper.start()
    read_it = 0
    try:
        for _ in range(3000):
            try:
                assert read(root, "2026/call.wav") == SOUND
                read_it += 1
            except Problem:
                pass
    finally:
        stop.set()
        swapper.join()
    assert read_it


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    parts=st.lists(
        st.sampled_from(["..", ".", "2026", "call.wav", "", "secret", "audio-of-others", "audio"]) | st.text(max_size=5)
    )
)
def test_no_path_of_any_shape_reads_what_lies_outside(root: Path, parts: list[str]) -> None:
    try:
        found = read(root, "/".join(parts))
    except Problem:
        return
    assert found == SOUND


def test_the_whole_file_system_is_no_audio_root() -> None:
    with pytest.raises(ValidationError):
        ApiSettings(audio_root=Path("/"))
    with pytest.raises(ValidationError):
        ApiSettings(audio_root=Path("/usr/.."))
