"""Server-sent events, as far as chat streams use them: `data:` lines and blank lines."""

DONE = b"[DONE]"
DONE_EVENT = b"data: [DONE]\n\n"


class SseParser:
    """Cuts blocks of bytes into the data of events, wherever the blocks were cut."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, block: bytes) -> list[bytes]:
        """The data of each event that this block completed."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        events = []
        for raw in lines:
            line = raw.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
        return events


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def error_event(data: bytes) -> bytes:
    return b"event: error\ndata: " + data + b"\n\n"
