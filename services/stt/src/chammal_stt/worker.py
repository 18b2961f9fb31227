"""One child process and the socket to it, the web process's side. It does one job at a time."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

from chammal_kit.priority import give_way
from chammal_stt.channel import LENGTH, MAX_MESSAGE
from chammal_stt.messages import Hello
from chammal_stt.patience import TURN_SECONDS, Patience, Watch

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")

_HELLO = TypeAdapter(Hello)
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH")
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "KMP_BLOCKTIME": "0",
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "PYTHONUNBUFFERED": "1",
}


class WorkerDied(Exception):
    """It ended, or sent what is no answer, before it answered. `code` is the exit status; -9 is SIGKILL."""

    def __init__(self, name: str, code: int | None) -> None:
        super().__init__(f"the {name} process ended with status {code}")
        self.code = code


class WorkerHung(WorkerDied):
    """It has a job and does nothing: it was stopped, or is deadlocked. The lease ends it."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(name, None)
        self.args = (f"the {name} process used no processor time for {seconds:g} s",)


class WorkerUnfit(Exception):
    """It cannot do its work; the message says why, and `hint` what to do."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class WorkerCommand:
    name: str
    module: str
    arguments: tuple[str, ...]
    directory: Path
    start_seconds: float


class Worker:
    def __init__(self, name: str, process: asyncio.subprocess.Process, sock: socket.socket) -> None:
        self.name = name
        self.pid = process.pid
        self.hello = Hello(process.pid)
        self.busy = False
        self.worked_at = asyncio.get_running_loop().time()
        """When it last brought what it was asked for; at first, when it had done its small job at the start."""
        self._process = process
        self._sock = sock
        self._received = bytearray()

    @classmethod
    async def start(cls, command: WorkerCommand) -> "Worker":
        """Runs until its first message says that it can work. Raises WorkerDied, WorkerUnfit or TimeoutError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ} | _ENVIRONMENT
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-m", command.module, str(theirs.fileno()), *command.arguments,
                stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=environment, cwd=command.directory,
                start_new_session=True,  # Ctrl-C is for the web process, which ends its workers when it is done
            )  # fmt: skip
        give_way(process.pid)
        worker = cls(command.name, process, ours)
        try:
            async with asyncio.timeout(command.start_seconds):
                await worker._greet()
        except BaseException:
            await worker.kill()
            raise
        return worker

    async def _greet(self) -> None:
        self.hello = _HELLO.validate_json(await self._receive())
        if self.hello.error is not None:
            raise WorkerUnfit(self.hello.error)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def call(
        self, job: "DataclassInstance", descriptors: Sequence[int], reply: TypeAdapter[T], patience: Patience
    ) -> T:
        """Raises WorkerDied, WorkerHung, or TimeoutError. Left in the middle it stays `busy`, and is of no more use."""
        self.busy = True
        await self._send(_dump(job), descriptors)
        body = await self._receive_within(patience)
        try:
            answer = reply.validate_json(body)
        except ValidationError:
            await self.kill()
            raise WorkerDied(self.name, self._process.returncode) from None
        self.busy = False
        return answer

    async def kill(self) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await asyncio.shield(self._process.wait())
        self._sock.close()

    async def wait(self) -> int:
        return await self._process.wait()

    async def _send(self, body: bytes, descriptors: Sequence[int]) -> None:
        loop = asyncio.get_running_loop()
        head = LENGTH.pack(len(body))
        try:
            if descriptors:  # four bytes to a worker that has read all before them: never blocks
                socket.send_fds(self._sock, [head], descriptors)
                head = b""
            await loop.sock_sendall(self._sock, head + body)
        except OSError:
            await self.kill()
            raise WorkerDied(self.name, self._process.returncode) from None

    async def _receive_within(self, patience: Patience) -> bytes:
        watch = Watch(self.pid, patience)
        while True:
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    return await self._receive()
            except TimeoutError:
                watch.turn()
                if watch.idles:
                    raise WorkerHung(self.name, patience.idle_seconds) from None
                if watch.is_over:
                    raise

    async def _receive(self) -> bytes:
        """Keeps what it has read when it is cancelled."""
        await self._fill(LENGTH.size)
        (length,) = LENGTH.unpack_from(self._received)
        if length > MAX_MESSAGE:
            await self._die()
        await self._fill(LENGTH.size + length)
        body = bytes(self._received[LENGTH.size :])
        self._received.clear()
        return body

    async def _fill(self, size: int) -> None:
        loop = asyncio.get_running_loop()
        while len(self._received) < size:
            try:
                data = await loop.sock_recv(self._sock, min(size - len(self._received), 1 << 20))
            except OSError:
                data = b""
            if not data:
                await self._die()
            self._received += data

    async def _die(self) -> NoReturn:
        """Its end of the socket is closed: give it a moment to be gone by itself, so that its status is its own."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self.wait()
        await self.kill()
        raise WorkerDied(self.name, self._process.returncode)


def _dump(job: "DataclassInstance") -> bytes:
    return TypeAdapter(type(job)).dump_json(job)
