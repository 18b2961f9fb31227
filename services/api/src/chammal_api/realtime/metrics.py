"""What conversations do, for Prometheus."""

from enum import StrEnum

from prometheus_client import Counter, Gauge


class RealtimeOutcome(StrEnum):
    FINISHED = "finished"
    """The client left."""
    IDLE = "idle"
    EXPIRED = "expired"
    TOO_SLOW = "too_slow"
    TOO_BIG = "too_big"
    REFUSED = "refused"
    SHUTDOWN = "shutdown"
    ERROR = "error"


class TurnOutcome(StrEnum):
    HEARD = "heard"
    EMPTY = "empty"
    """Sound in which nothing was said, or nothing that can be believed."""
    FAILED = "failed"


SESSIONS = Gauge("chammal_realtime_sessions", "Conversations that are open now.")
ENDINGS = Counter("chammal_realtime_endings_total", "Conversations that ended, by how.", ["outcome"])
TURNS = Counter("chammal_realtime_turns_total", "Turns of persons, by what was heard.", ["outcome"])
INTERRUPTIONS = Counter("chammal_realtime_interruptions_total", "Answers that a person spoke into.")
LOST_AUDIO = Counter("chammal_realtime_lost_audio_seconds_total", "Speech that came while stt was gone.")

for _outcome in RealtimeOutcome:
    ENDINGS.labels(_outcome)
for _turn in TurnOutcome:
    TURNS.labels(_turn)
