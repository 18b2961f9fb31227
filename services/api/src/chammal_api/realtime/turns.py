"""When somebody's turn is over: utterances come in, each ended by a silence, and one turn or more go out.

A turn is over as soon as its last utterance has its text, unless the text ends in the middle of a clause: then more
speech is waited for, and joins the same turn. Nothing here measures time; whoever holds a `TurnDetector` waits as long
as it says and then takes the turn.
"""

from dataclasses import dataclass, field

from chammal_api.realtime.clauses import Ending, ending
from chammal_contracts.live import EndReason


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for more speech after the text is there, by how the text ends."""

    open_seconds: float = 1.2
    doubtful_seconds: float = 0.3

    def seconds(self, end: Ending) -> float:
        match end:
            case Ending.OPEN:
                return self.open_seconds
            case Ending.DOUBTFUL:
                return self.doubtful_seconds
            case Ending.WHOLE:
                return 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    utterances: tuple[int, ...]
    """By stt's numbers."""
    text: str
    ending: Ending


@dataclass(slots=True)
class _Heard:
    utterance: int
    text: str
    wait: Ending


@dataclass(slots=True)
class TurnDetector:
    """Of one session. Tell it all that stt says; it answers with how long to wait before `take`."""

    patience: Patience = field(default_factory=Patience)
    _heard: list[_Heard] = field(default_factory=list, init=False)
    _speaking: set[int] = field(default_factory=set, init=False)

    @property
    def speaking(self) -> bool:
        """Or what was said has no text yet."""
        return bool(self._speaking)

    def started(self, utterance: int) -> None:
        """Stop waiting: the turn goes on."""
        self._speaking.add(utterance)

    def final(self, utterance: int, text: str, language: str, reason: EndReason = EndReason.SILENCE) -> float | None:
        """Seconds to wait; None while somebody speaks, or when nothing was said."""
        self._speaking.discard(utterance)
        if text.strip():
            how = ending(text, language)
            if reason in (EndReason.COMMIT, EndReason.FINISH):
                how = Ending.WHOLE  # the speaker says so
            self._heard.append(_Heard(utterance, text.strip(), how))
        return self.wait()

    def lost(self, utterance: int) -> float | None:
        """An utterance gets no text. What was said before it waits no longer than it had to."""
        self._speaking.discard(utterance)
        return self.wait()

    def wait(self) -> float | None:
        if self._speaking or not self._heard:
            return None
        return self.patience.seconds(self._last().wait)

    def take(self) -> Turn | None:
        """All that was heard, which is now somebody else's. None when there is nothing, or somebody still speaks."""
        if self._speaking or not self._heard:
            return None
        self._heard.sort(key=lambda heard: heard.utterance)
        turn = Turn(
            tuple(heard.utterance for heard in self._heard),
            " ".join(heard.text for heard in self._heard),
            self._last().wait,
        )
        self._heard.clear()
        return turn

    def cut_off(self) -> float | None:
        """stt is gone: what is being said gets no text. What has one is still a turn."""
        self._speaking.clear()
        return self.wait()

    def forget(self) -> None:
        """The audio was cleared."""
        self._heard.clear()
        self._speaking.clear()

    def _last(self) -> _Heard:
        return max(self._heard, key=lambda heard: heard.utterance)
