"""The mesh as `chammal up` runs it, with a fault proxy before each service and a language model that costs nothing."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.stt.machine import free_port

from chammal.faults.proxy import FaultProxy
from chammal.mesh import programs
from chammal.readiness import wait_until_ready
from chammal.runner import Program, running
from chammal.settings import UpSettings

START_SECONDS = 180.0
SERVICES = ("api", "stt", "tts", "llm-gateway")
_MODULES = {"api": "chammal_api", "stt": "chammal_stt", "tts": "chammal_tts", "llm-gateway": "chammal_llm_gateway"}
_LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Mesh:
    ports: dict[str, int]
    proxies: dict[str, FaultProxy]

    @property
    def api(self) -> str:
        return f"http://{_LOCAL}:{self.ports['api']}"

    def pid(self, service: str) -> int | None:
        """Of the service's process now; None while it is being restarted."""
        wanted = f"-m\0{_MODULES[service]}\0".encode()
        return next((pid for pid in children(os.getpid()) if wanted in _command(pid)), None)

    def workers(self, kind: str) -> list[int]:
        """Process ids of stt's workers: `recogniser` or `decoder`."""
        stt = self.pid("stt")
        wanted = f"chammal_stt.{kind}_process".encode()
        return [pid for pid in children(stt) if wanted in _command(pid)] if stt else []


def children(parent: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        try:
            found += [int(pid) for pid in task.read_text().split()]
        except OSError:
            continue
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@asynccontextmanager
async def mesh(models_dir: Path, manifest: Path, log: Path) -> AsyncIterator[Mesh]:
    ports = {name: free_port() for name in SERVICES}
    async with AsyncExitStack() as stack:
        model = await asyncio.start_server(_language_model, _LOCAL, 0)
        stack.push_async_callback(_close, model)
        targets = {**{name: ports[name] for name in SERVICES[1:]}, "vllm": model.sockets[0].getsockname()[1]}
        proxies = {name: FaultProxy(name, (_LOCAL, 0), (_LOCAL, port)) for name, port in targets.items()}
        for proxy in proxies.values():
            await proxy.start()
            stack.push_async_callback(proxy.aclose)
        lines = stack.enter_context(log.open("w", encoding="utf-8", buffering=1))
        started = _programs(models_dir, manifest, ports, {name: proxy.port for name, proxy in proxies.items()})
        await stack.enter_async_context(running(started, lambda name, line: print(name, line, sep=" | ", file=lines)))
        missing = await wait_until_ready(started, START_SECONDS, lambda program, seconds: None)
        if missing:
            raise SystemExit(f"not ready: {missing}")
        yield Mesh(ports, proxies)


def _programs(models_dir: Path, manifest: Path, ports: dict[str, int], proxied: dict[str, int]) -> list[Program]:
    settings = UpSettings(
        models_dir=models_dir,
        models_manifest=manifest,
        api_port=ports["api"],
        stt_port=ports["stt"],
        tts_port=ports["tts"],
        llm_port=ports["llm-gateway"],
    )
    told = {
        "CHAMMAL_API_STT_URL": f"http://{_LOCAL}:{proxied['stt']}",
        "CHAMMAL_API_TTS_URL": f"http://{_LOCAL}:{proxied['tts']}",
        "CHAMMAL_API_LLM_URL": f"http://{_LOCAL}:{proxied['llm-gateway']}",
        "CHAMMAL_LLM_VLLM_URL": f"http://{_LOCAL}:{proxied['vllm']}",
        "CHAMMAL_STT_MODEL": "whisper-tiny.en",
        "CHAMMAL_STT_LANGUAGE": "en",
        "CHAMMAL_API_LANGUAGE": "en",
    }
    return [replace(one, env={**one.env, **told}) for one in programs(settings, embedded=False)]


async def _close(server: asyncio.Server) -> None:
    server.close()


async def _language_model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Just enough of OpenAI's protocol; it says yes."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            at = head.find(b"content-length:")
            body = await reader.readexactly(int(head[at + 15 :].split(b"\r\n", 1)[0])) if at >= 0 else b""
            streams = b'"stream":true' in body.replace(b" ", b"")
            writer.write(_MODELS if head.startswith(b"get") else _STREAM if streams else _ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _answer(content: str, kind: str) -> bytes:
    body = content.encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _chunk(delta: dict[str, str], finish: str | None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


_MODELS = _answer('{"object": "list", "data": [{"id": "stub", "object": "model"}]}', "application/json")
_MESSAGE = {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
_ANSWER = _answer(json.dumps({"id": "c", "model": "stub", "choices": [_MESSAGE]}), "application/json")
_STREAM = _answer(
    _chunk({"content": "Yes"}, None) + _chunk({"content": "."}, "stop") + "data: [DONE]\n\n", "text/event-stream"
)
