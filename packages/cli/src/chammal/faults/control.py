"""Sets faults over HTTP: GET /faults, PUT and DELETE /faults/{name}."""

from collections.abc import Mapping
from dataclasses import asdict

from fastapi import FastAPI, HTTPException

from chammal.faults.fault import Fault
from chammal.faults.proxy import FaultProxy
from chammal_contracts.health import Readiness


def control(proxies: Mapping[str, FaultProxy]) -> FastAPI:
    app = FastAPI(title="chammal.faults")

    def proxy(name: str) -> FaultProxy:
        if name not in proxies:
            raise HTTPException(404, f"There is no route {name!r}. Known are: {', '.join(proxies)}.")
        return proxies[name]

    @app.get("/ready")
    async def get_ready() -> Readiness:
        return Readiness(ready=True)

    @app.get("/faults")
    async def get_faults() -> dict[str, Fault | None]:
        return {name: each.fault for name, each in proxies.items()}

    @app.get("/counters")
    async def get_counters() -> dict[str, dict[str, int]]:
        return {name: asdict(each.counters) for name, each in proxies.items()}

    @app.put("/faults/{name}")
    async def put_fault(name: str, fault: Fault) -> Fault:
        proxy(name).fault = fault
        return fault

    @app.delete("/faults/{name}", status_code=204)
    async def delete_fault(name: str) -> None:
        proxy(name).fault = None

    return app
