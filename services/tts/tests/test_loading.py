import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from chammal_kit.models import Model, ModelError, ModelMissing
from chammal_kit.problems import Problem
from chammal_tts.engine import Capabilities, Engine, Speech
from chammal_tts.loading import Loading
from chammal_tts.script import Language
from chammal_tts.voices import Voice, find_voice

pytestmark = pytest.mark.anyio

MISSING = ModelMissing(
    Model.model_validate(
        {"id": "kokoro", "role": "tts", "title": "", "licence": "", "languages": (),
         "files": [{"path": "model.onnx", "size": 1, "sha256": "0" * 64, "parts": [{"pypi": "a==1", "member": "b"}]}]}
    ),
    ("model.onnx",),
)  # fmt: skip


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def until_it_says(loading: Loading, reason: str) -> None:
    """The thread that loads gives no event of its own to wait for."""
    async with asyncio.timeout(20):
        while reason not in (loading.readiness().checks[0].reason or ""):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_missing_model_is_named_with_its_command_and_awaited(
    executor: ThreadPoolExecutor, engine: Engine
) -> None:
    seen: list[Loading] = []
    reasons = []

    def load() -> Engine:
        seen.append(loading)
        if len(seen) == 1:
            raise MISSING
        reasons.append(loading.readiness().checks[0])
        return engine

    loading = Loading("kokoro", load, executor, 0.001)
    assert not loading.readiness().ready
    await asyncio.wait_for(loading.run(), 20)
    assert reasons[0].hint == "chammal models fetch kokoro"
    assert "not here" in (reasons[0].reason or "")
    assert loading.readiness().ready
    assert loading.engine() is engine


@pytest.mark.parametrize("error", [ModelError("no manifest"), RuntimeError("bad protobuf"), OSError("disk")])
async def test_whatever_loading_raises_is_a_reason_and_not_a_crash(
    executor: ThreadPoolExecutor, error: Exception
) -> None:
    def load() -> Engine:
        raise error

    loading = Loading("kokoro", load, executor, 60)
    task = asyncio.create_task(loading.run())
    await until_it_says(loading, str(error))
    task.cancel()
    with pytest.raises(Problem) as refused:
        loading.engine()
    assert (refused.value.status, refused.value.code) == (503, "model_unavailable")


class Mute:
    voices = frozenset({"af_heart"})
    capabilities = Capabilities(frozenset(Language))

    def voice(self, name: str) -> Voice | None:
        return find_voice(name, self.voices)

    def speak(self, *_: object) -> Speech:
        return Speech(np.zeros(0, np.float32), 0)


async def test_an_engine_that_says_nothing_is_not_ready(executor: ThreadPoolExecutor) -> None:
    loading = Loading("kokoro", Mute, executor, 60)  # type: ignore[arg-type]
    task = asyncio.create_task(loading.run())
    await until_it_says(loading, "NoAudio")
    task.cancel()
    assert not loading.readiness().ready
