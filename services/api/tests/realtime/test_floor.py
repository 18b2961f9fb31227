"""What stt hears, told to a floor by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from chammal_api.realtime.conversation import Conversation
from chammal_api.realtime.floor import Floor, NothingToCommit
from chammal_api.realtime.heard import Heard
from chammal_api.realtime.hearing import Hearing, Lost
from chammal_api.settings import ApiSettings
from chammal_api.tally import Tally
from chammal_contracts.errors import ErrorCode
from chammal_contracts.live import (
    Committed,
    EndReason,
    Final,
    FinalSeconds,
    LiveError,
    LiveStage,
    Partial,
    SpeechStarted,
    SpeechStopped,
)
from chammal_contracts.realtime import (
    AudioCommitted,
    ItemDone,
    ServerEvent,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionFailed,
)
from chammal_contracts.realtime_session import AudioInput, ServerVad, Transcription
from chammal_contracts.stages import Stage, StageReport, StageStatus

pytestmark = pytest.mark.anyio

GONE = StageReport(stage=Stage.STT, status=StageStatus.DUMMY, error="it is gone")
PUSH_TO_TALK = AudioInput(turn_detection=None)
VAD = AudioInput(turn_detection=ServerVad())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Ears:
    """In place of Hearing."""

    lost: StageReport | None = None
    commits: int = 0

    def commit(self) -> None:
        self.commits += 1


@dataclass
class Table:
    events: list[ServerEvent] = field(default_factory=list)
    turns: list[tuple[Heard, bool]] = field(default_factory=list)
    missed: list[StageReport] = field(default_factory=list)
    speeches: list[None] = field(default_factory=list)
    ears: Ears = field(default_factory=Ears)
    conversation: Conversation = field(default_factory=Conversation)
    floor: Floor = field(init=False)

    def __post_init__(self) -> None:
        self.floor = Floor(
            cast(Hearing, self.ears),
            self.conversation,
            self.events.append,
            lambda: self.speeches.append(None),
            lambda heard, answer: self.turns.append((heard, answer)),
            self.missed.append,
            Tally(),
            ApiSettings(),
        )

    def start(self, utterance: int) -> None:
        self.floor.listen(1.0)
        self.floor.take(SpeechStarted(utterance=utterance, start=utterance))

    def stop(self, utterance: int, reason: EndReason = EndReason.SILENCE) -> None:
        self.floor.take(SpeechStopped(utterance=utterance, end=utterance + 0.5, reason=reason))

    def partial(self, utterance: int, text: str, stable: str) -> None:
        self.floor.take(Partial(utterance=utterance, start=0, end=1, text=text, stable=stable))

    def final(self, utterance: int, text: str, language: str = "ko") -> None:
        self.floor.take(
            Final(
                utterance=utterance,
                start=utterance,
                end=utterance + 0.5,
                text=text,
                words=[],
                language=language,
                confidence=0.5,
                suspect=[],
                reread=None,
                partials_dropped=0,
                seconds=FinalSeconds(silence=0.5, recognise=0.1, after_endpoint=0.02),
            )
        )

    def say(self, utterance: int, text: str) -> None:
        self.start(utterance)
        self.stop(utterance)
        self.final(utterance, text)

    def transcripts(self) -> list[str]:
        return [event.transcript for event in self.events if isinstance(event, TranscriptionCompleted)]

    def count(self, kind: type[ServerEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)


Lay = Callable[[AudioInput], Table]


@pytest.fixture
def lay() -> Lay:
    def lay(configured: AudioInput) -> Table:
        table = Table()
        table.floor.configure(configured)
        return table

    return lay


async def test_the_deltas_of_all_utterances_of_a_turn_are_its_transcript(lay: Lay) -> None:
    table = lay(PUSH_TO_TALK)
    table.start(1)
    table.partial(1, "하나 두리", "하나")
    table.stop(1)
    table.start(2)
    table.partial(2, "셋", "셋")  # what was said before it has no text yet
    table.final(1, "하나 둘.")
    table.partial(2, "셋 네", "셋")
    table.stop(2)
    table.final(2, "셋 넷.")
    table.floor.commit()
    table.floor.take(Committed(utterance=None))
    deltas = [event.delta for event in table.events if isinstance(event, TranscriptionDelta)]
    assert deltas == ["하나", " 둘. 셋", " 넷."]
    assert table.transcripts() == ["하나 둘. 셋 넷."]


async def test_two_commits_in_a_row_are_two_turns_whatever_comes_between(lay: Lay) -> None:
    table = lay(PUSH_TO_TALK)
    table.start(1)
    table.floor.commit()
    table.floor.listen(1.0)
    table.floor.commit()
    table.stop(1, EndReason.COMMIT)
    table.floor.take(Committed(utterance=1))
    table.start(2)
    table.final(1, "첫째")
    table.stop(2, EndReason.COMMIT)
    table.floor.take(Committed(utterance=2))
    assert not table.floor.all_heard.is_set()
    table.final(2, "둘째")
    assert table.transcripts() == ["첫째", "둘째"]
    assert [answer for _, answer in table.turns] == [False, False]
    assert table.floor.all_heard.is_set()
    assert table.ears.commits == 2


async def test_less_than_a_tenth_of_a_second_is_nothing_to_commit(lay: Lay) -> None:
    table = lay(PUSH_TO_TALK)
    table.floor.listen(0.09)
    with pytest.raises(NothingToCommit):
        table.floor.commit()


async def test_clearing_in_the_middle_of_a_word_leaves_nothing_of_it(lay: Lay) -> None:
    table = lay(VAD)
    table.start(1)
    table.floor.clear()
    seen = len(table.events)
    table.partial(1, "지워", "지워")
    table.stop(1, EndReason.COMMIT)
    table.floor.take(Committed(utterance=1))
    table.final(1, "지워 줘")
    assert len(table.events) == seen
    assert table.conversation.items == []
    table.say(2, "남겨 줘.")
    assert table.transcripts() == ["남겨 줘."]


async def test_an_utterance_without_a_text_leaves_the_turn_what_else_was_said(lay: Lay) -> None:
    table = lay(VAD)
    table.start(1)
    table.stop(1)
    table.start(2)
    detail = "The worker died."
    table.floor.take(
        LiveError(code=ErrorCode.WORKER_DIED, detail=detail, fatal=False, stage=LiveStage.FINAL, utterance=1)
    )
    table.stop(2)
    table.final(2, "들었어요.")
    [(heard, answer)] = table.turns
    assert (heard.text, answer) == ("들었어요.", True)
    assert heard.stages[0].status is StageStatus.DEGRADED


async def test_a_turn_that_was_not_heard_at_all_is_not_answered(lay: Lay) -> None:
    table = lay(VAD)
    table.start(1)
    table.floor.take(Lost(GONE))
    assert table.turns == []
    assert [report.error for report in table.missed] == ["it is gone"]
    assert table.count(TranscriptionFailed) == 1


async def test_what_was_heard_before_stt_was_lost_is_answered(lay: Lay) -> None:
    table = lay(VAD)
    table.start(1)
    table.stop(1)
    table.start(2)
    table.final(1, "내일 가려고 해요.")
    table.floor.take(Lost(GONE))
    [(heard, answer)] = table.turns
    assert (heard.text, answer) == ("내일 가려고 해요.", True)
    assert heard.stages[0].status is StageStatus.DEGRADED


async def test_what_is_committed_while_stt_is_gone_fails_at_once(lay: Lay) -> None:
    table = lay(PUSH_TO_TALK)
    table.ears.lost = GONE
    table.floor.listen(1.0)
    table.floor.commit()
    assert (table.count(AudioCommitted), table.count(TranscriptionFailed)) == (1, 1)
    assert table.ears.commits == 0
    assert table.floor.all_heard.is_set()


async def test_an_item_that_the_client_has_deleted_meanwhile_is_not_answered(lay: Lay) -> None:
    table = lay(PUSH_TO_TALK)
    table.start(1)
    table.floor.commit()
    table.conversation.delete(table.conversation.items[0].id)
    table.stop(1, EndReason.COMMIT)
    table.floor.take(Committed(utterance=1))
    table.final(1, "이미 없다")
    assert table.turns == []
    assert table.count(ItemDone) == 0


async def test_without_transcription_nothing_is_told_of_the_words_and_they_are_answered(lay: Lay) -> None:
    table = lay(AudioInput(turn_detection=ServerVad(), transcription=None))
    table.start(1)
    table.partial(1, "네", "네")
    table.stop(1)
    table.final(1, "네.")
    assert table.transcripts() == []
    assert table.count(TranscriptionDelta) == 0
    assert [heard.text for heard, _ in table.turns] == ["네."]


@pytest.mark.parametrize("create", [True, False])
async def test_whether_a_turn_is_answered_by_itself_is_the_clients_choice(lay: Lay, create: bool) -> None:
    table = lay(AudioInput(turn_detection=ServerVad(create_response=create), transcription=Transcription()))
    table.say(1, "네.")
    assert [answer for _, answer in table.turns] == [create]


async def test_the_end_of_speech_is_reckoned_back_from_the_silence(lay: Lay) -> None:
    table = lay(VAD)
    table.say(1, "네.")
    [(heard, _)] = table.turns
    assert heard.seconds == {"silence": 0.5, "after_endpoint": 0.02, "waited": pytest.approx(0, abs=0.1)}
    assert len(table.speeches) == 1


async def test_an_stt_that_is_out_of_step_ends_nothing(lay: Lay) -> None:
    table = lay(VAD)
    table.final(7, "나는 누구")
    table.stop(7)
    table.partial(7, "여긴", "여긴")
    table.floor.take(Committed(utterance=7))
    detail = "The audio ended in the middle of a sample."
    table.floor.take(LiveError(code=ErrorCode.MESSAGE_INVALID, detail=detail, fatal=False, stage=LiveStage.AUDIO))
    assert table.events == []
    table.say(8, "네.")
    table.final(8, "네.")
    assert table.transcripts() == ["네."]
