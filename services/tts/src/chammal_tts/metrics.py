"""What the tts service counts."""

from enum import StrEnum

from prometheus_client import Counter, Gauge, Histogram

from chammal_kit.metrics import STAGE_BUCKETS


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    """The caller's mistake."""
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    DEADLINE = "deadline"
    GONE = "gone"
    """The caller went away."""
    FAILED = "failed"


REQUESTS = Counter("chammal_tts_requests_total", "Speech requests, by outcome.", ["outcome"])
FIRST_AUDIO_SECONDS = Histogram(
    "chammal_tts_first_audio_seconds", "Seconds from a request to its first audio.", buckets=STAGE_BUCKETS
)
REAL_TIME_FACTOR = Histogram(
    "chammal_tts_real_time_factor",
    "Seconds of synthesis for a second of audio, a sentence each.",
    ["language"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0),
)
ENGINE_HUNG = Counter("chammal_tts_engine_hung_total", "Times the engine did not return and the process ended itself.")
FALLBACKS = Counter(
    "chammal_tts_fallbacks_total", "Requests that an engine spoke because the one before it could not.", ["backend"]
)
READY = Gauge("chammal_tts_ready", "1 when the model has spoken a word.")
for _outcome in Outcome:
    REQUESTS.labels(_outcome)
