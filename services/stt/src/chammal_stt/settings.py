"""Settings of the stt service: `CHAMMAL_STT_<FIELD>`, or `CHAMMAL_<FIELD>` for all services."""

import os
from typing import Literal

from pydantic import Field, field_validator

from chammal_contracts.languages import LANGUAGES
from chammal_kit.settings import ServiceSettings, settings_config
from chammal_stt.voice.rules import VoiceRules


class SttSettings(ServiceSettings):
    model_config = settings_config("CHAMMAL_STT_")

    port: int = Field(default=8001, ge=0, le=65535, description="Port to listen on.")
    model: str = Field(default="whisper-base", description="Id of the model that answers where a request names none.")
    max_models: int = Field(
        default=2, ge=1, description="Models in memory at once, the default included; the others make room."
    )
    model_ttl_seconds: float = Field(
        default=1800.0, ge=0, description="A model other than the default, unused for so long, is unloaded; 0 never."
    )
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="Where the model runs.")
    compute_type: str | None = Field(
        default=None, description="CTranslate2's arithmetic; unset, int8 on a CPU and float16 on a GPU."
    )
    preload: bool = Field(default=True, description="Load the model at start-up, not at the first request or /ready.")
    workers: int = Field(default=0, ge=0, description="Recogniser processes, each with the model; 0 is by the cores.")
    cpu_threads: int = Field(default=0, ge=0, description="Threads a recogniser; 0 shares the cores among them.")
    batch_size: int = Field(default=0, ge=0, le=64, description="Pieces decoded at once; 0 is 4 on a CPU, 16 on a GPU.")
    batch_wait_seconds: float = Field(
        default=0.0, ge=0, le=1, description="How long a batch that is not full waits for more."
    )
    max_batch_seconds: float = Field(default=120.0, gt=0, description="A recogniser that takes longer is replaced.")
    hung_seconds: float = Field(
        default=15.0, ge=2, description="A worker with a job that uses no processor time for so long is replaced."
    )
    ready_fresh_seconds: float = Field(
        default=60.0, ge=0, description="How long a success proves that a worker works; then /ready gives it a trial."
    )
    beam_size: int = Field(default=5, ge=1, le=16, description="Hypotheses that are followed.")
    margin_seconds: float = Field(
        default=2.5, ge=1, le=30, description="Silence encoded behind the speech; 30 is Whisper's full window."
    )
    piece_seconds: float = Field(default=18.0, ge=4, le=27, description="Longest stretch of a recording read at once.")
    pause_seconds: float = Field(default=5.0, ge=0.2, le=15, description="Longer pauses are not read at all.")
    language: str | None = Field(default=None, description="Used when a request names none; unset, it is detected.")
    speakers: str = Field(
        default="agent,customer", description="Who is on the left and on the right channel of a call."
    )
    limit_least: int = Field(
        default=0, ge=0, description="Short recordings let in at once at least; 0 is one more than recognisers."
    )
    limit_most: int = Field(default=64, ge=1, description="Short recordings let in at once at most; more get 503.")
    limit_wait_seconds: float = Field(
        default=2.0, gt=0, description="They may wait so long for a recogniser; when they wait longer, fewer get in."
    )
    concurrency: int = Field(default=16, ge=1, description="Long recordings worked on at once.")
    queue: int = Field(default=32, ge=0, description="Long recordings that may wait; more get 503.")
    queue_seconds: float = Field(default=30.0, gt=0, description="How long one may wait before it gets 503.")
    max_pieces: int = Field(default=1024, ge=1, description="Stretches of audio that may wait for a recogniser.")
    max_request_seconds: float = Field(default=14_400.0, gt=0, description="Cap on the work for one recording.")
    max_uploads: int = Field(default=32, ge=1, description="Uploads received at once; more get 503.")
    max_upload_bytes: int = Field(default=1 << 30, ge=1, description="Largest request body, in bytes.")
    upload_idle_seconds: float = Field(default=30.0, gt=0, description="Longest pause within an upload.")
    max_audio_seconds: int = Field(default=21_600, ge=1, description="Longest recording, in seconds.")
    decoders: int = Field(default=2, ge=1, description="Decoder processes at most.")
    decode_seconds: int = Field(
        default=600, ge=1, description="Processor seconds to decode one recording; on the clock, three times as long."
    )
    decoder_memory_bytes: int = Field(default=1 << 30, ge=1 << 28, description="Address space of a decoder process.")
    start_seconds: float = Field(default=120.0, gt=0, description="How long loading the model may take.")
    live_sessions: int = Field(default=32, ge=0, description="Live sessions at once; more get 503.")
    live_silence_ms: int = Field(default=600, ge=200, le=5000, description="Silence that ends a live utterance.")
    live_early_ms: int = Field(
        default=250, ge=0, description="Silence after which its final is begun, in the hope that it ends; 0 waits."
    )
    live_preroll_ms: int = Field(default=1000, ge=0, le=2000, description="Audio kept before a live utterance.")
    live_utterance_seconds: float = Field(
        default=15.0, ge=5, le=28, description="A longer live utterance is cut at its quietest recent point."
    )
    live_partial_seconds: float = Field(default=0.7, gt=0, description="Shortest time from one partial to the next.")
    live_idle_seconds: float = Field(default=120.0, gt=0, description="A live session without a message ends.")
    live_send_seconds: float = Field(default=10.0, gt=0, description="A live client that does not read is cut off.")
    voice_rules: VoiceRules | None = Field(
        default=None,
        description='JSON with thresholds that replace some of docs/voice.md, such as {"r1_f0_hz": 200}.',
    )

    @field_validator("language")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in LANGUAGES:
            raise ValueError(f"{value!r} is not one of {', '.join(sorted(LANGUAGES))}")
        return value

    @field_validator("speakers")
    @classmethod
    def _two(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",")]
        if len(names) != 2 or not all(names) or names[0] == names[1]:
            raise ValueError(f"{value!r} is not two different names parted by a comma, like agent,customer")
        return ",".join(names)

    @property
    def speaker_names(self) -> tuple[str, str]:
        """Left, right."""
        left, right = self.speakers.split(",")
        return left, right

    @property
    def mood_rules(self) -> VoiceRules:
        return self.voice_rules or VoiceRules()

    @property
    def worker_count(self) -> int:
        """At least two on a CPU, so that one can be kept for short requests while a long recording is read."""
        return self.workers or (1 if self.device == "cuda" else min(8, max(2, _cores() // 2)))

    @property
    def threads_per_worker(self) -> int:
        return self.cpu_threads or max(1, _cores() // self.worker_count)

    @property
    def pieces_per_batch(self) -> int:
        return self.batch_size or (4 if self.device == "cpu" else 16)

    @property
    def arithmetic(self) -> str:
        return self.compute_type or ("int8" if self.device == "cpu" else "float16")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
