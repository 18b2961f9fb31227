"""A listener for webhooks on this machine, that believes only what is signed: for demos."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from pydantic import ValidationError

from chammal_contracts.webhooks import WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, Notice

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300.0
LOCAL = "127.0.0.1"
_HEAD_BYTES = 1 << 16
_READ_SECONDS = 10.0


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """As standardwebhooks.com has it; names of headers in lower case."""
    message_id, timestamp = headers.get(WEBHOOK_ID, ""), headers.get(WEBHOOK_TIMESTAMP, "")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now - float(timestamp)) > TOLERANCE_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    expected = b"v1," + base64.b64encode(digest)
    return any(hmac.compare_digest(expected, one.encode()) for one in headers.get(WEBHOOK_SIGNATURE, "").split(" "))


class Receiver:
    """What came and was signed is in `notices`."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.notices: asyncio.Queue[Notice] = asyncio.Queue()
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status = await asyncio.wait_for(self._take(reader), _READ_SECONDS)
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever broke off tries again
        finally:
            writer.close()

    async def _take(self, reader: asyncio.StreamReader) -> str:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(min(int(headers.get("content-length", "0")), _HEAD_BYTES))
        if not is_signed(self._secret, headers, body, time.time()):
            return "401 Unauthorized"
        try:
            self.notices.put_nowait(Notice.model_validate_json(body))
        except ValidationError:
            return "400 Bad Request"
        return "204 No Content"


@asynccontextmanager
async def listening(secret: str) -> AsyncIterator[Receiver]:
    receiver = Receiver(secret)
    server = await asyncio.start_server(receiver.answer, LOCAL, 0, limit=_HEAD_BYTES)
    receiver.url = f"http://{LOCAL}:{server.sockets[0].getsockname()[1]}/calls"
    async with server:
        yield receiver
