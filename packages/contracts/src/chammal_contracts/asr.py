"""Speech-to-text: the OpenAI transcription shapes, and what Chammal adds to them."""

from enum import StrEnum

from pydantic import BaseModel, Field

from chammal_contracts.voice import Voice, VoiceMissing


class TranscriptionFormat(StrEnum):
    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"
    VERBOSE_JSON = "verbose_json"


class TimestampGranularity(StrEnum):
    WORD = "word"
    SEGMENT = "segment"


class Include(StrEnum):
    """What is added to `verbose_json` when `include[]` names it."""

    VOICE = "voice"


class Channels(StrEnum):
    """What to do with the channels of a recording."""

    MIX = "mix"
    SPLIT = "split"
    """Each channel is one speaker's."""


class ChannelLayout(StrEnum):
    """What a recording turned out to be."""

    MONO = "mono"
    MIXED = "mixed"
    SPLIT = "split"
    DUAL_MONO = "dual_mono"
    """Two channels with the same sound: transcribed once, and no speaker can be told."""


class SuspectReason(StrEnum):
    """Why text is doubted."""

    SILENCE = "silence"
    """No speech was heard where it stands."""
    NO_SPEECH = "no_speech"
    """The model itself holds that nothing was said."""
    PHANTOM = "phantom"
    """A phrase that Whisper is known to invent."""
    REPETITION = "repetition"
    """The same words over and over."""
    LOW_CONFIDENCE = "low_confidence"
    BLEED_THROUGH = "bleed_through"
    """The other channel's speaker, heard faintly in this one."""
    SKIPPED = "skipped"
    """Speech was heard here, and the model wrote nothing."""


class Suspect(BaseModel):
    """Text that was dropped, or kept and doubted. Times are seconds from the beginning of the recording."""

    start: float
    end: float
    text: str
    reason: SuspectReason
    dropped: bool
    detail: str
    speaker: str | None = None


class Word(BaseModel):
    """One word; start and end in seconds from the beginning of the recording."""

    word: str
    start: float
    end: float
    probability: float
    speaker: str | None = None


class Segment(BaseModel):
    """One stretch of speech; start and end in seconds from the beginning of the recording."""

    id: int
    start: float
    end: float
    text: str
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    confidence: float = Field(default=0.0, ge=0.0, le=1.0)
    """Mean probability of a token: exp(avg_logprob)."""
    speaker: str | None = None
    """Whose channel it is; None unless the channels were split."""
    tokens: list[int] = []
    seek: int = 0
    voice: Voice | None = Field(default=None, exclude_if=lambda value: value is None)
    """Where `include[]=voice` asked for it."""
    voice_missing: VoiceMissing | None = Field(default=None, exclude_if=lambda value: value is None)
    """Why not, though it was asked for."""


class Transcription(BaseModel):
    """`verbose_json`; `json` is its `text` alone."""

    task: str = "transcribe"
    language: str
    duration: float
    text: str
    segments: list[Segment] = []
    words: list[Word] | None = None
    model: str
    channels: ChannelLayout = ChannelLayout.MONO
    suspect: list[Suspect] = []
    """What was dropped or is doubted, in order of time."""
    damaged_packets: int = 0
    """Of the file, that could not be decoded: what they held is missing."""


class TranscriptionText(BaseModel):
    text: str
