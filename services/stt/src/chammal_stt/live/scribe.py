"""Utterances of one session to text: partials while they last, and a final each, in their order."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from chammal_contracts.errors import ErrorCode
from chammal_contracts.live import Final, FinalSeconds, LiveError, LiveStage, Start
from chammal_contracts.voice import Voice
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_stt.live.dictation import Dictation
from chammal_stt.live.endpoint import Ended
from chammal_stt.live.outbox import Outbox
from chammal_stt.live.utterance import FRAME_SECONDS, Decode, Decoded, Utterance, seconds
from chammal_stt.messages import SPEECH_FRAME, Piece, Recognition
from chammal_stt.metrics import (
    LIVE_FINAL_SECONDS,
    LIVE_PARTIALS,
    LIVE_REREAD,
    LIVE_UTTERANCES,
    PartialOutcome,
    UtteranceOutcome,
)
from chammal_stt.settings import SttSettings
from chammal_stt.voice.moods import mood
from chammal_stt.voice.speaker import Speaker

log = component_logger("Live")

_UNCONCLUDED = 4
_TELLING_SECONDS = 3.0
"""Of audio, from which a language is told well; a shorter utterance is in the language of the one before."""
_PARTIAL_REST = 2.0
"""A partial that took a second is followed by the next after two: they never take all of a worker."""


class Scribe:
    """`on_room` is called when a final has gone."""

    def __init__(
        self,
        start: Start,
        language: str | None,
        dictation: Dictation,
        settings: SttSettings,
        outbox: Outbox,
        on_room: Callable[[], None],
    ) -> None:
        self._wants_partials = start.partials
        self._final = Piece(0, 0, language=language, prompt=start.prompt, hotwords=start.hotwords, words=True)
        self._quick = replace(self._final, quick=True)
        self._speaker = Speaker(settings.mood_rules) if start.voice else None
        self._dictation = dictation
        self._settings = settings
        self._outbox = outbox
        self._on_room = on_room
        self._language: str | None = None
        """That the last long utterance was told to be in."""
        self._partial: asyncio.Task[None] | None = None
        self._partial_due = 0.0
        self._unconcluded: deque[Utterance] = deque()
        self._changed = asyncio.Event()
        self._all_ended = False

    @property
    def behind(self) -> bool:
        """As many utterances wait for their finals as may; whoever adds audio waits while they do."""
        return len(self._unconcluded) >= _UNCONCLUDED

    def begin(self) -> None:
        """An utterance has begun."""
        self._partial_due = _now() + self._settings.live_partial_seconds

    def begin_early(self, utterance: Utterance, end: int) -> None:
        """Silence has begun that may end the utterance: its final is tried already, where that keeps nobody waiting."""
        if self._dictation.takes_early:
            self._begin_decode(utterance, end)

    def drop_early(self, utterance: Utterance) -> None:
        """Speech goes on."""
        if utterance.decode is not None:
            utterance.decode.task.cancel()
            utterance.decode = None

    def end(self, utterance: Utterance, ended: Ended) -> None:
        if self._partial is not None:
            self._partial.cancel()
        utterance.ended, utterance.ended_at = ended, _now()
        if utterance.decode is not None and (utterance.decode.end != ended.end or utterance.decode.failed):
            self.drop_early(utterance)
        if utterance.decode is None:
            self._begin_decode(utterance, ended.end)
        self._unconcluded.append(utterance)
        self._changed.set()

    def consider_partial(self, utterance: Utterance) -> None:
        """Whenever there is more audio."""
        if not self._wants_partials or utterance.decode is not None or self._partial is not None:
            return
        if _now() < self._partial_due:
            return
        if self._dictation.takes_partial:
            self._partial = utterance.read(self._write_partial(utterance))
        else:
            self._partial_due = _now() + self._settings.live_partial_seconds
            _drop_partial(utterance)

    def finish(self) -> None:
        """No utterance comes any more: `run` returns after the last final."""
        self._all_ended = True
        self._changed.set()

    async def run(self) -> None:
        while self._unconcluded or not self._all_ended:
            if self._unconcluded:
                await self._conclude(self._unconcluded[0])
                await self._unconcluded.popleft().close()
                self._on_room()
            else:
                self._changed.clear()
                await self._changed.wait()

    async def abandon(self) -> None:
        """Nobody waits for the rest. After `run` has ended or was cancelled."""
        while self._unconcluded:
            await abandon(self._unconcluded.popleft())

    def _begin_decode(self, utterance: Utterance, end: int) -> None:
        onset = (utterance.started.onset - utterance.started.first) * SPEECH_FRAME
        piece = replace(self._final, voice=self._speaker is not None, voice_from=onset)
        if piece.language is None and not _tells_language(utterance, end):
            piece = replace(piece, language=self._language)
        utterance.decode = Decode(utterance.read(self._dictation.final(utterance, end, piece)), end)

    async def _write_partial(self, utterance: Utterance) -> None:
        began, end = _now(), utterance.heard
        try:
            quick = replace(self._quick, language=self._quick.language or utterance.language or self._language)
            recognition = await self._dictation.partial(utterance, end, quick)
            if _tells_language(utterance, end):
                utterance.language = recognition.language
            partial = utterance.partial(recognition, end)
            if partial is not None:
                LIVE_PARTIALS.labels(PartialOutcome.SENT).inc()
                if self._outbox.put(partial):
                    _drop_partial(utterance)
        except Problem as problem:
            log.info("A partial failed: %s", problem)
            _drop_partial(utterance)
        finally:
            self._partial = None
            self._partial_due = began + max(self._settings.live_partial_seconds, (_now() - began) * _PARTIAL_REST)

    async def _conclude(self, utterance: Utterance) -> None:
        decode, ended = utterance.decode, utterance.ended
        assert decode is not None  # noqa: S101
        assert ended is not None  # noqa: S101
        try:
            decoded = await decode.task
            final = utterance.final(decoded.recognition, ended, _took(utterance, ended, decoded))
            final = self._with_mood(final, decoded.recognition)
        except Problem as problem:
            self._fail(utterance, problem.code, problem.detail)
        except Exception:  # the boundary of one utterance: the session goes on without it
            log.exception("The final of utterance %d failed.", utterance.number)
            detail = "The service met an error of its own; its log has the cause."
            self._fail(utterance, ErrorCode.INTERNAL_ERROR, detail)
        else:
            self._outbox.put(final)
            if final.text and _tells_language(utterance, ended.end):
                self._language = final.language
            LIVE_FINAL_SECONDS.observe(final.seconds.after_endpoint)
            LIVE_UTTERANCES.labels(UtteranceOutcome.TEXT if final.text else UtteranceOutcome.EMPTY).inc()
            if final.reread is not None:
                LIVE_REREAD.inc()
            if self._settings.log_text:
                log.info("Utterance %d: %s", utterance.number, final.text)

    def _with_mood(self, final: Final, recognition: Recognition) -> Final:
        if self._speaker is None:
            return final
        voice = mood(self._speaker, recognition, final.text, final.language)
        return final.model_copy(update={"voice" if isinstance(voice, Voice) else "voice_missing": voice})

    def _fail(self, utterance: Utterance, code: ErrorCode, detail: str) -> None:
        LIVE_UTTERANCES.labels(UtteranceOutcome.ERROR).inc()
        error = LiveError(code=code, detail=detail, fatal=False, stage=LiveStage.FINAL, utterance=utterance.number)
        self._outbox.put(error)


async def abandon(utterance: Utterance) -> None:
    await utterance.close()
    LIVE_UTTERANCES.labels(UtteranceOutcome.ABANDONED).inc()


def _tells_language(utterance: Utterance, end: int) -> bool:
    return (end - utterance.started.first) * FRAME_SECONDS >= _TELLING_SECONDS


def _drop_partial(utterance: Utterance) -> None:
    utterance.partials_dropped += 1
    LIVE_PARTIALS.labels(PartialOutcome.DROPPED).inc()


def _took(utterance: Utterance, ended: Ended, decoded: Decoded) -> FinalSeconds:
    return FinalSeconds(
        silence=seconds(ended.heard - ended.speech_end),
        recognise=round(decoded.took, 3),
        after_endpoint=round(_now() - utterance.ended_at, 3),
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
