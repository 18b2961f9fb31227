"""What the tts service can be told: `CHAMMAL_TTS_<FIELD>`, else `CHAMMAL_<FIELD>`."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from chammal_kit.settings import ServiceSettings, settings_config
from chammal_tts.script import Language


class EngineName(StrEnum):
    OPENAI = "openai"
    """Any server with OpenAI's `/v1/audio/speech`."""
    KOKORO = "kokoro"
    SUPERTONIC = "supertonic"
    PIPER = "piper"
    SAY = "say"
    """The speech of macOS."""


class TtsSettings(ServiceSettings):
    model_config = settings_config("CHAMMAL_TTS_")

    port: int = Field(default=8004, ge=0, le=65535, description="Port to listen on.")
    model: str = Field(default="kokoro", description="The model's id in the manifest.")
    engines: Annotated[tuple[EngineName, ...], NoDecode] = Field(
        default=(EngineName.OPENAI, EngineName.KOKORO),
        min_length=1,
        description="Which engine is asked first, second, …: `openai` (only where its address is set), `kokoro`, "
        "`supertonic`, `piper`, `say`.",
    )
    openai_url: str | None = Field(default=None, description="Any server with OpenAI's `/v1/audio/speech`.")
    openai_key: SecretStr | None = Field(default=None, description="Key of that server. Never logged.")
    openai_model: str = Field(default="tts-1", description="Its model.")
    openai_voice: str | None = Field(
        default=None, description="Its voice for every name; unset, OpenAI's names are passed on."
    )
    openai_languages: Annotated[tuple[Language, ...], NoDecode] = Field(
        default=tuple(Language), min_length=1, description="What it speaks: `ko`, `en`."
    )
    openai_instructions: bool = Field(
        default=False,
        description="Its model reads `instructions`, as gpt-4o-mini-tts does; else they become its prosody.",
    )
    openai_sample_rate: int = Field(default=24_000, ge=8_000, le=48_000, description="Of its `pcm`, in Hz.")
    openai_connect_seconds: float = Field(default=1.0, gt=0, description="Longest wait for a connection to it.")
    openai_first_audio_seconds: float = Field(
        default=5.0, gt=0, description="Longest wait for its first audio; then the next engine speaks."
    )
    openai_idle_seconds: float = Field(default=5.0, gt=0, description="Longest pause in its audio.")
    openai_total_seconds: float = Field(default=60.0, gt=0, description="Longest time for one sentence.")
    openai_max_bytes: int = Field(default=16 << 20, ge=4096, description="Largest answer for one sentence.")
    openai_concurrency: int = Field(default=8, ge=1, description="Sentences it is asked for at the same time.")
    openai_breaker_failures: int = Field(default=3, ge=1, description="Failures in a row that open its breaker.")
    openai_breaker_seconds: float = Field(default=5.0, gt=0, description="How long its breaker stays open at first.")
    supertonic_dir: Path | None = Field(
        default=None, description="Folder with the weights of Supertonic 3, which its own command downloads."
    )
    piper_voices: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="Voices of Piper: `.onnx` files with their `.onnx.json` beside them."
    )
    say_command: str = Field(default="say", description="The speech command of macOS.")
    threads: int = Field(
        default=0, ge=0, description="Threads of one synthesis; 0 takes the cores there are, at most 4."
    )
    parallel: int = Field(
        default=1, ge=1, description="Sentences synthesised at once. Requests take turns by sentence."
    )
    limit_least: int = Field(default=2, ge=1, description="Requests let in at once at least.")
    limit_most: int = Field(default=32, ge=1, description="Requests let in at once at most; more get 503.")
    limit_wait_seconds: float = Field(
        default=2.0, gt=0, description="A sentence may wait so long for its turn; when it waits longer, fewer get in."
    )
    max_characters: int = Field(default=4096, ge=1, description="Longest `input`.")
    request_seconds: float = Field(default=300.0, gt=0, description="Longest time for one request, reading included.")
    hung_seconds: float = Field(
        default=30.0,
        gt=0,
        description="An engine that does not return from a sentence for so long, and half a second for each of its "
        "characters, hangs; the service ends itself, to be started anew.",
    )
    ready_fresh_seconds: float = Field(
        default=60.0,
        ge=0,
        description="How long a success proves that the engine speaks; then /ready has it say a word.",
    )
    model_poll_seconds: float = Field(default=5.0, gt=0, description="How often a missing model is looked for.")

    @field_validator("engines", "openai_languages", "piper_voices", mode="before")
    @classmethod
    def split_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @property
    def model_threads(self) -> int:
        return self.threads or min(4, os.cpu_count() or 1)
