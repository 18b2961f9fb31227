"""An upstream that costs next to nothing: one fixed chat completion of about 1 KB, whole or as events.

It is told on the same port what to do: `PUT /down/3` makes every chat call 503 with `Retry-After: 3`, `PUT /up` ends
that, and `GET /hits` says how many chat calls came.
"""

import asyncio
import json
import re
import sys

EVENTS = 24
EVENT_SECONDS = 0.001
WORDS = "참말은 무엇을 할 수 있었고 무엇을 할 수 없었는지 늘 정직하게 말합니다. " * 7
HEAD = {"id": "chatcmpl-bench", "created": 1767225600, "model": "bench"}
USAGE = {"prompt_tokens": 12, "completion_tokens": 120, "total_tokens": 132}
SAID = {"index": 0, "message": {"role": "assistant", "content": WORDS}, "finish_reason": "stop"}
COMPLETION = {**HEAD, "object": "chat.completion", "choices": [SAID], "usage": USAGE}
MODELS = {"object": "list", "data": [{"id": "bench", "object": "model"}]}
BROKEN = {"error": {"message": "overloaded", "type": "server_error", "code": 503}}


def _answer(body: object, status: str = "200 OK", extra: str = "") -> bytes:
    data = json.dumps(body, ensure_ascii=False).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def _event(delta: object, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}
    return _chunked(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n")


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CHAT_ANSWER, MODELS_ANSWER = _answer(COMPLETION), _answer(MODELS)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM = [
    STREAM_HEAD + _event({"role": "assistant", "content": "참"}),
    *[_event({"content": " 참말은"}) for _ in range(EVENTS - 2)],
    _event({}, "stop") + _chunked(b"data: [DONE]\n\n") + _chunked(b""),
]


class State:
    retry_after: str | None = None
    hits = 0


class Stub(asyncio.Protocol):
    """Reads requests with a Content-Length."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.buffer = b""
        self.streams: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            found = re.search(rb"(?i)content-length: *(\d+)", head)
            length = int(found[1]) if found else 0
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(head.split(b" ", 2), body)

    def answer(self, asked: list[bytes], body: bytes) -> None:
        match asked[:2]:
            case [b"POST", _]:
                self.chat(body)
            case [b"PUT", path]:
                self.state.retry_after = path.decode().removeprefix("/down/") if path.startswith(b"/down/") else None
                self.transport.write(_answer(None))
            case [_, b"/hits"]:
                self.transport.write(_answer(self.state.hits))
            case _:
                self.transport.write(MODELS_ANSWER)

    def chat(self, body: bytes) -> None:
        self.state.hits += 1
        if self.state.retry_after is not None:
            extra = f"Retry-After: {self.state.retry_after}\r\n"
            self.transport.write(_answer(BROKEN, "503 Service Unavailable", extra))
        elif json.loads(body).get("stream"):
            task = asyncio.ensure_future(self.stream())
            self.streams.add(task)
            task.add_done_callback(self.streams.discard)
        else:
            self.transport.write(CHAT_ANSWER)

    async def stream(self) -> None:
        for event in STREAM:
            self.transport.write(event)
            await asyncio.sleep(EVENT_SECONDS)


async def main(port: int) -> None:
    state = State()
    server = await asyncio.get_running_loop().create_server(lambda: Stub(state), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
