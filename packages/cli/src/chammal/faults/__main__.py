"""`python -m chammal.faults`: proxies by CHAMMAL_FAULTS_ROUTES, and the port on which faults are set."""

import asyncio

import uvicorn

from chammal.faults.control import control
from chammal.faults.proxy import FaultProxy
from chammal.faults.settings import FaultSettings, read_routes


async def run(settings: FaultSettings) -> None:
    """Until SIGINT or SIGTERM."""
    proxies = {route.name: FaultProxy(*route) for route in read_routes(settings.routes)}
    config = uvicorn.Config(
        control(proxies),
        host=settings.control_host,
        port=settings.control_port,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    try:
        for proxy in proxies.values():
            await proxy.start()
            print(f"{proxy.name}: port {proxy.port} to {proxy.target[0]}:{proxy.target[1]}", flush=True)
        await uvicorn.Server(config).serve()
    finally:
        for proxy in proxies.values():
            await proxy.aclose()


if __name__ == "__main__":
    asyncio.run(run(FaultSettings()))
