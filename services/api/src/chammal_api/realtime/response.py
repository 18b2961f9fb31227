"""One answer, from `response.created` to `response.done`, and what was heard of it when it is interrupted.

response = responder.respond(conversation, config, heard)
task = asyncio.create_task(response.run(send))
…
await response.cancel(CancelReason.TURN_DETECTED)   # also after its end, while it may still be heard
"""

import asyncio
from dataclasses import dataclass

from chammal_api.clients.failure import describe, words_for_the_caller
from chammal_api.realtime.conversation import Conversation, ConversationError, Entry, answer_item, keep_heard, new_id
from chammal_api.realtime.heard import Heard
from chammal_api.realtime.prompt import REPLY_EMOTION, system_prompt
from chammal_api.realtime.response_config import ResponseConfig
from chammal_api.realtime.response_events import ResponseEvents, Send
from chammal_api.realtime.response_times import ResponseTimes
from chammal_api.realtime.sentences import SentenceCutter
from chammal_api.realtime.speaking import Speaking
from chammal_api.realtime.spoken_templates import apology
from chammal_api.realtime.writing import Written, write
from chammal_contracts.errors import ErrorCode
from chammal_contracts.realtime import (
    ErrorEvent,
    ItemTruncated,
    RealtimeError,
    RealtimeErrorType,
    ResponseCreated,
    ResponseDone,
)
from chammal_contracts.realtime_items import Item, ItemStatus
from chammal_contracts.realtime_response import (
    CancelReason,
    InputTokens,
    OutputTokens,
    RealtimeAudio,
    RealtimeAudioOut,
    RealtimeResponse,
    ReplyProvenance,
    ResponseStatus,
    StatusDetails,
    StatusError,
    Usage,
)
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_kit.logs import component_logger
from chammal_kit.upstream import Timeouts, Upstream, UpstreamError

log = component_logger("Responder")


@dataclass(frozen=True, slots=True)
class Limits:
    """What settings say of every answer."""

    model: str
    instructions: str
    history_tokens: int
    answer_tokens: int
    writing: Timeouts
    speaking: Timeouts


