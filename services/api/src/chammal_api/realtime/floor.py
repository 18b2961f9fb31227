"""The person's turns: what stt hears becomes items of the conversation.

A turn ends by itself where turns are detected, after a silence and as much patience as its last words ask for; or by
the client's commit. It is whole when everything that was said in it has its text, or will have none.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from chammal_api.realtime.conversation import Conversation, ConversationError, new_id
from chammal_api.realtime.heard import Heard
from chammal_api.realtime.hearing import Back, Hearing, HearingEvent, Lost
from chammal_api.realtime.metrics import TURNS, TurnOutcome
from chammal_api.realtime.turn_stages import emotion_report, last_of, provenance, stt_report, voice_of
from chammal_api.realtime.turns import Patience, TurnDetector
from chammal_api.settings import ApiSettings
from chammal_api.tally import Tally
from chammal_contracts.errors import ErrorCode
from chammal_contracts.live import Committed, EndReason, Final, LiveError, Partial, SpeechStarted, SpeechStopped
from chammal_contracts.realtime import (
    AudioCleared,
    AudioCommitted,
    DurationUsage,
    ErrorEvent,
    ItemAdded,
    ItemDone,
    RealtimeError,
    RealtimeErrorType,
    ServerEvent,
    Settling,
    SpeechStartedEvent,
    SpeechStoppedEvent,
    StageChanged,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionFailed,
)
from chammal_contracts.realtime_items import InputAudio, Item, ItemStatus
from chammal_contracts.realtime_session import AudioInput, SemanticVad
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_kit.logs import component_logger

log = component_logger("Floor")

_LEAST_SECONDS = 0.1
"""Of audio, in what is committed."""
_EAGERNESS = {"low": 2.0, "medium": 1.0, "auto": 1.0, "high": 0.5}


class NothingToCommit(Exception):
    """Carries the milliseconds of audio that there are."""


@dataclass(slots=True, eq=False)
class PersonsTurn:
    detector: TurnDetector
    item_id: str = field(default_factory=lambda: new_id("item"))
    finals: dict[int, Final] = field(default_factory=dict)
    stopped: dict[int, float] = field(default_factory=dict)
    """By the event loop's clock, when each utterance's end was known."""
    reasons: dict[int, EndReason] = field(default_factory=dict)
    failure: StageReport | None = None
    told: str = ""
    """The deltas together."""
    committed: bool = False
    """By the client."""
    sealed: bool = False
    """Nothing more comes to it."""
    discarded: bool = False
    whole_at: float = 0.0
    """By the event loop's clock, when all that was said had its text."""
    timer: asyncio.TimerHandle | None = None

    def wait_no_more(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Floor:
    """`on_speech` is called when the person begins to speak, `on_turn` when a turn was heard, and whether it is to
    be answered, `on_miss` when it was not."""

    def __init__(
        self,
        hearing: Hearing,
        conversation: Conversation,
        put: Callable[[ServerEvent], None],
        on_speech: Callable[[], None],
        on_turn: Callable[[Heard, bool], None],
        on_miss: Callable[[StageReport], None],
        tally: Tally,
        settings: ApiSettings,
    ) -> None:
        self._hearing = hearing
        self._conversation = conversation
        self._put = put
        self._on_speech = on_speech
        self._on_turn = on_turn
        self._on_miss = on_miss
        self._tally = tally
        self._settings = settings
        self._input = AudioInput()
        self._turns: deque[PersonsTurn] = deque()
        self._owners: dict[int, PersonsTurn] = {}
        self._unlistened = 0.0
        """Seconds of audio since the last turn ended."""
        self.all_heard = asyncio.Event()
        """Every committed turn has its text, or will have none."""
        self.all_heard.set()

    @property
    def speaking(self) -> bool:
        return any(turn.detector.speaking for turn in self._turns)

    def configure(self, configured: AudioInput) -> None:
        self._input = configured
        self._settle()

    def listen(self, seconds: float) -> None:
        self._unlistened += seconds

    def commit(self) -> None:
        """Raises NothingToCommit."""
        if self._unlistened < _LEAST_SECONDS:
            raise NothingToCommit(round(self._unlistened * 1000))
        turn = self._close()
        self._add(turn)
        if self._hearing.lost is not None:
            self._fail(turn, self._hearing.lost)
            self._settle()

    def clear(self) -> None:
        if self._turns or self._unlistened:
            turn = self._close()
            turn.discarded = True
            turn.sealed = self._hearing.lost is not None
            self._settle()
        self._put(AudioCleared())

    def take(self, event: HearingEvent) -> None:
        """What does not follow from what came before is left out: an stt out of step must not end the session."""
        match event:
            case SpeechStarted():
                self._start(event)
            case Partial() | SpeechStopped() | Final() | LiveError():
                self._go_on(event)
            case Committed():
                for turn in self._turns:
                    if turn.committed and not turn.sealed:
                        turn.sealed = True
                        break
            case Lost():
                self._lose(event.report)
            case Back():
                self._put(StageChanged(stage=event.report, lost_audio_ms=event.lost_ms))
        self._settle()

    def close(self) -> None:
        for turn in self._turns:
            turn.wait_no_more()

    def _close(self) -> PersonsTurn:
        """The turn at hand, which ends here. What stt says before it answers the commit is still of it."""
        turn = self._turns[-1] if self._turns and not self._turns[-1].committed else self._new()
        turn.wait_no_more()
        turn.committed = True
        self._unlistened = 0.0
        self.all_heard.clear()
        if self._hearing.lost is None:
            self._hearing.commit()
        return turn

    def _open(self) -> PersonsTurn:
        """The first to which something may come."""
        return next((turn for turn in self._turns if not turn.sealed), None) or self._new()

    def _new(self) -> PersonsTurn:
        turn = PersonsTurn(TurnDetector(self._patience()))
        self._turns.append(turn)
        return turn

    def _patience(self) -> Patience:
        vad = self._input.turn_detection
        share = _EAGERNESS[vad.eagerness] if isinstance(vad, SemanticVad) else 0.0
        settings = self._settings
        return Patience(
            settings.realtime_open_clause_seconds * share, settings.realtime_doubtful_clause_seconds * share
        )

    def _start(self, event: SpeechStarted) -> None:
        turn = self._open()
        turn.wait_no_more()
        turn.whole_at = 0.0
        turn.detector.started(event.utterance)
        self._owners[event.utterance] = turn
        if self._input.turn_detection is not None and not turn.discarded:
            self._put(SpeechStartedEvent(audio_start_ms=round(event.start * 1000), item_id=turn.item_id))
            self._on_speech()

    def _go_on(self, event: Partial | SpeechStopped | Final | LiveError) -> None:
        turn = self._owners.get(event.utterance or 0)
        if turn is None:
            log.warning("stt sent %s of an utterance that is not going on", event.type)
            return
        match event:
            case Partial():
                self._tell_partial(turn, event)
            case SpeechStopped():
                self._stop(turn, event)
            case Final():
                del self._owners[event.utterance]
                turn.finals[event.utterance] = event
                reason = turn.reasons.get(event.utterance, EndReason.SILENCE)
                turn.detector.final(event.utterance, event.text, event.language, reason)
            case LiveError():
                self._miss(turn, event)

    def _tell_partial(self, turn: PersonsTurn, event: Partial) -> None:
        """Once what was said before it in the turn is settled."""
        if turn.discarded or any(number < event.utterance and turn is its for number, its in self._owners.items()):
            return
        self._tell(turn, _joined(turn, event.stable), event.text[len(event.stable) :])

    def _tell(self, turn: PersonsTurn, settled: str, unsettled: str) -> None:
        if self._input.transcription is None:
            return
        delta = settled[len(turn.told) :] if settled.startswith(turn.told) else ""
        turn.told += delta
        if delta or unsettled:
            self._put(TranscriptionDelta(item_id=turn.item_id, delta=delta, chammal=Settling(unsettled=unsettled)))

    def _stop(self, turn: PersonsTurn, event: SpeechStopped) -> None:
        turn.stopped[event.utterance] = asyncio.get_running_loop().time()
        turn.reasons[event.utterance] = event.reason
        if self._input.turn_detection is not None and not turn.discarded:
            self._put(SpeechStoppedEvent(audio_end_ms=round(event.end * 1000), item_id=turn.item_id))

    def _miss(self, turn: PersonsTurn, event: LiveError) -> None:
        """One utterance gets no text."""
        assert event.utterance is not None  # noqa: S101 it has an owner
        del self._owners[event.utterance]
        report = StageReport(stage=Stage.STT, status=StageStatus.DUMMY, error_type=event.code, error=event.detail)
        turn.failure = report
        turn.detector.lost(event.utterance)
        self._put(ErrorEvent(error=_stage_error(report)))

    def _lose(self, report: StageReport) -> None:
        self._put(ErrorEvent(error=_stage_error(report)))
        self._owners.clear()
        for turn in self._turns:
            if turn.detector.speaking or (turn.committed and not turn.sealed):
                self._fail(turn, report)

    @staticmethod
    def _fail(turn: PersonsTurn, report: StageReport) -> None:
        turn.failure = report
        turn.sealed = turn.sealed or turn.committed
        turn.detector.cut_off()

    def _settle(self) -> None:
        """In their order."""
        while self._turns and self._is_over(self._turns[0]):
            self._finish(self._turns.popleft())
        if not any(turn.committed for turn in self._turns):
            self.all_heard.set()

    def _is_over(self, turn: PersonsTurn) -> bool:
        if turn.detector.speaking:
            return False
        if turn.committed:
            return turn.sealed
        if self._input.turn_detection is None:
            return False
        now = asyncio.get_running_loop().time()
        wait = turn.detector.wait() or 0.0
        turn.whole_at = turn.whole_at or now
        turn.wait_no_more()
        left = turn.whole_at + wait - now
        if left > 0:
            turn.timer = asyncio.get_running_loop().call_later(left, self._settle)
        return left <= 0

    def _finish(self, turn: PersonsTurn) -> None:
        turn.wait_no_more()
        if turn.discarded:
            return
        if not turn.committed:
            self._unlistened = 0.0
            self._add(turn)
        taken = turn.detector.take()
        text = taken.text if taken is not None else ""
        finals = [turn.finals[number] for number in sorted(turn.finals)]
        voice = voice_of(finals)
        try:
            item = self._conversation.hear(turn.item_id, text, voice.emotion if voice is not None else None)
        except ConversationError:  # the client has deleted it meanwhile
            item = None
        if item is not None:
            self._put(ItemDone(previous_item_id=self._conversation.before(turn.item_id), item=item))
        TURNS.labels(TurnOutcome.HEARD if text else TurnOutcome.FAILED if turn.failure else TurnOutcome.EMPTY).inc()
        heard = self._heard(turn, text, finals)
        self._tally.count(heard.stages)
        if turn.failure is not None and not text:
            if self._input.transcription is not None:
                self._put(TranscriptionFailed(item_id=turn.item_id, error=_stage_error(turn.failure)))
            self._on_miss(turn.failure)
            return
        self._tell(turn, text, "")
        if self._input.transcription is not None:
            usage = DurationUsage(seconds=round(sum(final.end - final.start for final in finals), 3))
            told = provenance(heard, finals)
            self._put(TranscriptionCompleted(item_id=turn.item_id, transcript=text, usage=usage, chammal=told))
        if text and item is not None:
            vad = self._input.turn_detection
            self._on_turn(heard, not turn.committed and vad is not None and vad.create_response)

    def _add(self, turn: PersonsTurn) -> None:
        item = Item(id=turn.item_id, role="user", status=ItemStatus.IN_PROGRESS, content=[InputAudio()])
        before = self._conversation.append(item)
        self._put(AudioCommitted(previous_item_id=before, item_id=turn.item_id))
        self._put(ItemAdded(previous_item_id=before, item=item))

    def _heard(self, turn: PersonsTurn, text: str, finals: list[Final]) -> Heard:
        now = asyncio.get_running_loop().time()
        last = last_of(finals)
        seconds = {"silence": 0.0, "after_endpoint": 0.0, "waited": 0.0}
        stopped_at = now
        if last is not None:
            seconds["silence"] = last.seconds.silence
            seconds["after_endpoint"] = last.seconds.after_endpoint
            seconds["waited"] = now - (turn.whole_at or now)
            stopped_at = turn.stopped.get(last.utterance, now) - last.seconds.silence
        return Heard(
            item_id=turn.item_id,
            text=text,
            language=last.language if last is not None else "",
            voice=voice_of(finals),
            stages=(stt_report(finals, turn.failure), *emotion_report(finals)),
            stopped_at=stopped_at,
            seconds={name: round(value, 4) for name, value in seconds.items()},
        )


def _joined(turn: PersonsTurn, stable: str) -> str:
    texts = [turn.finals[number].text.strip() for number in sorted(turn.finals)]
    return " ".join(text for text in (*texts, stable.lstrip()) if text)


def _stage_error(report: StageReport) -> RealtimeError:
    message = f"The stage {report.stage} failed: {report.error}. The session goes on."
    return RealtimeError(type=RealtimeErrorType.SERVER, code=ErrorCode.STAGE_FAILED, message=message, chammal=report)
