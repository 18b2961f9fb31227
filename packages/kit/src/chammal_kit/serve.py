"""Runs an app under uvicorn, as all services are run."""

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable

import uvicorn
from fastapi import FastAPI

from chammal_kit.logs import component_logger, configure_logging
from chammal_kit.settings import ServiceSettings

KEEP_ALIVE_SECONDS = 30
"""Longer than the 4 s after which our own clients drop an idle connection, so that no request meets a closed one."""
_START_FAILED = 3

log = component_logger("Server")

Drain = Callable[[], Awaitable[None]]
"""Ends what would not end by itself, such as WebSocket sessions. Called while connections are still served."""


class Server(uvicorn.Server):
    """Drains the app first: uvicorn closes every WebSocket at once, whatever is being said on it."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        drain: Drain | None = getattr(self.config.app.state, "drain", None)  # type: ignore[union-attr]
        if drain is not None:
            await self._drain(drain)
        await super().shutdown(sockets)

    async def _drain(self, drain: Drain) -> None:
        draining = asyncio.ensure_future(drain())
        end = asyncio.get_running_loop().time() + (self.config.timeout_graceful_shutdown or 0)
        while not draining.done() and not self.force_exit and asyncio.get_running_loop().time() < end:
            await asyncio.wait((draining,), timeout=0.1)
        if not draining.done():
            log.warning("Not everything could be finished in time.")
            draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)


def serve(app: FastAPI, settings: ServiceSettings, websockets: bool = False) -> None:
    """Blocks until SIGINT or SIGTERM, then finishes what is in flight; `app.state.drain` may help with that."""
    server = Server(configure(app, settings, websockets))
    try:
        server.run()
    except KeyboardInterrupt:
        return
    if not server.started:
        sys.exit(_START_FAILED)


def configure(app: FastAPI, settings: ServiceSettings, websockets: bool) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    if websockets:
        from chammal_kit.web_socket import MESSAGE_BYTES, PING_SECONDS, WebSocketProtocol

        config.ws = WebSocketProtocol
        config.ws_max_size = MESSAGE_BYTES
        config.ws_ping_interval = PING_SECONDS
        config.ws_ping_timeout = None
        config.ws_per_message_deflate = False
    return config


def main(app: FastAPI, settings: ServiceSettings, websockets: bool = False) -> None:
    """A service's command line: it serves, or with `--openapi` prints the description of its interface."""
    if sys.argv[1:] == ["--openapi"]:
        sys.stdout.write(json.dumps(app.openapi(), ensure_ascii=False, indent=2) + "\n")
        return
    configure_logging(settings)
    serve(app, settings, websockets)
