"""What stt counts, beside the HTTP metrics of every service."""

from enum import StrEnum

from prometheus_client import Counter, Gauge, Histogram

from chammal_kit.metrics import STAGE_BUCKETS


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
QUEUE_DEPTH = Gauge("chammal_stt_queue_depth", "Calls that wait for a recogniser.")

for outcome in Outcome:
    REQUESTS.labels(outcome)
for kind in WorkerKind:
    WORKER_RESTARTS.labels(kind)
    STAGE_SECONDS.labels(kind)
