"""kill -9 in every step: what had ended is not done again, and nothing is lost. Real processes, real sockets."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse
from tests.sample_calls import segment

from chammal_api.calls.store import CallStore
from chammal_contracts.calls import Call, CallStatus
from chammal_kit.request_id import enter_request

pytestmark = pytest.mark.anyio

WORKER = Path(__file__).parent / "worker.py"
CALL = "c" * 32
STEPS = ("begin", "transcribe", "check", "summarise", "finish", "tell")
STT, CHECK, SUMMARY, HOOK = "/v1/audio/transcriptions", "/check", "/summary", "/hook"
GUARD = 120


def heard() -> bytes:
    said = segment(0, "원금이 보장됩니다", "agent")
    whole = {
        "language": "ko", "duration": 2.0, "text": said.text, "segments": [said.model_dump()], "model": "whisper",
    }  # fmt: skip
    done = {"type": "transcript.text.done", "text": said.text, "transcription": whole}
    progress = {"type": "transcript.progress", "seconds_done": 1.0, "seconds_total": 2.0, "text": ""}
    return b"".join(
        f"event: {one['type']}\ndata: {json.dumps(one, ensure_ascii=False)}\n\n".encode() for one in (progress, done)
    )


def answer_all(mesh: Any) -> None:
    mesh.answers[STT] = lambda: Response(heard(), media_type="text/event-stream")
    for path in (CHECK, SUMMARY, HOOK):
        mesh.says(path, {})


@contextmanager
def worker(folder: Path, mesh: Any, point: str, call_id: str = "") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(WORKER), str(folder), mesh.url, point, *([call_id] if call_id else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(GUARD):
        while not true():  # noqa: ASYNC110  of another process
            await asyncio.sleep(0.02)


async def ended(store: CallStore) -> Call:
    async with asyncio.timeout(GUARD):
        while True:
            call = await store.get(CALL)
            if call is not None and call.status not in (CallStatus.QUEUED, CallStatus.RUNNING):
                return call
            await asyncio.sleep(0.05)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CallStore]:
    enter_request(None)
    async with aclosing(await CallStore.open(f"sqlite:///{tmp_path / 'calls.sqlite'}")) as opened:
        yield opened


def times(mesh: Any, *paths: str) -> list[int]:
    return [len(mesh.calls(path)) for path in paths]


async def test_a_call_survives_a_kill_at_the_end_of_every_step_and_none_is_done_twice(
    mesh: Any, tmp_path: Path, store: CallStore
) -> None:
    answer_all(mesh)
    for step in STEPS:
        with worker(tmp_path, mesh, step, CALL if step == STEPS[0] else "") as process:
            await until(lambda: process.poll() is not None)
        assert process.returncode == -signal.SIGKILL, step
    with worker(tmp_path, mesh, "nowhere"):
        call = await ended(store)
    assert call.status is CallStatus.COMPLETE
    assert call.revision == 1
    assert times(mesh, STT, CHECK, SUMMARY, HOOK) == [1, 1, 1, 1]


@pytest.mark.parametrize("path", [STT, CHECK, SUMMARY])
async def test_a_call_survives_a_kill_while_a_service_works_for_it(
    mesh: Any, tmp_path: Path, store: CallStore, path: str
) -> None:
    answer_all(mesh)
    real = mesh.answers[path]

    async def never() -> AsyncIterator[bytes]:
        yield b": \n\n"
        await asyncio.sleep(GUARD)

    mesh.answers[path] = lambda: StreamingResponse(never(), media_type="text/event-stream")
    with worker(tmp_path, mesh, "nowhere", CALL):
        await until(lambda: len(mesh.calls(path)) == 1)
        if path != STT:
            other = SUMMARY if path == CHECK else CHECK
            await until(lambda: len(mesh.calls(other)) == 1)
    mesh.answers[path] = real
    with worker(tmp_path, mesh, "nowhere"):
        call = await ended(store)
        await until(lambda: len(mesh.calls(HOOK)) > 0)
    assert call.status is CallStatus.COMPLETE
    assert call.revision == 1
    assert times(mesh, path, STT)[0] == 2
    assert len(mesh.calls(STT)) == (2 if path == STT else 1)
    assert len(mesh.calls(HOOK)) == 1
