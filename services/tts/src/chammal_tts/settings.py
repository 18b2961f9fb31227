"""What the tts service can be told: `CHAMMAL_TTS_<FIELD>`, else `CHAMMAL_<FIELD>`."""

import os

from pydantic import Field

from chammal_kit.settings import ServiceSettings, settings_config


class TtsSettings(ServiceSettings):
    model_config = settings_config("CHAMMAL_TTS_")

    port: int = Field(default=8004, ge=0, le=65535, description="Port to listen on.")
    model: str = Field(default="kokoro", description="The model's id in the manifest.")
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

    @property
    def model_threads(self) -> int:
        return self.threads or min(4, os.cpu_count() or 1)
