"""The fault proxies and the stand-in of all language models, in a thread with an event loop of their own."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvicorn

from chammal.faults.fault import Fault
from chammal.faults.proxy import FaultProxy
from tests.faults.service import free_port
from tests.faults.stand_in import app
from tests.faults.tcp_proxy import TcpProxy

T = TypeVar("T")


_LONG = 3600
"""Seconds that an idle connection stays, so that no fault is met but those that are asked for."""


class Proxies:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._proxies: dict[str, FaultProxy | TcpProxy] = {}
        self.stand_in_port = free_port()
        self._server = uvicorn.Server(
            uvicorn.Config(app, port=self.stand_in_port, log_level="error", timeout_keep_alive=_LONG)
        )
        self._serving = asyncio.run_coroutine_threadsafe(self._server.serve(), self._loop)

    def add(self, name: str, port: int) -> str:
        """The address of a new proxy before `port`."""
        proxy = FaultProxy(name, ("127.0.0.1", 0), ("127.0.0.1", port))
        return f"http://127.0.0.1:{self._start(name, proxy)}"

    def add_tcp(self, name: str, port: int) -> int:
        """The port of a new proxy before what does not speak HTTP."""
        return self._start(name, TcpProxy(("127.0.0.1", port)))

    def _start(self, name: str, proxy: FaultProxy | TcpProxy) -> int:
        self._run(proxy.start())
        self._proxies[name] = proxy
        return proxy.port

    def set(self, name: str, fault: Fault | None) -> None:
        async def change() -> None:
            self._proxies[name].fault = fault

        self._run(change())

    def heal(self) -> None:
        for name, proxy in self._proxies.items():
            if proxy.fault:
                self.set(name, None)

    def close(self) -> None:
        for proxy in self._proxies.values():
            self._run(proxy.aclose())
        self._server.should_exit = True
        self._serving.result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
