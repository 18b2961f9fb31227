"""The answers of one conversation: one at a time, each after all that it answers was heard."""

import asyncio
from dataclasses import dataclass

from chammal_api.realtime.client_fault import ClientFault
from chammal_api.realtime.conversation import Conversation
from chammal_api.realtime.heard import Heard
from chammal_api.realtime.metrics import INTERRUPTIONS
from chammal_api.realtime.outbox import Outbox
from chammal_api.realtime.refusal import refuse
from chammal_api.realtime.responder import Responder
from chammal_api.realtime.response import Response
from chammal_api.realtime.response_config import ResponseConfig
from chammal_api.tally import Tally
from chammal_contracts.realtime import ResponseDone, ServerEvent
from chammal_contracts.realtime_response import CancelReason
from chammal_contracts.stages import Stage, StageReport

_OF_A_TURN = frozenset({Stage.STT, Stage.EMOTION})
"""Counted when the turn was over."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    config: ResponseConfig
    heard: Heard | None


class Replies:
    def __init__(
        self, responder: Responder, conversation: Conversation, outbox: Outbox, tally: Tally, all_heard: asyncio.Event
    ) -> None:
        self._responder = responder
        self._conversation = conversation
        self._outbox = outbox
        self._tally = tally
        self._all_heard = all_heard
        self._wanted: _Wanted | None = None
        self._unanswered: Heard | None = None
        self._unheard: StageReport | None = None
        self._response: Response | None = None
        self._answering: asyncio.Task[None] | None = None
        self._cancelling: set[asyncio.Task[None]] = set()
        self._preparing: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._answering is not None and not self._answering.done()

    def prepare(self, instructions: str) -> None:
        """Somebody is about to speak for the first time."""
        if self._preparing is None:
            self._preparing = asyncio.create_task(self._responder.prepare(instructions))

    def create(self, config: ResponseConfig) -> None:
        """What a client asks for. Raises ClientFault."""
        if self.busy:
            message = "The conversation has a response already. Wait for its response.done, or send response.cancel."
            raise ClientFault("conversation_already_has_active_response", message)
        self._wanted = _Wanted(config, None)
        self._go()

    def hear(self, heard: Heard) -> None:
        """A turn that is answered when the client asks for it."""
        self._unanswered, self._unheard = heard, None

    def miss(self, report: StageReport) -> None:
        """A turn that nobody has heard, so that nothing can answer it."""
        self._unanswered, self._unheard = None, report

    def answer(self, heard: Heard, config: ResponseConfig) -> None:
        """As soon as the answer before it is over."""
        self._wanted = _Wanted(config, heard)
        self._go()

    def interrupt(self) -> None:
        """The person speaks."""
        if self._wanted is not None and self._wanted.heard is not None:
            self._wanted = None
        if self._response is not None and (not self._response.over or self._response.audible):
            INTERRUPTIONS.inc()
            self._cancel(self._response, CancelReason.TURN_DETECTED)

    def cancel(self, response_id: str | None) -> None:
        """What a client asks for. Raises ClientFault."""
        self._wanted = None
        response = self._response
        if response is None or response.over or response_id not in (None, response.id):
            raise ClientFault("response_cancel_not_active", "There is no such response going on.", "response_id")
        self._cancel(response, CancelReason.CLIENT_CANCELLED)

    async def finish(self) -> None:
        """Of what is going on."""
        self._wanted = None
        if self._answering is not None:
            await asyncio.wait((self._answering,))

    async def close(self) -> None:
        tasks = [*self._cancelling, *(task for task in (self._answering, self._preparing) if task is not None)]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _cancel(self, response: Response, reason: CancelReason) -> None:
        self._outbox.drop_audio()
        task = asyncio.create_task(response.cancel(reason))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    def _go(self) -> None:
        if self._wanted is not None and not self.busy:
            self._answering = asyncio.create_task(self._answer())

    async def _answer(self) -> None:
        await self._all_heard.wait()
        while (wanted := self._wanted) is not None:
            self._wanted = None
            if self._cancelling:
                await asyncio.wait(self._cancelling)  # the history ends where hearing it ended
            heard, self._unanswered = wanted.heard or self._unanswered, None
            missed, self._unheard = self._unheard, None
            if missed is not None and heard is None:
                await refuse(self._send, wanted.config, missed)
                continue
            self._response = self._responder.respond(self._conversation, wanted.config, heard)
            await self._response.run(self._send)

    async def _send(self, event: ServerEvent) -> None:
        if isinstance(event, ResponseDone) and event.response.chammal is not None:
            self._tally.count(report for report in event.response.chammal.stages if report.stage not in _OF_A_TURN)
        await self._outbox.send(event)
