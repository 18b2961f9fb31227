"""Waits until services are ready, and knows why one is not."""

import asyncio
import time
from collections.abc import Callable, Sequence

import httpx2
from pydantic import ValidationError

from chammal.runner import Program
from chammal_contracts.health import Readiness

POLL_SECONDS = 1.0
PROBE_SECONDS = 10.0


async def wait_until_ready(
    programs: Sequence[Program], seconds: float, ready: Callable[[Program, float], None]
) -> dict[str, str]:
    """Calls `ready(program, seconds it took)` as each becomes ready. Returns the reason of each that did not."""
    reasons = {program.name: "no answer yet" for program in programs if program.address}
    started = time.monotonic()

    async def watch(client: httpx2.AsyncClient, program: Program) -> None:
        while True:
            reason = await probe(client, f"{program.address}{program.ready_path}")
            if reason is None:
                del reasons[program.name]
                ready(program, time.monotonic() - started)
                return
            reasons[program.name] = reason
            await asyncio.sleep(POLL_SECONDS)

    async with httpx2.AsyncClient(trust_env=False, timeout=PROBE_SECONDS) as client:
        watches = [asyncio.create_task(watch(client, program)) for program in programs if program.address]
        try:
            await asyncio.wait(watches, timeout=seconds)
        finally:
            for task in watches:
                task.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
    return reasons


async def probe(client: httpx2.AsyncClient, url: str) -> str | None:
    """None when ready, else the reason."""
    try:
        response = await client.get(url)
    except httpx2.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    if response.status_code == 200:
        return None
    try:
        readiness = Readiness.model_validate_json(response.content)
    except ValidationError:
        return f"answered {response.status_code}"
    failing = [check for check in readiness.checks if not check.ready]
    return "; ".join(f"{check.name}: {check.reason}" for check in failing) or f"answered {response.status_code}"
