"""The composition root."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI

from chammal_kit.app import create_app
from chammal_kit.limit_metrics import counted_limiter
from chammal_kit.limiter import LimitPolicy
from chammal_kit.models import find, load_manifest
from chammal_kit.priority import session_gives_way, thread_gives_way
from chammal_kit.serve import shut_down
from chammal_tts.engine import Engine
from chammal_tts.loading import Loading
from chammal_tts.readiness import TtsReadiness
from chammal_tts.routes import router
from chammal_tts.settings import TtsSettings
from chammal_tts.state import TtsState
from chammal_tts.work import WatchedEngine, Work

_SESSION_NICE = 5


def create(
    settings: TtsSettings | None = None,
    load: Callable[[TtsSettings], Engine] | None = None,
    give_up: Callable[[], None] = shut_down,
) -> FastAPI:
    """`load` makes the engine, in a thread; it is called again until it succeeds. `give_up` when the engine hangs."""
    settings = settings or TtsSettings()
    make = load or load_kokoro

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, TtsState]]:
        executor = ThreadPoolExecutor(settings.parallel, thread_name_prefix="tts", initializer=_give_way)
        work = Work(settings.hung_seconds, settings.ready_fresh_seconds, give_up)
        loading = Loading(
            settings.model, lambda: WatchedEngine(make(settings), work), executor, settings.model_poll_seconds
        )
        readiness = TtsReadiness(loading, work, executor)
        policy = LimitPolicy(
            wait_seconds=settings.limit_wait_seconds, least=settings.limit_least, most=settings.limit_most, start=4
        )
        limiter = counted_limiter("tts", policy)
        tasks = [asyncio.create_task(loading.run()), asyncio.create_task(work.watch())]
        try:
            yield {"tts": TtsState(settings, loading, executor, limiter, work, readiness)}
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, readiness.aclose(), return_exceptions=True)
            executor.shutdown(wait=False, cancel_futures=True)

    return create_app(service="tts", distribution="chammal-tts", lifespan=lifespan, routers=[router], settings=settings)


def _give_way() -> None:
    """The thread of the model, while who answers is in the same process; and a little less, the session of both."""
    thread_gives_way()
    session_gives_way(nice=_SESSION_NICE)


def load_kokoro(settings: TtsSettings) -> Engine:
    """Raises ModelError when the model is not here, with the command that fetches it."""
    from chammal_tts.kokoro import Kokoro

    found = find(load_manifest(settings.models_manifest), settings.models_dir, settings.model)
    return Kokoro(found.path, settings.model_threads)
