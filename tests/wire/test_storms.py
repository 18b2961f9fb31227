"""A service is killed again and again under load: the others keep their pace, and nobody storms it when it is back."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from chammal.runner import Program, Restart, running
from tests.wire.service import PATIENCE, Upstream, children, free_port

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are told apart by /proc"),
]

KILLS = 4
RESTART = Restart(first_seconds=0.1, longest_seconds=0.2)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def answers(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.TransportError:
        return False


async def ask(client: httpx2.AsyncClient, path: str, body: dict[str, object], outcomes: Counter[int]) -> None:
    """Until cancelled."""
    while True:
        outcomes[(await client.post(path, json=body)).status_code] += 1
        await asyncio.sleep(0.02)


async def test_a_gateway_that_is_killed_again_and_again_costs_the_others_nothing(tmp_path: Path) -> None:
    before_us = set(children(os.getpid()))
    upstream, llm, api = Upstream(), free_port(), free_port()
    told = {
        "CHAMMAL_LLM_PORT": str(llm),
        "CHAMMAL_LLM_VLLM_URL": upstream.url,
        "CHAMMAL_API_PORT": str(api),
        "CHAMMAL_API_DATA_DIR": str(tmp_path / "data"),
        "CHAMMAL_API_LLM_URL": f"http://127.0.0.1:{llm}",
        "CHAMMAL_API_STT_URL": upstream.url,
        "CHAMMAL_API_TTS_URL": upstream.url,
        "CHAMMAL_API_BREAKER_OPEN_SECONDS": "0.5",
        "CHAMMAL_API_CONNECT_SECONDS": "10",  # this machine may be slow; what is killed refuses at once
        "CHAMMAL_LLM_CONNECT_SECONDS": "10",
    }
    programs = [
        Program("gateway", (sys.executable, "-m", "chammal_llm_gateway"), told),
        Program("api", (sys.executable, "-m", "chammal_api"), told),
    ]
    chats: Counter[int] = Counter()
    speeches: Counter[int] = Counter()
    chat: dict[str, object] = {"model": "default", "messages": [{"role": "user", "content": "?"}]}
    try:
        async with (
            running(programs, lambda name, line: None, restart=RESTART, stop_seconds=5),
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{api}", timeout=PATIENCE, trust_env=False) as client,
        ):
            ready = f"http://127.0.0.1:{llm}/ready"
            await until(lambda: answers(client, ready))
            await until(lambda: answers(client, "/ready"))
            load = [
                asyncio.create_task(ask(client, "/v1/chat/completions", chat, chats)),
                asyncio.create_task(ask(client, "/v1/audio/speech", {"input": "Yes."}, speeches)),
            ]
            for _ in range(KILLS):
                ours = set(children(os.getpid())) - before_us
                (gateway,) = (pid for pid in ours if b"gateway" in command(pid))
                os.kill(gateway, signal.SIGKILL)
                await until(lambda dead=gateway: gone(dead))
                await until(lambda: answers(client, ready))
                served = chats[200]
                await until(lambda before=served: more(chats, before))
            failures = (await client.get("/v1/failures")).json()
            for task in load:
                task.cancel()
            ended = await asyncio.gather(*load, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended)
    finally:
        upstream.close()
    assert set(chats) <= {200, 502, 503}, chats
    assert set(speeches) == {200}, speeches
    assert {stage["stage"]: stage["breaker"] for stage in failures["stages"]}["analysis"] == "closed"
    assert upstream.probes <= 3 * (KILLS + 1), "each new gateway asks for a token, and soon has proof enough"


async def gone(pid: int) -> bool:
    return pid not in children(os.getpid())


async def more(outcomes: Counter[int], before: int) -> bool:
    return outcomes[200] > before + 5


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
