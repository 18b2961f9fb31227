"""What stt counts, beside the HTTP metrics of every service."""

from enum import StrEnum

from fastapi.exceptions import RequestValidationError
from prometheus_client import Counter, Gauge, Histogram
from starlette.exceptions import HTTPException

from chammal_contracts.asr import SuspectReason
from chammal_contracts.errors import ErrorCode
from chammal_contracts.voice import VoiceMissing
from chammal_kit.metrics import STAGE_BUCKETS
from chammal_kit.problems import Problem


class Outcome(StrEnum):
    OK = "ok"
    REJECTED = "rejected"
    """The caller's mistake."""
    OVERLOADED = "overloaded"
    ABANDONED = "abandoned"
    """The caller went away."""
    ERROR = "error"


class WorkerKind(StrEnum):
    DECODER = "decoder"
    RECOGNISER = "recogniser"


class SessionOutcome(StrEnum):
    FINISHED = "finished"
    DISCONNECTED = "disconnected"
    """The client went away without `finish`."""
    REFUSED = "refused"
    INVALID = "invalid"
    IDLE = "idle"
    TOO_SLOW = "too_slow"
    """The client did not read."""
    SHUTDOWN = "shutdown"
    ERROR = "error"


class UtteranceOutcome(StrEnum):
    TEXT = "text"
    EMPTY = "empty"
    """Nothing was written, or nothing that can be believed."""
    ERROR = "error"
    ABANDONED = "abandoned"
    """The session ended first."""


class PartialOutcome(StrEnum):
    SENT = "sent"
    DROPPED = "dropped"


class VoiceOutcome(StrEnum):
    TOLD = "told"
    TOO_SHORT = VoiceMissing.TOO_SHORT
    NO_TEXT = VoiceMissing.NO_TEXT
    FAILED = VoiceMissing.FAILED


def outcome_of(error: Exception) -> Outcome:
    if isinstance(error, Problem):
        if error.code is ErrorCode.OVERLOADED:
            return Outcome.OVERLOADED
        return Outcome.REJECTED if error.status < 500 else Outcome.ERROR
    return Outcome.REJECTED if isinstance(error, RequestValidationError | HTTPException) else Outcome.ERROR


REQUESTS = Counter("chammal_stt_requests_total", "Transcriptions asked for, by how they ended.", ["outcome"])
AUDIO_SECONDS = Counter("chammal_stt_audio_seconds_total", "Seconds of audio transcribed.")
REAL_TIME_FACTOR = Histogram(
    "chammal_stt_real_time_factor",
    "Seconds of decoding and recognising for each second of audio.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0),
)
STAGE_SECONDS = Histogram(
    "chammal_stt_worker_seconds", "Seconds in a worker, for one recording.", ["worker"], buckets=STAGE_BUCKETS
)
WORKER_RESTARTS = Counter("chammal_stt_worker_restarts_total", "Workers that ended and were replaced.", ["worker"])
WORKERS_HUNG = Counter(
    "chammal_stt_workers_hung_total", "Workers that had a job and did nothing, and were replaced.", ["worker"]
)
QUEUE_DEPTH = Gauge("chammal_stt_queue_depth", "Recordings that wait to be worked on.")
PIECES_WAITING = Gauge("chammal_stt_pieces_in_flight", "Stretches of audio that wait for a recogniser or are in one.")
BATCH_PIECES = Histogram("chammal_stt_batch_pieces", "Stretches of audio in a batch.", buckets=(1, 2, 3, 4, 8, 16, 32))
RESIDENT_MODELS = Gauge("chammal_stt_resident_models", "Models in memory.")
SUSPECTS = Counter("chammal_stt_suspects_total", "Text that was dropped or doubted, by why.", ["reason"])
VOICES = Counter("chammal_stt_voices_total", "Voices asked for, by whether a mood was told, or why not.", ["outcome"])

LIVE_SESSIONS = Gauge("chammal_stt_live_open_sessions", "Live sessions that are open.")
LIVE_ENDINGS = Counter("chammal_stt_live_sessions_total", "Live sessions, by how they ended.", ["outcome"])
LIVE_UTTERANCES = Counter("chammal_stt_live_utterances_total", "Live utterances, by what became of them.", ["outcome"])
LIVE_PARTIALS = Counter("chammal_stt_live_partials_total", "Partials that were due, by whether they went.", ["outcome"])
LIVE_REREAD = Counter(
    "chammal_stt_live_reread_total", "Finals whose own decode differs from what had been shown as stable."
)
LIVE_FINAL_SECONDS = Histogram(
    "chammal_stt_live_final_seconds", "Seconds from an utterance's endpoint to its final.", buckets=STAGE_BUCKETS
)

for session_outcome in SessionOutcome:
    LIVE_ENDINGS.labels(session_outcome)
for utterance_outcome in UtteranceOutcome:
    LIVE_UTTERANCES.labels(utterance_outcome)
for partial_outcome in PartialOutcome:
    LIVE_PARTIALS.labels(partial_outcome)
for voice_outcome in VoiceOutcome:
    VOICES.labels(voice_outcome)
for reason in SuspectReason:
    SUSPECTS.labels(reason)
for outcome in Outcome:
    REQUESTS.labels(outcome)
for kind in WorkerKind:
    WORKER_RESTARTS.labels(kind)
    WORKERS_HUNG.labels(kind)
    STAGE_SECONDS.labels(kind)
