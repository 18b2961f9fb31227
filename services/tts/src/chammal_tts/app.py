"""The composition root."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI

from chammal_kit.app import create_app
from chammal_kit.limit_metrics import counted_limiter
from chammal_kit.limiter import LimitPolicy
from chammal_kit.logs import component_logger
from chammal_kit.priority import session_gives_way, thread_gives_way
from chammal_kit.serve import shut_down
from chammal_tts.backends import LOADS, Load, make_backends
from chammal_tts.remote import Transport
from chammal_tts.routes import router
from chammal_tts.settings import EngineName, TtsSettings
from chammal_tts.state import TtsState
from chammal_tts.work import Work

log = component_logger("TTS")

_SESSION_NICE = 5


def create(
    settings: TtsSettings | None = None,
    load: Load | None = None,
    give_up: Callable[[], None] = shut_down,
    transport: Transport = lambda: None,
) -> FastAPI:
    """`load` makes Kokoro, in a thread; it is called again until it succeeds. `give_up` when an engine hangs.
    `transport` stands in for the network in tests."""
    settings = settings or TtsSettings()
    loads = {**LOADS, EngineName.KOKORO: load} if load else LOADS

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, TtsState]]:
        executor = ThreadPoolExecutor(settings.parallel, thread_name_prefix="tts", initializer=_give_way)
        work = Work(settings.hung_seconds, settings.ready_fresh_seconds, give_up)
        backends = make_backends(settings, executor, work, loads, transport)
        log.info("engines in order: %s", ", ".join(backend.name for backend in backends) or "none")
        policy = LimitPolicy(
            wait_seconds=settings.limit_wait_seconds, least=settings.limit_least, most=settings.limit_most, start=4
        )
        limiter = counted_limiter("tts", policy)
        watching = asyncio.create_task(work.watch())
        try:
            yield {"tts": TtsState(settings, backends, limiter, work)}
        finally:
            watching.cancel()
            await asyncio.gather(watching, *(backend.aclose() for backend in backends), return_exceptions=True)
            executor.shutdown(wait=False, cancel_futures=True)

    return create_app(service="tts", distribution="chammal-tts", lifespan=lifespan, routers=[router], settings=settings)


def _give_way() -> None:
    """The thread of the model, while who answers is in the same process; and a little less, the session of both."""
    thread_gives_way()
    session_gives_way(nice=_SESSION_NICE)
