"""How much memory one large upload costs the api: `python bench/upload_memory.py [--megabytes 500]`.

Both ways in are measured, the pass-through and `POST /transcribe`, in a fresh api process each, behind a stand-in that
reads the upload and answers. Peak resident memory (VmHWM) is read before and after.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2

CHUNK = 256 * 1024
ANSWER = b'{"task":"transcribe","language":"ko","duration":1.0,"text":"x","segments":[],"model":"whisper-base"}'
LIMIT_MB = 32


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A recogniser that reads its upload to the end and answers; one request a connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if b": " in line)
    if b"content-length" in fields:
        left = int(fields[b"content-length"])
        while left > 0:
            left -= len(await reader.read(min(CHUNK, left)))
    elif fields.get(b"transfer-encoding") == b"chunked":
        while (size := int(await reader.readline(), 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readline()
    headers = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(ANSWER)}\r\n"
    writer.write(f"{headers}connection: close\r\n\r\n".encode() + ANSWER)
    await writer.drain()
    writer.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory_mb(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


async def wait_until_up(client: httpx2.AsyncClient, url: str) -> None:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        try:
            await client.get(f"{url}/health")
        except httpx2.TransportError:
            await asyncio.sleep(0.05)
        else:
            return
    raise TimeoutError("the api did not start")


async def measure(path: str, megabytes: int) -> tuple[float, float]:
    """Peak memory before and after, in MiB."""
    sink = await asyncio.start_server(swallow, "127.0.0.1", 0, limit=1 << 20)
    stt_port, port = sink.sockets[0].getsockname()[1], free_port()
    # the spool is on disk, so its pages are the kernel's and not the api's
    with tempfile.TemporaryDirectory(dir="/var/tmp") as spool:
        environment = {**os.environ, "TMPDIR": spool, "CHAMMAL_API_PORT": str(port), "CHAMMAL_LOG_LEVEL": "WARNING"}
        environment["CHAMMAL_API_STT_URL"] = f"http://127.0.0.1:{stt_port}"
        api = subprocess.Popen([sys.executable, "-m", "chammal_api"], env=environment)
        try:
            url = f"http://127.0.0.1:{port}"
            async with httpx2.AsyncClient(timeout=300, trust_env=False) as client:
                await wait_until_up(client, url)
                await send(client, url + path, 1)
                before = memory_mb(api.pid, "VmHWM")
                await send(client, url + path, megabytes)
                after = memory_mb(api.pid, "VmHWM")
        finally:
            api.terminate()
            api.wait()
            sink.close()
    return before, after


async def send(client: httpx2.AsyncClient, url: str, megabytes: int) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    tail = b"\r\n--b--\r\n"
    piece = bytes(1 << 20)

    async def body() -> AsyncIterator[bytes]:
        yield head
        for _ in range(megabytes):
            yield piece
        yield tail

    length = str(len(head) + megabytes * len(piece) + len(tail))
    answer = await client.post(
        url,
        content=body(),
        headers={"Content-Type": "multipart/form-data; boundary=b", "Content-Length": length},
    )
    answer.raise_for_status()
    if path_is_dummy(answer):
        raise RuntimeError(answer.text)


def path_is_dummy(answer: httpx2.Response) -> bool:
    return bool(answer.json().get("is_dummy"))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    megabytes = parser.parse_args().megabytes
    print("| way in | upload MiB | peak before | peak after | more | limit |")
    print("|---|---|---|---|---|---|")
    over = False
    for path in ("/v1/audio/transcriptions", "/transcribe"):
        before, after = await measure(path, megabytes)
        over |= after - before > LIMIT_MB
        print(f"| `{path}` | {megabytes} | {before:.1f} | {after:.1f} | {after - before:.1f} | {LIMIT_MB} |")
    sys.exit(over)


if __name__ == "__main__":
    asyncio.run(main())
