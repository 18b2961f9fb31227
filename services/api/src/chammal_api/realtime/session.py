"""One conversation: events of the client in, events of ours out, and what ends it."""

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Protocol

from chammal_api.realtime.allowance import Allowance
from chammal_api.realtime.client_fault import ClientFault
from chammal_api.realtime.conversation import Conversation, ConversationError
from chammal_api.realtime.floor import Floor, NothingToCommit
from chammal_api.realtime.heard import Heard
from chammal_api.realtime.hearing import Hearing
from chammal_api.realtime.metrics import RealtimeOutcome
from chammal_api.realtime.outbox import ClientTooSlow, Outbox
from chammal_api.realtime.parsing import read_event, samples_of
from chammal_api.realtime.replies import Replies
from chammal_api.realtime.responder import Responder
from chammal_api.realtime.response_config import ResponseConfig
from chammal_api.settings import ApiSettings
from chammal_api.tally import Tally
from chammal_contracts.errors import ErrorCode
from chammal_contracts.live import AudioEncoding, Start
from chammal_contracts.realtime import (
    ErrorEvent,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemRetrieved,
    ItemTruncated,
    RealtimeClose,
    RealtimeError,
    RealtimeErrorType,
    SessionCreated,
    SessionUpdated,
)
from chammal_contracts.realtime_client import (
    AudioAppend,
    AudioClear,
    AudioCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
)
from chammal_contracts.realtime_session import Pcm, ServerVad, Session, SessionConfig, Ulaw, merged
from chammal_contracts.stages import StageReport
from chammal_kit.upstream import Upstream

_LAST_SECONDS = 5.0
"""For what is still to be sent at the end."""


