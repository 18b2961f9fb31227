"""What a chat call costs in our gateway, our api and litellm's proxy, measured in the same run.

    python bench/gateway.py [--rounds 5] [--litellm VENV] [--out bench/results/gateway.md]

All stand before the same stub (gateway_stub.py); the stub is also called directly, and what a hop adds is the
difference of the medians. Without --litellm or CHAMMAL_BENCH_LITELLM, litellm is installed into a temporary folder.
Processor time is user + system of the gateway's process from /proc, so this runs on Linux.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
BODY = json.dumps({"model": "default", "messages": [{"role": "user", "content": "Hello, are you there?"}]}).encode()
READY_SECONDS = 180.0
LITELLM_CONFIG = """\
model_list:
  - model_name: default
    litellm_params: {{model: openai/bench, api_base: "{url}/v1", api_key: none}}
litellm_settings: {{telemetry: false}}
"""
LITELLM_ENV = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
"""Without keys, as ours: checking them would cost it more."""


@dataclass
class Target:
    name: str
    port: int
    pid: int
    calls: int
    """Calls of one measurement with one client; 16 clients make twice as many."""
    micros: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def processor_seconds(pid: int) -> float:
    """User and system time of a process with all its threads and finished children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode("latin-1"))
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    await reader.readexactly(length)


async def client(port: int, calls: int) -> list[float]:
    """Seconds of each call over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = []
    for _ in range(calls):
        started = time.perf_counter()
        await call(reader, writer)
        taken.append(time.perf_counter() - started)
    writer.close()
    return taken


async def measure(target: Target) -> None:
    await client(target.port, max(20, target.calls // 10))
    before = processor_seconds(target.pid)
    taken = sorted(await client(target.port, target.calls))
    target.micros.append((processor_seconds(target.pid) - before) / target.calls * 1e6)
    target.p50.append(statistics.median(taken) * 1e3)
    target.p99.append(taken[int(len(taken) * 0.99)] * 1e3)
    started = time.perf_counter()
    each = max(1, target.calls * 2 // 16)
    await asyncio.gather(*(client(target.port, each) for _ in range(16)))
    target.rate.append(each * 16 / (time.perf_counter() - started))


@contextlib.contextmanager
def running(argv: list[str], port: int, env: dict[str, str] | None = None) -> Iterator[int]:
    """A server process that accepts connections on `port`; yields its process id."""
    environment = {**os.environ, **(env or {})}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            give_up = time.monotonic() + READY_SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > give_up:
                        raise RuntimeError(f"{argv[0]} did not start") from None
                    time.sleep(0.2)
            yield process.pid
        finally:
            process.terminate()


def litellm_venv(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin/pip", "install", "-q", "litellm[proxy]"], check=True)
    return folder


def version_of(folder: Path) -> str:
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    return subprocess.check_output([folder / "bin/python", "-c", code], text=True).strip()


def spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def table(direct: Target, ours: list[Target], theirs: Target, rounds: int, version: str) -> str:
    base50, base99 = statistics.median(direct.p50), statistics.median(direct.p99)
    rows = [
        "# One hop through the gateway or the api, beside litellm's proxy",
        "",
        f"One run of `python bench/gateway.py --rounds {rounds}` on {os.cpu_count()} shared cores, Python "
        f"{platform.python_version()}, {platform.system()}; litellm {version}, one worker each. "
        "80-byte question, 1 KB answer, plain HTTP on loopback, the same stub behind all. Medians of the rounds "
        "(lowest–highest). Client and stub share the cores, so rates are lower bounds; processor time is the sturdy "
        "figure.",
        "",
        "| | processor µs/request | added p50 ms, 1 client | added p99 ms | requests/s, 16 clients | of litellm's |",
        "|---|---|---|---|---|---|",
    ]
    theirs_micros = statistics.median(theirs.micros)
    for target in (*ours, theirs):
        rows.append(
            f"| {target.name} | {spread(target.micros)} | {spread([value - base50 for value in target.p50], 2)} "
            f"| {spread([value - base99 for value in target.p99], 2)} | {spread(target.rate)} "
            f"| {statistics.median(target.micros) / theirs_micros:.3f} |"
        )
    rows += [
        "",
        f"The stub alone: p50 {base50:.2f} ms, p99 {base99:.2f} ms, {statistics.median(direct.rate):,.0f} requests/s "
        "with 16 clients.",
        "",
        "| bar | measured | |",
        "|---|---|---|",
    ]
    for target in ours:
        micros = statistics.median(target.micros)
        rows += [
            verdict(f"{target.name}: at most 1,200 µs of processor time", micros, 1200, "µs"),
            verdict(f"{target.name}: adds at most 2 ms at p50", statistics.median(target.p50) - base50, 2, "ms"),
        ]
    gateway = statistics.median(ours[0].micros) / theirs_micros
    rows.append(verdict(f"{ours[0].name}: at most a tenth of litellm's processor time", gateway, 0.1, ""))
    return "\n".join(rows) + "\n"


def verdict(bar: str, measured: float, limit: float, unit: str) -> str:
    shown = f"{measured:,.0f}" if limit > 100 else f"{measured:.3f}"
    return f"| {bar} | {shown} {unit} | {'met' if measured <= limit else '**missed**'} |"


def run(rounds: int, litellm: Path) -> str:
    stub, gateway, api, theirs = free_port(), free_port(), free_port(), free_port()
    url = f"http://127.0.0.1:{stub}"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "litellm.yaml"
        config.write_text(LITELLM_CONFIG.format(url=url))
        stub_pid = stack.enter_context(running([sys.executable, str(HERE / "gateway_stub.py"), str(stub)], stub))
        told = {
            "CHAMMAL_LLM_PORT": str(gateway),
            "CHAMMAL_LLM_VLLM_URL": url,
            "CHAMMAL_API_PORT": str(api),
            "CHAMMAL_API_LLM_URL": url,
        }
        gateway_pid = stack.enter_context(running([sys.executable, "-m", "chammal_llm_gateway"], gateway, told))
        api_pid = stack.enter_context(running([sys.executable, "-m", "chammal_api"], api, told))
        proxy = [str(litellm / "bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(theirs)]
        their_pid = stack.enter_context(running(proxy, theirs, LITELLM_ENV))
        direct = Target("stub", stub, stub_pid, 2000)
        ours = [
            Target("chammal llm-gateway", gateway, gateway_pid, 2000),
            Target("chammal api, passing through", api, api_pid, 2000),
        ]
        litellm_proxy = Target("litellm proxy", theirs, their_pid, 200)
        for number in range(rounds):
            for target in (direct, *ours, litellm_proxy):
                print(f"round {number + 1} of {rounds}: {target.name}", file=sys.stderr)
                asyncio.run(measure(target))
    return table(direct, ours, litellm_proxy, rounds, version_of(litellm))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--litellm", type=Path, default=os.environ.get("CHAMMAL_BENCH_LITELLM"))
    parser.add_argument("--out", type=Path)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        written = run(told.rounds, told.litellm or litellm_venv(Path(folder) / "litellm"))
    print(written)
    if told.out:
        told.out.parent.mkdir(parents=True, exist_ok=True)
        told.out.write_text(written)


if __name__ == "__main__":
    main()
