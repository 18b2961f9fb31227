"""Messages over a Unix socket, the worker's side: a length, then JSON; descriptors travel beside the length.

An empty message from the web process means: abandon the job at hand.
"""

import json
import select
import socket
import struct
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LENGTH = struct.Struct(">I")
MAX_MESSAGE = 256 * 1024 * 1024
"""Bytes. Two hours of words with their times are about 4 MiB."""
_MAX_DESCRIPTORS = 64
"""The largest batch; what does not fit is dropped by the kernel without a word."""


class Disconnected(Exception):
    """The web process is gone."""


class Channel:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @classmethod
    def inherited(cls, descriptor: int) -> "Channel":
        return cls(socket.socket(fileno=descriptor))

    def receive(self) -> tuple[bytes, list[int]]:
        """Blocks for the next message; the caller owns the descriptors. Raises Disconnected."""
        head, descriptors, _, _ = socket.recv_fds(self._sock, LENGTH.size, _MAX_DESCRIPTORS)
        while len(head) < LENGTH.size:
            head += self._read(LENGTH.size - len(head))
        body = bytearray()
        (length,) = LENGTH.unpack(head)
        while len(body) < length:
            body += self._read(length - len(body))
        return bytes(body), descriptors

    def _read(self, size: int) -> bytes:
        data = self._sock.recv(min(size, 1 << 20))
        if not data:
            raise Disconnected
        return data

    def send(self, message: "DataclassInstance") -> None:
        body = json.dumps(asdict(message)).encode()
        self._sock.sendall(LENGTH.pack(len(body)) + body)

    def interrupted(self) -> bool:
        """Whether something came while a job runs: an abandonment, or the end of the web process."""
        return bool(select.select([self._sock], [], [], 0)[0])