class Disconnected(Exception):
    """The client is gone."""

    def __init__(self, code: int = RealtimeClose.FINISHED, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Wire(Protocol):
    async def receive(self) -> str | bytes:
        """Raises Disconnected."""
        ...

    async def send(self, text: str) -> None:
        """Raises Disconnected."""
        ...


@dataclass(frozen=True, slots=True)
class Ending:
    outcome: RealtimeOutcome
    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Needs:
    """Of all conversations of a process."""

    stt: Upstream
    responder: Responder
    tally: Tally
    settings: ApiSettings


class RealtimeSession:
    def __init__(self, wire: Wire, needs: Needs, model: str | None) -> None:
        settings = needs.settings
        self._wire = wire
        self._settings = settings
        expires = int(time.time() + settings.realtime_session_seconds)
        self._session = Session(id=f"sess_{secrets.token_hex(12)}", model=model, expires_at=expires)
        self._outbox = Outbox(wire.send, settings.live_send_seconds)
        self._conversation = Conversation()
        self._hearing = Hearing(needs.stt, self._start(), lambda event: self._floor.take(event), settings)
        self._floor = Floor(
            self._hearing,
            self._conversation,
            self._outbox.put,
            self._on_speech,
            self._on_turn,
            self._on_miss,
            needs.tally,
            settings,
        )
        self._replies = Replies(needs.responder, self._conversation, self._outbox, needs.tally, self._floor.all_heard)
        self._loop = asyncio.get_running_loop()
        self._began = self._stirred = self._loop.time()
        self._told_to_end = asyncio.Event()

    @property
    def id(self) -> str:
        return self._session.id

    def shut_down(self) -> None:
        """Hears nothing more; an answer that is being given is still given."""
        self._told_to_end.set()

    async def run(self) -> Ending:
        sending = asyncio.create_task(self._outbox.run())
        reading = asyncio.create_task(self._read())
        hearing = asyncio.create_task(self._hearing.run())
        watching = asyncio.create_task(self._watch())
        working = (reading, hearing, watching)
        try:
            done, _ = await asyncio.wait((sending, *working), return_when=asyncio.FIRST_COMPLETED)
            if sending not in done:
                ended = next(task for task in working if task in done)
                ending: Ending = await ended
                self._outbox.close()
                async with asyncio.timeout(_LAST_SECONDS):
                    await sending
                return ending
            await sending  # it ends first only by raising
        except (ClientTooSlow, TimeoutError):
            reason = f"The client did not read its events for {self._settings.live_send_seconds:g} s."
            return Ending(RealtimeOutcome.TOO_SLOW, RealtimeClose.TOO_SLOW, reason)
        except Disconnected as gone:
            big = gone.code == RealtimeClose.TOO_BIG
            return Ending(RealtimeOutcome.TOO_BIG if big else RealtimeOutcome.FINISHED, gone.code, gone.reason)
        finally:
            for task in (sending, *working):
                task.cancel()
            await asyncio.wait((sending, *working))
            self._floor.close()
            await self._replies.close()
        raise AssertionError("unreachable")

    async def _read(self) -> Ending:
        """Raises Disconnected."""
        allowance = Allowance(self._settings.realtime_bytes_per_second, self._settings.realtime_burst_bytes)
        self._outbox.put(SessionCreated(session=self._session))
        while True:
            message = await self._wire.receive()
            await allowance.take(len(message))
            await self._outbox.room_for_answers()
            if not self._told_to_end.is_set():
                await self._take(message)

    async def _take(self, message: str | bytes) -> None:
        event: ClientEvent | None = None
        try:
            event = read_event(message)
            await self._obey(event)
        except ClientFault as fault:
            self._outbox.put(fault.event(event.event_id if event is not None else None))
        except ConversationError as error:
            refusal = ClientFault(error.code, error.message, error.param)
            self._outbox.put(refusal.event(event.event_id if event is not None else None))

    async def _obey(self, event: ClientEvent) -> None:
        if isinstance(event, AudioAppend):
            self._replies.prepare(self._session.instructions)
            self._floor.listen(await self._hearing.hear(samples_of(event)))
            return
        self._stirred = self._loop.time()
        match event:
            case SessionUpdate():
                self._update(event.session)
            case AudioCommit():
                self._commit()
            case AudioClear():
                self._floor.clear()
            case ResponseCreate():
                self._replies.create(ResponseConfig.of(self._session, self._conversation.id, event.response))
            case ResponseCancel():
                self._replies.cancel(event.response_id)
            case _:
                self._change_items(event)

    def _change_items(self, event: ItemCreate | ItemRetrieve | ItemTruncate | ItemDelete) -> None:
        """Raises ConversationError."""
        match event:
            case ItemCreate():
                item, before = self._conversation.create(event.item, event.previous_item_id)
                self._outbox.put(ItemAdded(previous_item_id=before, item=item))
                self._outbox.put(ItemDone(previous_item_id=before, item=item))
            case ItemRetrieve():
                self._outbox.put(ItemRetrieved(item=self._conversation.retrieve(event.item_id).item))
            case ItemTruncate():
                self._conversation.truncate(event.item_id, event.audio_end_ms, event.content_index)
                self._outbox.put(
                    ItemTruncated(
                        item_id=event.item_id, content_index=event.content_index, audio_end_ms=event.audio_end_ms
                    )
                )
            case ItemDelete():
                self._conversation.delete(event.item_id)
                self._outbox.put(ItemDeleted(item_id=event.item_id))

    def _update(self, update: SessionConfig) -> None:
        self._session = merged(self._session, update)
        self._hearing.configure(self._start())
        self._floor.configure(self._session.audio.input)
        self._outbox.put(SessionUpdated(session=self._session))

    def _commit(self) -> None:
        """Raises ClientFault."""
        try:
            self._floor.commit()
        except NothingToCommit as nothing:
            message = f"There are {nothing} ms of audio to commit; 100 are needed."
            raise ClientFault("input_audio_buffer_commit_empty", message) from None

    def _start(self) -> Start:
        """What stt is told."""
        configured = self._session.audio.input
        shape, heard, vad = configured.format, configured.transcription, configured.turn_detection
        companded = AudioEncoding.G711_ULAW if isinstance(shape, Ulaw) else AudioEncoding.G711_ALAW
        return Start(
            sample_rate=24_000 if isinstance(shape, Pcm) else 8_000,
            encoding=AudioEncoding.PCM_S16LE if isinstance(shape, Pcm) else companded,
            language=heard.language if heard is not None else None,
            prompt=heard.prompt if heard is not None else None,
            hotwords=", ".join(heard.keywords)[:4000] if heard is not None and heard.keywords else None,
            silence_ms=vad.silence_duration_ms if isinstance(vad, ServerVad) else self._settings.realtime_silence_ms,
            voice=True,
        )

    def _on_speech(self) -> None:
        self._stirred = self._loop.time()
        vad = self._session.audio.input.turn_detection
        if vad is not None and vad.interrupt_response:
            self._replies.interrupt()

    def _on_turn(self, heard: Heard, answer: bool) -> None:
        self._stirred = self._loop.time()
        if answer and not self._told_to_end.is_set():
            self._replies.answer(heard, ResponseConfig.of(self._session, self._conversation.id))
        else:
            self._replies.hear(heard)

    def _on_miss(self, report: StageReport) -> None:
        self._replies.miss(report)

    async def _watch(self) -> Ending:
        """Returns when the session has to end."""
        settings = self._settings
        ends = self._began + settings.realtime_session_seconds
        while not self._told_to_end.is_set():
            now = self._loop.time()
            if self._replies.busy or self._floor.speaking:
                self._stirred = now
            idle = self._stirred + settings.realtime_idle_seconds
            if now >= min(idle, ends):
                return self._expire() if now >= ends else self._idle()
            try:
                async with asyncio.timeout(min(idle, ends) - now):
                    await self._told_to_end.wait()
            except TimeoutError:
                continue
        try:
            async with asyncio.timeout(settings.shutdown_seconds / 2):
                await self._replies.finish()
        except TimeoutError:
            pass  # the rest of the answer is not told
        detail = "The service is shutting down. Connect again."
        return self._end(RealtimeOutcome.SHUTDOWN, RealtimeClose.SHUTTING_DOWN, ErrorCode.SERVER_SHUTTING_DOWN, detail)

    def _idle(self) -> Ending:
        detail = f"Nothing was said for {self._settings.realtime_idle_seconds:g} s."
        return self._end(RealtimeOutcome.IDLE, RealtimeClose.IDLE, ErrorCode.SESSION_IDLE, detail)

    def _expire(self) -> Ending:
        detail = f"A session lasts {self._settings.realtime_session_seconds:g} s. Connect again."
        return self._end(RealtimeOutcome.EXPIRED, RealtimeClose.EXPIRED, "session_expired", detail)

    def _end(self, outcome: RealtimeOutcome, close: RealtimeClose, code: str, detail: str) -> Ending:
        error = RealtimeError(type=RealtimeErrorType.SERVER, code=code, message=detail)
        self._outbox.put(ErrorEvent(error=error))
        return Ending(outcome, close, detail)
