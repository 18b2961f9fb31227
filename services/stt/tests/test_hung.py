"""Workers that are alive and do nothing: stopped with SIGSTOP, they look like that."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from chammal_stt.decoder import Decoder
from chammal_stt.messages import SAMPLE_RATE, DecodeReply
from chammal_stt.patience import Patience, Watch, processor_ticks
from chammal_stt.settings import SttSettings
from chammal_stt.trial import Trial
from chammal_stt.worker import Worker

from .conftest import PATIENCE

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process uses"),
]

QUICK = SttSettings(decoders=1, hung_seconds=2, ready_fresh_seconds=1000)


@pytest.fixture
async def make_decoder() -> AsyncIterator[Callable[..., Decoder]]:
    made: list[Decoder] = []

    def make(settings: SttSettings) -> Decoder:
        made.append(Decoder(settings))
        return made[-1]

    yield make
    for decoder in made:
        await decoder.pool.aclose()


async def started(decoder: Decoder) -> Worker:
    async with decoder.pool.lease() as worker:
        return worker


async def decode(decoder: Decoder, content: bytes) -> DecodeReply:
    with tempfile.TemporaryFile() as upload, tempfile.TemporaryFile() as samples:
        upload.write(content)
        upload.flush()
        return await decoder.decode(upload.fileno(), samples.fileno())


def hung(worker: str) -> float:
    return REGISTRY.get_sample_value("chammal_stt_workers_hung_total", {"worker": worker}) or 0.0


async def test_a_decoder_that_was_stopped_is_replaced_and_the_recording_decoded(
    make_decoder: Callable[..., Decoder], recordings
) -> None:
    decoder = make_decoder(QUICK)
    worker, before = await started(decoder), hung("decoder")
    os.kill(worker.pid, signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE):
        reply = await decode(decoder, recordings.wav(recordings.sound(1)))
    assert reply.samples == SAMPLE_RATE
    assert not worker.alive
    assert hung("decoder") == before + 1


async def test_a_worker_that_has_just_worked_is_ready_without_a_trial(make_decoder: Callable[..., Decoder]) -> None:
    decoder = make_decoder(QUICK)
    worker = await started(decoder)
    used = processor_ticks(worker.pid)
    assert (await decoder.check()).ready
    assert (processor_ticks(worker.pid), worker.busy) == (used, False)


async def test_a_worker_that_has_not_worked_lately_is_given_a_trial(make_decoder: Callable[..., Decoder]) -> None:
    decoder = make_decoder(QUICK.model_copy(update={"ready_fresh_seconds": 100}))
    worker = await started(decoder)
    worker.worked_at -= 1000
    assert (await decoder.check()).ready
    assert asyncio.get_running_loop().time() - worker.worked_at < 100


async def test_a_worker_that_hangs_is_found_by_readiness_and_replaced(make_decoder: Callable[..., Decoder]) -> None:
    decoder = make_decoder(QUICK.model_copy(update={"hung_seconds": 4.0}))
    worker = await started(decoder)
    worker.worked_at -= 10_000
    os.kill(worker.pid, signal.SIGSTOP)
    check = await decoder.check()
    assert not check.ready
    assert "decoding a second of silence" in (check.reason or "")
    async with asyncio.timeout(PATIENCE):
        while not (await decoder.check()).ready:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert not worker.alive


async def test_only_one_trial_runs_and_none_while_all_are_at_work() -> None:
    decoder, trials = Decoder(QUICK), 0
    over = asyncio.Event()

    async def try_worker(worker: Worker) -> None:
        nonlocal trials
        trials += 1
        await over.wait()

    async def check_five() -> list[str | None]:
        return await asyncio.gather(*(trial.reason() for _ in range(5)))

    trial = Trial(decoder.pool, "a trial", try_worker, 0.0)
    try:
        async with decoder.pool.lease():
            assert (await trial.reason(), trials) == (None, 0)
        checking = asyncio.create_task(check_five())
        async with asyncio.timeout(PATIENCE):
            while not decoder.pool.borrowed:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        over.set()
        await checking
        assert trials == 1
    finally:
        await decoder.pool.aclose()


def test_a_worker_that_is_busy_is_not_hung() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    watch = Watch(busy.pid, Patience(4.0, 2.0))
    try:
        for turn in range(4):
            assert (watch.idles, watch.is_over) == (False, False), turn
            used = processor_ticks(busy.pid)
            while processor_ticks(busy.pid) == used:
                pass
            watch.turn()
        assert (watch.idles, watch.is_over) == (False, True)
    finally:
        busy.kill()
        busy.wait()


def test_a_worker_ends_with_its_web_process_even_when_it_is_stopped(start_server, tmp_path: Path) -> None:
    server = start_server(tmp_path, tmp_path)
    server.until(lambda: any(check["ready"] for check in server.client.get("/ready").json()["checks"]))
    (worker, *_) = server.workers("decoder_process")
    os.kill(worker, signal.SIGSTOP)
    server.process.kill()
    server.process.wait()
    server.client.close()
    end = time.monotonic() + PATIENCE
    while is_alive(worker):
        assert time.monotonic() < end
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.model
def test_recognisers_that_were_all_stopped_are_replaced_and_the_request_answered(
    start_server, two_models_dir: Path, audio: Path, tmp_path: Path
) -> None:
    server = start_server(two_models_dir, tmp_path, model="whisper-tiny.en", workers=2, hung_seconds=2)
    server.until(server.ready)
    server.until(lambda: len(server.workers("recogniser_process")) == 2)
    stopped = server.workers("recogniser_process")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    answer = server.post("a.flac", (audio / "en_jfk.flac").read_bytes(), language="en")
    assert (answer.status_code, "ask not" in answer.json()["text"]) == (200, True)
    assert server.metric('chammal_stt_workers_hung_total{worker="recogniser"}') >= 1
    server.close()
