"""Runs an app under uvicorn, as all services are run."""

import asyncio
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from chammal_kit.draining import Draining
from chammal_kit.logs import component_logger, configure_logging
from chammal_kit.operations import OperationsPort, PublicPort
from chammal_kit.patient_http import PatientHttp
from chammal_kit.settings import ServiceSettings
from chammal_kit.vitals import Vitals

KEEP_ALIVE_SECONDS = 30
"""Longer than the 4 s after which our own clients drop an idle connection, so that no request meets a closed one."""
_START_FAILED = 3
_FORCED = 1
_LAST_SECONDS = 3.0
"""For closing and ending workers, once requests are done or given up. Then a thread that hangs holds nobody up."""
_MUTE_SECONDS = 0.5
"""Left for uvicorn to cancel what was not finished."""

log = component_logger("Server")

Drain = Callable[[], Awaitable[None]]
"""Ends what would not end by itself, such as WebSocket sessions. Called while connections are still served."""


class Config(uvicorn.Config):
    operations: uvicorn.Config | None = None
    """How the second port is served, if there is one."""
    blocked_seconds: float = 0.0


class Server(uvicorn.Server):
    """Finishes what is in flight before it closes anything; uvicorn alone closes every WebSocket at once.

    From the signal on /ready is 503 and requests are refused; the listener closes when the rest is done.
    """

    def __init__(self, config: Config, *, owns_process: bool = False) -> None:
        super().__init__(config)
        self._owns_process = owns_process
        self._config = config
        self._vitals = Vitals(config.blocked_seconds)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A second signal forces. Neither is raised again at the end: to stop when told to is no failure."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._begin()
        self._leave_within(_LAST_SECONDS if self.force_exit else self._shutdown_seconds + _LAST_SECONDS)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._config.operations is not None:
            self.servers.append(await self._listen(self._config.operations))
        if self._owns_process:
            spare_what_stays()
        self._vitals.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._vitals.stop()
        self._begin()
        end = asyncio.get_running_loop().time() + max(0.0, self._shutdown_seconds - _MUTE_SECONDS)
        await self._drain(end)
        left = max(0.0, end - asyncio.get_running_loop().time())
        self.config.timeout_graceful_shutdown = left  # type: ignore[assignment]  # it is given to wait_for alone
        await super().shutdown(sockets)
        if self._owns_process:
            self._leave_within(_LAST_SECONDS)

    @property
    def _shutdown_seconds(self) -> float:
        return self.config.timeout_graceful_shutdown or 0

    def _begin(self) -> None:
        draining: Draining | None = getattr(self.config.app.state, "draining", None)  # type: ignore[union-attr]
        if draining is not None:
            draining.begin()

    async def _drain(self, end: float) -> None:
        state = self.config.app.state  # type: ignore[union-attr]
        drain: Drain | None = getattr(state, "drain", None)
        draining: Draining | None = getattr(state, "draining", None)
        ending = [asyncio.ensure_future(drain())] if drain is not None else []
        if draining is not None:
            ending.append(asyncio.ensure_future(draining.until_nobody()))
        waiting = set(ending)
        while waiting and not self.force_exit and asyncio.get_running_loop().time() < end:
            _, waiting = await asyncio.wait(waiting, timeout=0.1)
        if waiting:
            log.warning("Not everything could be finished: %d in flight.", draining.in_flight if draining else 0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _listen(self, config: uvicorn.Config) -> asyncio.Server:
        """The same app state and the same connections to close at the end, on another port."""
        config.load()

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )

        return await asyncio.get_running_loop().create_server(protocol, config.host, config.port)

    def _leave_within(self, seconds: float) -> None:
        """Whatever hangs: a thread that never returns would keep the interpreter from ending."""
        timer = threading.Timer(seconds, os._exit, (_FORCED,))
        timer.daemon = True
        timer.start()


def serve(app: FastAPI, settings: ServiceSettings, websockets: bool = False) -> None:
    """Blocks until SIGINT or SIGTERM, then finishes what is in flight; `app.state.drain` may help with that."""
    server = Server(configure(app, settings, websockets), owns_process=True)
    server.run()
    if not server.started:
        sys.exit(_START_FAILED)
    if server.force_exit:
        sys.exit(_FORCED)


def spare_what_stays() -> None:
    """Modules, routes and models live as long as the process. A full collection that walks them all stops the event
    loop for a tenth of a second on a busy machine."""
    gc.collect()
    gc.freeze()


def shut_down() -> None:
    """For a service that finds itself broken for good: as if told to stop, so that it is started anew."""
    signal.raise_signal(signal.SIGTERM)


def configure(app: FastAPI, settings: ServiceSettings, websockets: bool) -> Config:
    public = PublicPort(app) if settings.operations_port else app
    config = _config(public, settings.host, settings.port, settings)
    config.blocked_seconds = settings.blocked_seconds
    if settings.operations_port:
        host = settings.operations_host or settings.host
        config.operations = _config(OperationsPort(app), host, settings.operations_port, settings)
    if websockets:
        from chammal_kit.web_socket import MESSAGE_BYTES, PING_SECONDS, WebSocketProtocol

        config.ws = WebSocketProtocol
        config.ws_max_size = MESSAGE_BYTES
        config.ws_ping_interval = PING_SECONDS
        config.ws_ping_timeout = None
        config.ws_per_message_deflate = False
    return config


def _config(app: FastAPI | PublicPort | OperationsPort, host: str, port: int, settings: ServiceSettings) -> Config:
    return Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=PatientHttp,
        ws="none",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def main(app: FastAPI, settings: ServiceSettings, websockets: bool = False) -> None:
    """A service's command line: it serves, or with `--openapi` prints the description of its interface."""
    if sys.argv[1:] == ["--openapi"]:
        sys.stdout.write(json.dumps(app.openapi(), ensure_ascii=False, indent=2) + "\n")
        return
    configure_logging(settings)
    serve(app, settings, websockets)
