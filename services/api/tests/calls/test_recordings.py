import asyncio
import errno
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chammal_api.calls.recordings import Recordings
from chammal_contracts.calls import Recording
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

pytestmark = pytest.mark.anyio

MEGABYTE = 1 << 20
SOUND = b"RIFF\x00\x00\x00\x00WAVE" + bytes(range(256)) * 20


async def chunks(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def files(recordings: Recordings) -> list[Path]:
    return sorted(path for path in recordings._folder.rglob("*") if path.is_file())


def refusal(problem: pytest.ExceptionInfo[Problem]) -> tuple[int, ErrorCode]:
    return problem.value.status, problem.value.code


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_recording_is_kept_by_what_it_holds(recordings: Recordings, streamed: bool) -> None:
    source = chunks(SOUND) if streamed else io.BytesIO(SOUND)
    kept = await recordings.keep(source, MEGABYTE, filename="통화.wav")
    assert kept.sha256 == hashlib.sha256(SOUND).hexdigest()
    assert (kept.bytes, kept.media_type, kept.filename) == (len(SOUND), "audio/wav", "통화.wav")
    assert files(recordings) == [recordings.path(kept)]
    with recordings.open(kept) as file:
        assert file.read() == SOUND


async def test_the_same_recording_twice_is_one_file(recordings: Recordings) -> None:
    first, second = [await recordings.keep(chunks(SOUND), MEGABYTE) for _ in range(2)]
    assert first == second
    assert files(recordings) == [recordings.path(first)]
    assert recordings._stored == len(SOUND)


async def test_a_deleted_recording_is_gone_and_deleting_it_again_is_nothing(recordings: Recordings) -> None:
    kept = await recordings.keep(chunks(SOUND), MEGABYTE)
    await recordings.delete(kept)
    await recordings.delete(kept)
    assert files(recordings) == []
    assert not recordings.has(kept)
    assert recordings._stored == 0
    with pytest.raises(FileNotFoundError):
        recordings.open(kept)


async def test_one_that_was_deleted_with_another_call_is_kept_once_more(recordings: Recordings) -> None:
    sound = SOUND * 1000
    with closing(recordings.coming(1 << 30)) as incoming:
        await incoming.take([memoryview(sound)])
        kept = await incoming.keep("a.wav")
        await recordings.delete(kept)
        assert await incoming.keep("a.wav") == kept
    assert recordings.path(kept).read_bytes() == sound
    assert files(recordings) == [recordings.path(kept)]
    assert (recordings._stored, recordings._coming) == (len(sound), 0)


async def test_what_comes_in_crumbs_is_not_heaped_up(recordings: Recordings) -> None:
    with closing(recordings.coming(MEGABYTE)) as incoming:
        for _ in range(1000):
            await incoming.take([b"x"])
        assert len(incoming._waiting) < 256
        kept = await incoming.keep()
    assert recordings.path(kept).read_bytes() == b"x" * 1000


async def test_who_says_much_and_sends_little_takes_no_room_from_others(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "r", max_stored_bytes=4 * MEGABYTE, min_free_bytes=0)
    await recordings.start()
    with closing(recordings.coming(1 << 30, expected_bytes=4 * MEGABYTE)) as slow:
        await slow.take([b"x" * MEGABYTE])
        await recordings.keep(chunks(b"y" * 3 * MEGABYTE, MEGABYTE), 1 << 30)


async def test_an_empty_recording_is_refused(recordings: Recordings) -> None:
    with pytest.raises(Problem) as problem:
        await recordings.keep(chunks(b""), MEGABYTE)
    assert refusal(problem) == (400, ErrorCode.AUDIO_EMPTY)
    assert files(recordings) == []


@pytest.mark.parametrize("expected", [0, len(SOUND)])
async def test_one_that_is_too_large_is_refused(recordings: Recordings, expected: int) -> None:
    with pytest.raises(Problem) as problem:
        await recordings.keep(chunks(SOUND), len(SOUND) - 1, expected_bytes=expected)
    assert refusal(problem) == (413, ErrorCode.UPLOAD_TOO_LARGE)
    assert files(recordings) == []


async def test_nothing_is_left_of_a_sender_who_goes(recordings: Recordings) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield SOUND
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await recordings.keep(broken(), MEGABYTE)
    assert files(recordings) == []
    assert recordings._coming == 0


async def test_nothing_is_left_of_a_request_that_is_cancelled(recordings: Recordings) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * (2 * MEGABYTE)
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(recordings.keep(endless(), 1 << 30))
    await begun.wait()
    assert len(files(recordings)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(recordings) == []
    assert recordings._coming == 0


@pytest.mark.parametrize("expected", [0, 3 * MEGABYTE])
async def test_what_would_be_more_than_may_be_stored_is_refused(tmp_path: Path, expected: int) -> None:
    recordings = Recordings(tmp_path / "r", max_stored_bytes=4 * MEGABYTE, min_free_bytes=0)
    await recordings.start()
    kept = await recordings.keep(chunks(b"a" * 2 * MEGABYTE, MEGABYTE), 1 << 30)
    with pytest.raises(Problem) as problem:
        await recordings.keep(chunks(b"b" * 3 * MEGABYTE, MEGABYTE), 1 << 30, expected_bytes=expected)
    assert refusal(problem) == (507, ErrorCode.STORAGE_FULL)
    assert files(recordings) == [recordings.path(kept)]
    await recordings.delete(kept)
    await recordings.keep(chunks(b"b" * 3 * MEGABYTE, MEGABYTE), 1 << 30, expected_bytes=expected)


async def test_those_on_their_way_count_too(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "r", max_stored_bytes=4 * MEGABYTE, min_free_bytes=0)
    await recordings.start()
    incoming = recordings.coming(1 << 30)
    await incoming.take([b"x" * 3 * MEGABYTE])
    with pytest.raises(Problem):
        await recordings.keep(chunks(SOUND), 1 << 30, expected_bytes=2 * MEGABYTE)
    incoming.close()
    await recordings.keep(chunks(SOUND), 1 << 30, expected_bytes=2 * MEGABYTE)


async def test_the_disk_is_not_filled_to_its_end(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "r", min_free_bytes=1 << 60)
    await recordings.start()
    with pytest.raises(Problem) as problem:
        await recordings.keep(chunks(SOUND), MEGABYTE)
    assert refusal(problem) == (507, ErrorCode.STORAGE_FULL)
    assert files(recordings) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["fsync", "open"])
async def test_a_disk_that_fills_up_meanwhile_is_the_problem_507(
    recordings: Recordings, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(f"chammal_api.calls.incoming.os.{call}", full)
    with pytest.raises(Problem) as problem:
        await recordings.keep(chunks(SOUND), MEGABYTE)
    monkeypatch.undo()
    assert refusal(problem) == (507, ErrorCode.STORAGE_FULL)
    assert files(recordings) == []
    assert recordings._coming == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    return folder


@pytest.fixture
def unmounted(small_disk: Path) -> AsyncIterator[Path]:
    yield small_disk  # type: ignore[misc]
    subprocess.run(["umount", small_disk], check=True)


async def test_a_really_full_disk_keeps_nothing_of_it(unmounted: Path) -> None:
    recordings = Recordings(unmounted, min_free_bytes=0)
    await recordings.start()
    for expected in (0, 3 * MEGABYTE):
        with pytest.raises(Problem) as problem:
            await recordings.keep(chunks(b"a" * 3 * MEGABYTE, 300_000), 1 << 30, expected_bytes=expected)
        assert refusal(problem) == (507, ErrorCode.STORAGE_FULL)
    assert files(recordings) == []
    kept = await recordings.keep(chunks(SOUND), MEGABYTE)
    assert files(recordings) == [recordings.path(kept)]


async def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(recordings: Recordings) -> None:
    living = recordings.coming(2 * MEGABYTE)
    sound = b"x" * MEGABYTE
    await living.take([sound])
    (recordings.incoming / "of-the-dead").write_bytes(SOUND)
    await Recordings(recordings._folder).start()
    kept = await living.keep()
    living.close()
    assert kept.bytes == len(sound)
    assert files(recordings) == [recordings.path(kept)]


async def test_what_was_stored_is_counted_at_start(recordings: Recordings) -> None:
    await recordings.keep(chunks(SOUND), MEGABYTE)
    later = Recordings(recordings._folder)
    await later.start()
    assert later._stored == len(SOUND)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "\0"])
def test_only_a_digest_names_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError):
        Recordings(tmp_path).path(Recording(sha256=name, bytes=1))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=5000), max_size=8), st.integers(1, 6000))
async def test_however_it_comes_it_is_whole_or_not_there(
    recordings: Recordings, parts: list[bytes], max_bytes: int
) -> None:
    async def source() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    whole = b"".join(parts)
    if not 0 < len(whole) <= max_bytes:
        with pytest.raises(Problem) as problem:
            await recordings.keep(source(), max_bytes)
        assert problem.value.status == (413 if whole else 400)
        assert files(recordings) == []
        return
    kept = await recordings.keep(source(), max_bytes)
    assert recordings.path(kept).read_bytes() == whole
    await recordings.delete(kept)
