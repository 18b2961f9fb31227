"""An app on a port of its own, in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable

from fastapi import FastAPI

from chammal_kit.serve import Server, configure
from chammal_kit.settings import ServiceSettings

PATIENCE = 30.0
Stop = Callable[[], None]


def serve(app: FastAPI, port: int = 0) -> tuple[str, Stop]:
    """Its address, and what ends it."""
    started = threading.Event()
    server = Server(configure(app, ServiceSettings(port=port, shutdown_seconds=1), websockets=True))

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():  # noqa: ASYNC110 uvicorn tells nobody
            await asyncio.sleep(0.01)
        started.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(PATIENCE)
    host, found = server.servers[0].sockets[0].getsockname()[:2]

    def stop() -> None:
        server.should_exit = True
        thread.join(PATIENCE)

    return f"http://{host}:{found}", stop
