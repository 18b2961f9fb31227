"""An upstream for bench/gateway.py that costs next to nothing: one fixed chat completion of about 1 KB."""

import asyncio
import json
import sys

WORDS = "참말은 무엇을 할 수 있었고 무엇을 할 수 없었는지 늘 정직하게 말합니다. " * 7
COMPLETION = {
    "id": "chatcmpl-bench",
    "object": "chat.completion",
    "created": 1767225600,
    "model": "bench",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": WORDS}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 120, "total_tokens": 132},
}
MODELS = {"object": "list", "data": [{"id": "bench", "object": "model"}]}


def _answer(body: object) -> bytes:
    data = json.dumps(body, ensure_ascii=False).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data


CHAT_ANSWER, MODELS_ANSWER = _answer(COMPLETION), _answer(MODELS)


class Stub(asyncio.Protocol):
    """Reads requests with a Content-Length, pipelined or not."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self.transport.write(MODELS_ANSWER if head.startswith(b"get") else CHAT_ANSWER)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
