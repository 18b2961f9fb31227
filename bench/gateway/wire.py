"""A client that costs little: HTTP/1.1 over one connection, no more of it than the benchmark needs."""

import asyncio
import json
import time
from dataclasses import dataclass

QUESTION = {"model": "default", "messages": [{"role": "user", "content": "Hello, are you there?"}]}
WHOLE = json.dumps(QUESTION).encode()
STREAMED = json.dumps({**QUESTION, "stream": True}).encode()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    first: float
    """Seconds to the first byte of the body."""
    seconds: float


class Connection:
    """`extra` are the headers that a side wants with every call, each line with its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, extra: str) -> None:
        self._reader = reader
        self._writer = writer
        self._extra = extra

    @classmethod
    async def open(cls, port: int, extra: str = "") -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port), extra)

    def close(self) -> None:
        self._writer.close()

    async def chat(self, body: bytes = WHOLE) -> Answer:
        """The answer with 200. Raises RuntimeError for any other."""
        answer = await self.ask("POST", "/v1/chat/completions", body)
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {answer.body[:300].decode(errors='replace')}")
        return answer

    async def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{self._extra}"
        started = time.perf_counter()
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, headers = _parse(await self._reader.readuntil(b"\r\n\r\n"))
        if headers.get("transfer-encoding") == "chunked":
            received, first = await self._chunks()
        else:
            received = await self._reader.readexactly(int(headers.get("content-length", "0")))
            first = time.perf_counter()
        return Answer(status, headers, received, first - started, time.perf_counter() - started)

    async def _chunks(self) -> tuple[bytes, float]:
        first, pieces = 0.0, []
        while length := int(await self._reader.readline(), 16):
            pieces.append(await self._reader.readexactly(length))
            first = first or time.perf_counter()
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(pieces), first


def _parse(head: bytes) -> tuple[int, dict[str, str]]:
    line, *rest = head.decode("latin-1").rstrip().split("\r\n")
    pairs = (field.split(":", 1) for field in rest)
    return int(line.split(" ")[1]), {name.lower(): value.strip() for name, value in pairs}
