"""Speech-to-text: the OpenAI transcription shapes."""

from enum import StrEnum

from pydantic import BaseModel


class TranscriptionFormat(StrEnum):
    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"
    VERBOSE_JSON = "verbose_json"


class TimestampGranularity(StrEnum):
    WORD = "word"
    SEGMENT = "segment"


class Word(BaseModel):
    """One word; start and end in seconds from the beginning of the recording."""

    word: str
    start: float
    end: float
    probability: float


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
    tokens: list[int] = []
    seek: int = 0


class Transcription(BaseModel):
    """`verbose_json`; `json` is its `text` alone."""

    task: str = "transcribe"
    language: str
    duration: float
    text: str
    segments: list[Segment] = []
    words: list[Word] | None = None
    model: str


class TranscriptionText(BaseModel):
    text: str