class Response:
    def __init__(
        self,
        llm: Upstream,
        tts: Upstream,
        limits: Limits,
        conversation: Conversation,
        config: ResponseConfig,
        heard: Heard | None,
    ) -> None:
        self.id = new_id("resp")
        self.item_id = new_id("item")
        self.written = ""
        self._llm = llm
        self._limits = limits
        self._conversation = conversation
        self._config = config
        self._heard = heard
        self._times = ResponseTimes(heard, asyncio.get_running_loop().time)
        self._cutter = SentenceCutter()
        self._speaking = self._speaker(tts)
        self._entry: Entry | None = None
        self._previous: str | None = None
        self._failed: UpstreamError | None = None
        self._left_out = 0
        self._outcome: Written | None = None
        self._cancelled: CancelReason | None = None
        self._work: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._events: ResponseEvents
        self._send: Send

    @property
    def over(self) -> bool:
        """`response.done` was sent."""
        return self._over.is_set()

    @property
    def audible(self) -> bool:
        """Some of it may still be heard."""
        return self._speaking is not None and self._speaking.playback.audible

    @property
    def played_ms(self) -> int:
        """Of its audio, that must have been heard by now."""
        return int(self._speaking.playback.heard_ms) if self._speaking is not None else 0

    async def run(self, send: Send) -> None:
        """Returns once `response.done` was sent. Whatever a stage fails in is in there."""
        self._send = send
        self._events = ResponseEvents(send, self.id, self.item_id, self._config.modality)
        try:
            await send(ResponseCreated(response=self._resource(ResponseStatus.IN_PROGRESS)))
            await self._work_to_its_end()
            await self._finish()
        finally:
            self._over.set()

    async def cancel(self, reason: CancelReason) -> None:
        """Ends generation and synthesis, and truncates the history to what was heard by now.

        Returns when `response.done` was sent. After it, only what is still being heard is truncated.
        """
        played, audible = self.played_ms, self.audible
        if not self.over:
            self._cancelled = self._cancelled or reason
            if self._work is not None:
                self._work.cancel()
            await self._over.wait()
            audible = True
        if audible and self._speaking is not None:
            await self._truncate(played)

    async def _work_to_its_end(self) -> None:
        """The boundary of an answer: a fault of its own ends it and not the session."""
        if self._cancelled is not None:
            return
        work = self._work = asyncio.create_task(self._answer())
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            raise
        if not work.cancelled() and (fault := work.exception()) is not None:
            log.error("an answer failed by a fault of its own", exc_info=fault)

    async def _answer(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            if self._speaking is not None:
                tasks.create_task(self._speaking.synthesise())
                tasks.create_task(self._speaking.deliver(self._sound))

    async def _write(self) -> None:
        config, limits = self._config, self._limits
        told = self._conversation.messages(
            system_prompt(config.instructions or limits.instructions), limits.history_tokens
        )
        self._left_out = told.left_out
        asked = config.max_output_tokens
        self._outcome = await write(
            self._llm,
            told.messages,
            self._words,
            model=limits.model,
            max_tokens=limits.answer_tokens if asked == "inf" else asked,
            timeouts=limits.writing,
        )
        if self._outcome.error is not None:
            await self._tell(self._outcome.report, self._outcome.error)
        if not self.written.strip():
            await self._words(apology(self._language()))
            if self._entry is not None:
                self._entry.real = False
        if self._speaking is not None:
            self._say(self._cutter.end())
            self._speaking.end()

    def _language(self) -> str:
        told = self._heard.language if self._heard is not None else self._config.language
        return told or ("ko" if any("가" <= char <= "힣" for char in self._conversation.last_words) else "en")

    async def _words(self, words: str) -> None:
        if self._entry is None:
            await self._begin()
        self.written += words
        await self._events.words(words)
        if self._speaking is None:
            self._times.note_out()
        for piece in self._cutter.feed(words):
            self._say(piece)

    def _say(self, piece: str) -> None:
        if piece and self._speaking is not None:
            self._times.note_piece()
            self._speaking.say(piece)

    async def _sound(self, samples: bytes) -> None:
        await self._events.audio(samples)
        self._times.note_out()

    async def _begin(self) -> None:
        self._times.note_words()
        item = answer_item(self.item_id, self._config.modality, "", ItemStatus.IN_PROGRESS)
        self._previous = self._conversation.append(item)
        self._entry = self._conversation.retrieve(self.item_id)
        self._entry.track = self._speaking.track if self._speaking is not None else None
        await self._events.begin(item, self._previous)

    async def _finish(self) -> None:
        status = self._status()
        output = [await self._end_item(status)] if self._entry is not None else []
        done = self._resource(status)
        done.output = output
        done.status_details = self._details(status)
        done.usage = self._usage()
        done.chammal = self._provenance()
        await self._send(ResponseDone(response=done))

    async def _end_item(self, status: ResponseStatus) -> Item:
        assert self._entry is not None  # noqa: S101
        self._entry.written = self.written
        whole = status is ResponseStatus.COMPLETED or not self._entry.real
        item_status = ItemStatus.COMPLETED if whole else ItemStatus.INCOMPLETE
        item = await self._events.end(self.written, item_status, self._previous)
        if not self._entry.settled:
            self._entry.item = item
        return item

    async def _truncate(self, played: int) -> None:
        """Not what a client has already said was heard, and not what it has deleted."""
        entry = self._entry
        if entry is None or entry.settled:
            return
        try:
            self._conversation.retrieve(self.item_id)
        except ConversationError:
            return
        keep_heard(entry, played)
        await self._send(ItemTruncated(item_id=self.item_id, content_index=0, audio_end_ms=played))

    async def _tell(self, report: StageReport, error: UpstreamError) -> None:
        problem = words_for_the_caller(error)
        await self._send(
            ErrorEvent(
                error=RealtimeError(
                    type=RealtimeErrorType.SERVER,
                    code=problem.code if problem is not None else ErrorCode.STAGE_FAILED,
                    message=f"The stage {report.stage} failed: {describe(error)}",
                    chammal=report,
                )
            )
        )

    async def _tell_of_speech(self, error: UpstreamError) -> None:
        assert self._speaking is not None  # noqa: S101
        await self._tell(self._speaking.report(), error)

    def _speaker(self, tts: Upstream) -> Speaking | None:
        if self._config.modality != "audio":
            return None
        mood = self._heard.voice.emotion if self._heard is not None and self._heard.voice is not None else None
        emotion = REPLY_EMOTION.get(mood) if mood is not None else None
        language = "ko" if self._language() == "ko" else "en"
        return Speaking(tts, self._config, emotion, language, self._limits.speaking, self._tell_of_speech)

    def _status(self) -> ResponseStatus:
        if self._cancelled is not None:
            return ResponseStatus.CANCELLED
        if self._outcome is None or self._outcome.error is not None:
            return ResponseStatus.FAILED
        return ResponseStatus.INCOMPLETE if self._outcome.cut_short else ResponseStatus.COMPLETED

    def _details(self, status: ResponseStatus) -> StatusDetails | None:
        match status:
            case ResponseStatus.CANCELLED:
                return StatusDetails(type=status, reason=self._cancelled)
            case ResponseStatus.INCOMPLETE:
                return StatusDetails(type=status, reason="max_output_tokens")
            case ResponseStatus.FAILED:
                return StatusDetails(type=status, error=self._status_error())
            case _:
                return None

    def _status_error(self) -> StatusError:
        code, message = ErrorCode.INTERNAL_ERROR, "The answer failed by a fault of the api's own."
        if self._outcome is not None and self._outcome.error is not None:
            code, message = ErrorCode.STAGE_FAILED, describe(self._outcome.error)
        return StatusError(type=RealtimeErrorType.SERVER, code=code, message=message)

    def _usage(self) -> Usage | None:
        """None where the language model did not say, as when it was interrupted."""
        told = self._outcome.usage if self._outcome is not None else None
        if told is None:
            return None
        return Usage(
            total_tokens=told.prompt_tokens + told.completion_tokens,
            input_tokens=told.prompt_tokens,
            output_tokens=told.completion_tokens,
            input_token_details=InputTokens(text_tokens=told.prompt_tokens, cached_tokens=told.cached_tokens),
            output_token_details=OutputTokens(text_tokens=told.completion_tokens),
        )

    def _provenance(self) -> ReplyProvenance:
        stages = list(self._heard.stages) if self._heard is not None else []
        if self._outcome is not None:
            stages.append(self._outcome.report)
        else:
            why = f"ended before it was whole: {self._cancelled or 'a fault'}"
            stages.append(StageReport(stage=Stage.REPLY, status=StageStatus.SKIPPED, error=why))
        if self._speaking is not None:
            stages.append(self._speaking.report())
            self._times.first_sample_seconds = self._speaking.first_sample_seconds
        else:
            stages.append(StageReport(stage=Stage.TTS, status=StageStatus.SKIPPED, error="text was asked for"))
        return ReplyProvenance(stages=stages, seconds=self._times.seconds(), left_out=self._left_out)

    def _resource(self, status: ResponseStatus) -> RealtimeResponse:
        config = self._config
        return RealtimeResponse(
            id=self.id,
            status=status,
            conversation_id=config.conversation_id,
            output_modalities=[config.modality],
            max_output_tokens=config.max_output_tokens,
            audio=RealtimeAudio(output=RealtimeAudioOut(format=config.format, voice=config.voice)),
            metadata=config.metadata,
        )
