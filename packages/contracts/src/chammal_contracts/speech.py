"""Text-to-speech: the OpenAI speech shapes."""

from enum import StrEnum

from pydantic import BaseModel, Field

from chammal_contracts.voice import Emotion


class AudioFormat(StrEnum):
    WAV = "wav"
    PCM = "pcm"
    """16-bit little-endian mono at 24 kHz, without a header."""
    MP3 = "mp3"
    OPUS = "opus"
    FLAC = "flac"
    AAC = "aac"
    G711_ULAW = "g711_ulaw"
    G711_ALAW = "g711_alaw"
    """Telephone audio: one byte a sample, mono at 8 kHz, without a header."""


class StreamFormat(StrEnum):
    AUDIO = "audio"
    SSE = "sse"


class SpeechRequest(BaseModel):
    model: str = "tts-1"
    input: str = Field(min_length=1)
    voice: str = "alloy"
    response_format: AudioFormat = AudioFormat.MP3
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    stream_format: StreamFormat = StreamFormat.AUDIO
    instructions: str | None = None
    language: str | None = None
    """`ko` or `en`; by default told from the script of the text."""
    pitch: float = Field(default=0.0, ge=-3.0, le=3.0)
    """Semitones above the voice's own, or below it. Not OpenAI's, nor is what follows."""
    energy: float = Field(default=1.0, ge=0.25, le=4.0)
    """Loudness, as a factor of the samples. What would be too loud is limited."""
    emotion: Emotion | None = None
    """How the speaker sounds. It changes speed, pitch and energy, on top of what is asked for."""


class VoiceCard(BaseModel):
    """One row of `GET /v1/audio/voices`."""

    id: str
    alias: bool
    """One of OpenAI's names, which stands for a voice in each language."""


class VoiceList(BaseModel):
    object: str = "list"
    data: list[VoiceCard]
