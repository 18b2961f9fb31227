"""What passes between the web process and its workers. Plain dataclasses: the sandboxed decoder imports no pydantic."""

from dataclasses import dataclass, field
from enum import StrEnum

SAMPLE_RATE = 16_000
"""Samples a second of what the decoder writes and the recogniser reads: mono, signed 16 bit, native order."""
SAMPLE_BYTES = 2


class DecodeOutcome(StrEnum):
    OK = "ok"
    EMPTY = "empty"
    UNREADABLE = "unreadable"
    TOO_LONG = "too_long"
    TOO_COSTLY = "too_costly"
    """It would have taken more memory than a recording may."""
    STORAGE_FULL = "storage_full"


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """Comes with two descriptors: the upload, and the file that takes the samples."""

    max_samples: int
    cpu_seconds: int


@dataclass(frozen=True, slots=True)
class DecodeReply:
    outcome: DecodeOutcome
    samples: int = 0
    detail: str = ""
    damaged_packets: int = 0


@dataclass(frozen=True, slots=True)
class RecogniseJob:
    """Comes with one descriptor: the samples."""

    samples: int
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    """None is the ladder that climbs from 0 when a decode fails; a number above 0 is used alone."""
    words: bool = False


@dataclass(frozen=True, slots=True)
class RecognisedWord:
    word: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class RecognisedSegment:
    """Times are seconds from the beginning of the recording."""

    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: list[RecognisedWord] | None = None


@dataclass(frozen=True, slots=True)
class RecogniseReply:
    language: str | None = None
    """None when there was no speech to tell it from."""
    segments: list[RecognisedSegment] = field(default_factory=list)
    abandoned: bool = False
    error: str | None = None
    """The recogniser's own failure; the process lives on."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of every worker, after it has done a small job of its own."""

    pid: int
    defences: list[str] = field(default_factory=list)
    error: str | None = None
