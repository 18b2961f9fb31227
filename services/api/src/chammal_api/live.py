"""Live sessions on their way to stt and back: message by message, with nothing kept between the two.

Whoever does not read stops the other: each side is read only when what it said last has gone.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from chammal_api.clients.stream import note_loss
from chammal_api.places import Places
from chammal_api.settings import ApiSettings
from chammal_api.tally import LIVE_SESSIONS, LiveOutcome
from chammal_contracts.errors import ErrorCode
from chammal_contracts.live import CLIENT_MESSAGE, SERVER_EVENT, CloseCode, Done, Finish, LiveError, LiveStage
from chammal_kit.upstream import Upstream
from chammal_kit.web_socket import PING_SECONDS

_CLOSE_SECONDS = 2.0
_REASON_BYTES = 120
"""A close frame takes 123."""
_NO_STATUS = 1005
_NEVER_SENT = frozenset({_NO_STATUS, 1006, 1015})


@dataclass(frozen=True, slots=True)
class Ending:
    outcome: LiveOutcome
    code: int
    reason: str = ""
    event: LiveError | None = None
    """What the caller is told before the close."""


class LiveSessions(Places):
    """All that are open."""

    def __init__(self, stt: Upstream, settings: ApiSettings) -> None:
        super().__init__("live sessions", settings.live_sessions)
        self.stt = stt
        self._settings = settings
        self._open: set[LiveRelay] = set()
        LIVE_SESSIONS.set_function(lambda: self.taken)

    async def run(self, caller: WebSocket, stream: ClientConnection) -> Ending:
        relay = LiveRelay(caller, stream, self._settings)
        self._open.add(relay)
        if self.shut:
            relay.shut_down()
        try:
            ending = await relay.run()
        finally:
            self._open.discard(relay)
        if ending.outcome is LiveOutcome.LOST:
            note_loss(self.stt)
        return ending

    async def drain(self) -> None:
        """Ends every session after the finals of what was said so far."""
        self.shut = True
        for relay in tuple(self._open):
            relay.shut_down()
        await self.until_empty()


class LiveRelay:
    """One session between a caller and stt, from both handshakes to the first end."""

    def __init__(self, caller: WebSocket, stream: ClientConnection, settings: ApiSettings) -> None:
        self._caller = caller
        self._stream = stream
        self._send_seconds = settings.live_send_seconds
        self._silent_seconds = settings.idle_seconds
        self._heard = 0
        self._started = self._finished = False
        self._told_to_end = asyncio.Event()
        self._cut_short = False
        """We have said `finish` in the caller's place."""

    def shut_down(self) -> None:
        self._told_to_end.set()

    async def run(self) -> Ending:
        back, forth = self._start(self._pass_back()), self._start(self._pass_forth())
        tasks = [back, forth, self._start(self._watch()), self._start(self._finish_when_told(forth))]
        try:
            while True:
                await asyncio.wait([task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    if task.done() and not task.cancelled() and (ending := task.result()) is not None:
                        return ending
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    @staticmethod
    def _start(work: Coroutine[None, None, Ending | None]) -> "asyncio.Task[Ending | None]":
        return asyncio.create_task(work)

    async def _pass_forth(self) -> Ending | None:
        """None when stt takes no more: what it says at its end is still to be passed back."""
        while True:
            try:
                message = await self._caller.receive()
            except RuntimeError:  # what closed it was received already
                return Ending(LiveOutcome.ABANDONED, CloseCode.SHUTTING_DOWN)
            if message["type"] == "websocket.disconnect":
                code = message.get("code", _NO_STATUS)
                return Ending(
                    LiveOutcome.ABANDONED,
                    CloseCode.SHUTTING_DOWN if code in _NEVER_SENT else code,
                    message.get("reason") or "",
                )
            text: str | None = message.get("text")
            self._finished |= text is not None and _is_finish(text)
            self._started = True
            try:
                await self._stream.send(message["bytes"] if text is None else text)
            except ConnectionClosed:
                return None

    async def _pass_back(self) -> Ending:
        try:
            while True:
                message = await self._stream.recv()
                self._heard += 1
                if self._cut_short and _is_done(message):
                    continue
                async with asyncio.timeout(self._send_seconds):
                    await _send(self._caller, message)
        except ConnectionClosed as closed:
            return self._end(closed)
        except TimeoutError:
            detail = f"The client did not read its events for {self._send_seconds:g} s."
            return Ending(LiveOutcome.TOO_SLOW, CloseCode.TOO_SLOW, detail)
        except WebSocketDisconnect:
            return Ending(LiveOutcome.ABANDONED, CloseCode.SHUTTING_DOWN)

    async def _watch(self) -> Ending | None:
        """Ends a session whose stt has vanished without a word. A pong alone may wait behind audio not yet read."""
        while True:
            heard = self._heard
            try:
                async with asyncio.timeout(self._silent_seconds):
                    await (await self._stream.ping())
            except TimeoutError:
                if heard == self._heard:
                    return _lost(f"nothing came from it for {self._silent_seconds:g} s")
            except ConnectionClosed:
                return None
            else:
                await asyncio.sleep(PING_SECONDS)

    async def _finish_when_told(self, forth: "asyncio.Task[Ending | None]") -> Ending | None:
        await self._told_to_end.wait()
        if self._finished:
            return None
        forth.cancel()
        if not self._started:
            return _shut_down()
        self._cut_short = True
        with suppress(ConnectionClosed):
            await self._stream.send(Finish().model_dump_json())
        return None

    def _end(self, closed: ConnectionClosed) -> Ending:
        if closed.rcvd is None:
            return _lost("its connection broke off")
        code = CloseCode.FINISHED if closed.rcvd.code == _NO_STATUS else closed.rcvd.code
        if code != CloseCode.FINISHED:
            return Ending(LiveOutcome.ENDED, code, closed.rcvd.reason)
        return _shut_down() if self._cut_short else Ending(LiveOutcome.FINISHED, code, closed.rcvd.reason)


async def close_caller(caller: WebSocket, ending: Ending) -> None:
    """A caller that does not read is given a moment; then the server drops the connection."""
    if caller.application_state is not WebSocketState.CONNECTED:
        return
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            if ending.event is not None:
                await _send(caller, ending.event.model_dump_json())
            await caller.close(ending.code, close_reason(ending.reason))
    except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
        pass  # it is gone, which is what was wanted


def close_reason(reason: str) -> str:
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore")


def unreachable(cause: str) -> Ending:
    return _stt_failed(LiveOutcome.UNREACHABLE, CloseCode.TRY_AGAIN, f"The stage stt cannot be reached: {cause}")


def _lost(cause: str) -> Ending:
    return _stt_failed(LiveOutcome.LOST, CloseCode.FAILED, f"The stage stt was lost: {cause}")


def _stt_failed(outcome: LiveOutcome, code: CloseCode, cause: str) -> Ending:
    detail = f"{cause}. Connect again in some seconds; GET /ready tells when stt is back."
    event = LiveError(code=ErrorCode.STAGE_FAILED, detail=detail, fatal=True, stage=LiveStage.STT)
    return Ending(outcome, code, cause, event)


def _shut_down() -> Ending:
    detail = "The service is shutting down. Connect again."
    event = LiveError(code=ErrorCode.SERVER_SHUTTING_DOWN, detail=detail, fatal=True, stage=LiveStage.SESSION)
    return Ending(LiveOutcome.SHUTDOWN, CloseCode.SHUTTING_DOWN, detail, event)


async def _send(caller: WebSocket, message: str | bytes) -> None:
    """Raises WebSocketDisconnect."""
    try:
        if isinstance(message, str):
            await caller.send_text(message)
        else:
            await caller.send_bytes(message)
    except (RuntimeError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise WebSocketDisconnect(1006) from None


def _is_finish(text: str) -> bool:
    try:
        return isinstance(CLIENT_MESSAGE.validate_json(text), Finish)
    except ValidationError:  # stt will say so
        return False


def _is_done(message: str | bytes) -> bool:
    try:
        return isinstance(SERVER_EVENT.validate_json(message), Done)
    except ValidationError:
        return False
