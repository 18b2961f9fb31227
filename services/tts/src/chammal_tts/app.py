"""The composition root."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from chammal_kit.app import create_app
from chammal_kit.limit_metrics import counted_limiter
from chammal_kit.limiter import LimitPolicy
from chammal_kit.models import find, load_manifest
from chammal_tts.engine import Engine
from chammal_tts.loading import Loading
from chammal_tts.routes import router
from chammal_tts.settings import TtsSettings
from chammal_tts.state import TtsState

_NICE = 5


def create(settings: TtsSettings | None = None, load: Callable[[TtsSettings], Engine] | None = None) -> FastAPI:
    """`load` makes the engine, in a thread; it is called again until it succeeds."""
    settings = settings or TtsSettings()
    make = load or load_kokoro

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, TtsState]]:
        executor = ThreadPoolExecutor(settings.parallel, thread_name_prefix="tts", initializer=_give_way)
        loading = Loading(settings.model, lambda: make(settings), executor, settings.model_poll_seconds)
        policy = LimitPolicy(
            wait_seconds=settings.limit_wait_seconds, least=settings.limit_least, most=settings.limit_most, start=8
        )
        limiter = counted_limiter("tts", policy)
        task = asyncio.create_task(loading.run())
        try:
            yield {"tts": TtsState(settings, loading, executor, limiter)}
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            executor.shutdown(wait=False, cancel_futures=True)

    return create_app(service="tts", distribution="chammal-tts", lifespan=lifespan, routers=[router], settings=settings)


def _give_way() -> None:
    """So that answers leave in milliseconds while a sentence is spoken. On Linux it is of this thread and those that it
    starts, the model's; elsewhere it would be of the whole process."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)


def load_kokoro(settings: TtsSettings) -> Engine:
    """Raises ModelError when the model is not here, with the command that fetches it."""
    from chammal_tts.kokoro import Kokoro

    found = find(load_manifest(settings.models_manifest), settings.models_dir, settings.model)
    return Kokoro(found.path, settings.model_threads)
