"""Puts the stt service together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from chammal_kit.app import create_app
from chammal_stt import model_routes, routes
from chammal_stt.live import sessions
from chammal_stt.settings import SttSettings
from chammal_stt.transcriber import Transcriber


class State(TypedDict):
    transcriber: Transcriber
    live: sessions.LiveSessions


def create(settings: SttSettings | None = None) -> FastAPI:
    configured = settings or SttSettings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        transcriber = Transcriber(configured)
        live = sessions.LiveSessions(transcriber.shelf, configured)
        app.state.drain = live.drain
        transcriber.start()
        try:
            yield {"transcriber": transcriber, "live": live}
        finally:
            await transcriber.aclose()

    return create_app(
        service="stt",
        distribution="chammal-stt",
        lifespan=lifespan,
        routers=[routes.router, model_routes.router, sessions.router],
        settings=configured,
    )
