"""What passes between the web process and its workers. Plain dataclasses: the sandboxed decoder imports no pydantic."""

from dataclasses import dataclass, field
from enum import StrEnum

SAMPLE_RATE = 16_000
"""Samples a second of what the decoder writes and the recogniser reads: signed 16 bit, native order."""
SAMPLE_BYTES = 2
SPEECH_FRAME = 512
"""Samples that one speech probability stands for: 32 ms."""


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
    """Of one channel."""
    cpu_seconds: int
    split: bool = False
    """Keep two channels apart, when there are two; else all are mixed into one."""


@dataclass(frozen=True, slots=True)
class ChannelActivity:
    """Where speech is in one channel: one byte for each SPEECH_FRAME, in base64."""

    speech: str
    """Probability of speech, 0–255."""
    level: str
    """Loudness, as -dBFS (RMS): 0 is the loudest, 120 or more is digital silence."""


@dataclass(frozen=True, slots=True)
class DecodeReply:
    outcome: DecodeOutcome
    samples: int = 0
    """Of one channel. The file holds `channels` interleaved."""
    channels: int = 1
    dual_mono: bool = False
    """Two channels were asked for and hold the same sound. The file has both: read channel 0 alone."""
    source_channels: int = 1
    activity: list[ChannelActivity] = field(default_factory=list)
    detail: str = ""
    damaged_packets: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one channel of a file of samples, and how to read it."""

    first: int
    """Sample of the channel, from the beginning of the file."""
    samples: int
    channel: int = 0
    channels: int = 1
    """In the file, interleaved."""
    language: str | None = None
    """None is told from the piece itself."""
    prompt: str | None = None
    hotwords: str | None = None
    temperature: float | None = None
    """None is the ladder that climbs from 0 when a decode fails; a number above 0 is used alone."""
    words: bool = False
    quick: bool = False
    """For text that will be replaced soon: a narrow search and no second tries."""
    voice: bool = False
    """Measure the voice as well."""
    voice_from: int = 0
    """Sample of the piece before which nobody speaks."""


@dataclass(frozen=True, slots=True)
class RecogniseBatch:
    """Comes with one descriptor for each piece, in order."""

    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class VoiceMeasure:
    """Of what sounds in a stretch of speech; the fields are those of contracts' VoiceFeatures."""

    f0_hz: float
    """0 where hardly anything has a pitch."""
    f0_deviation_hz: float
    rms: float
    zcr: float
    voiced_share: float
    seconds: float
    """From the first sound to the last."""


@dataclass(frozen=True, slots=True)
class RecognisedWord:
    word: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class RecognisedSegment:
    """Times are seconds from the beginning of the piece."""

    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: list[RecognisedWord] | None = None
    voice: VoiceMeasure | None = None
    voice_error: str | None = None


@dataclass(frozen=True, slots=True)
class Recognition:
    """What the model wrote for one piece."""

    language: str
    segments: list[RecognisedSegment] = field(default_factory=list)
    voice: VoiceMeasure | None = None
    """Of the whole piece. None where it was not asked for, or there is too little speech."""
    voice_error: str | None = None
    """Why it could not be measured."""


@dataclass(frozen=True, slots=True)
class RecogniseReply:
    recognitions: list[Recognition] = field(default_factory=list)
    """One for each piece of the batch, in order."""
    error: str | None = None
    """The recogniser's own failure; the process lives on."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of every worker, after it has done a small job of its own."""

    pid: int
    defences: list[str] = field(default_factory=list)
    error: str | None = None
