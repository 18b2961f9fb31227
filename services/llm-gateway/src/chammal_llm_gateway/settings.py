"""What the gateway can be told: `CHAMMAL_LLM_<FIELD>` in the environment."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from chammal_kit.egress import Egress
from chammal_kit.settings import ServiceSettings, settings_config


class BackendName(StrEnum):
    VLLM = "vllm"
    OLLAMA = "ollama"
    OPENAI = "openai"
    """Any endpoint that speaks OpenAI's chat completions."""
    ANTHROPIC = "anthropic"
    LLAMACPP = "llamacpp"
    """llama.cpp's server in the xllamacpp wheel, started by `chammal up` when nothing else is configured."""


Names = Annotated[tuple[str, ...], NoDecode]
"""In the environment a list with commas."""


class LlmSettings(ServiceSettings):
    model_config = settings_config("CHAMMAL_LLM_")

    port: int = Field(default=8002, ge=0, le=65535, description="Port to listen on.")

    deadline_seconds: float | None = Field(
        default=240.0,
        gt=0,
        description="Longest time for one request, all backends and repairs included; `Chammal-Deadline` may "
        "shorten it.",
    )
    vllm_url: str | None = Field(default=None, description="vLLM, for example http://127.0.0.1:8000.")
    vllm_model: str | None = Field(default=None, description="Its model; unset, the first that it lists.")
    ollama_url: str | None = Field(default=None, description="Ollama, for example http://127.0.0.1:11434.")
    ollama_model: str | None = Field(default=None, description="Its model; unset, the first that it lists.")
    llamacpp_url: str | None = Field(default=None, description="llama.cpp's server, for example http://127.0.0.1:8005.")
    openai_url: str | None = Field(
        default=None, description="Any OpenAI-compatible endpoint; unset with a key, OpenAI's own."
    )
    openai_key: SecretStr | None = Field(default=None, description="Key of that endpoint. Never logged.")
    openai_model: str | None = Field(
        default=None, description="Its model; unset, gpt-4.1-mini at OpenAI and elsewhere the first that is listed."
    )
    anthropic_key: SecretStr | None = Field(default=None, description="Key of the Messages API. Never logged.")
    anthropic_url: str = Field(default="https://api.anthropic.com", description="Address of the Messages API.")
    anthropic_model: str = Field(default="claude-haiku-5-5", description="Model of the Messages API.")
    anthropic_max_tokens: int = Field(
        default=4096, ge=1, description="Longest answer where a request names none; the Messages API demands one."
    )

    order: Annotated[tuple[BackendName, ...], NoDecode] = Field(
        default=tuple(BackendName), description="Which backend is asked first, second, …; only those set are asked."
    )
    aliases: Names = Field(
        default=("gpt-5", "gpt-5-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo"),
        description="Model names of OpenAI clients that mean `default`: the backend's own model.",
    )

    media_urls: Names = Field(
        default=(),
        description="Addresses that images and other media in messages may have, which a backend then fetches. A host "
        "may begin with `*.` and a path end with `*`; `data:` is always taken.",
    )

    connect_seconds: float = Field(default=1.0, gt=0, description="Longest wait for a connection to a backend.")
    first_token_seconds: float = Field(
        default=60.0, gt=0, description="Longest wait for a stream's first token. CPU servers read prompts slowly."
    )
    idle_seconds: float = Field(default=15.0, gt=0, description="Longest pause between two tokens of a stream.")
    total_seconds: float = Field(default=180.0, gt=0, description="Longest whole answer of one backend.")
    limit_least: int = Field(default=4, ge=1, description="Calls let in at once at least.")
    limit_most: int = Field(default=64, ge=1, description="Calls let in at once at most; more get 503.")
    limit_wait_seconds: float = Field(
        default=2.0,
        gt=0,
        description="A call may wait so long for its first token; when it waits longer, fewer get in.",
    )
    concurrency: int = Field(default=64, ge=1, description="Calls to one backend at the same time.")
    queue: int = Field(default=16, ge=0, description="Calls that may wait for a place at one backend.")
    queue_seconds: float = Field(default=0.5, ge=0, description="Longest wait for such a place.")
    breaker_failures: int = Field(default=5, ge=1, description="Failures in a row that open a backend's breaker.")
    breaker_open_seconds: float = Field(default=5.0, gt=0, description="How long such a breaker stays open at first.")
    slow_share: float = Field(
        default=0.5,
        gt=0,
        description="A call is slow whose first token takes more than this share of its longest wait.",
    )
    max_request_bytes: int = Field(default=4 << 20, ge=1024, description="Largest request body.")
    max_response_bytes: int = Field(default=8 << 20, ge=1024, description="Largest answer of a backend.")
    max_schema_bytes: int = Field(default=256 << 10, ge=1024, description="Largest JSON schema in a request.")

    names_seconds: float = Field(
        default=30.0, ge=0, description="How long a backend's list of models is believed before an unknown name asks."
    )
    ready_seconds: float = Field(default=5.0, gt=0, description="Longest wait for the one token that /ready asks for.")
    ready_fresh_seconds: float = Field(
        default=30.0, ge=0, description="How long an answer to a user proves that a backend works; then /ready asks it."
    )
    ready_hung_seconds: float = Field(
        default=60.0, gt=0, description="A backend that is busy and has brought no token for so long counts as hung."
    )
    ready_asks_paid: bool = Field(
        default=False,
        description="Let /ready ask backends with a key for a token, which costs money; else for their list of models.",
    )
    ready_cache_seconds: float = Field(
        default=5.0, ge=0, description="How long /ready repeats its last answer, so that probes do not load the model."
    )

    @field_validator("media_urls")
    @classmethod
    def are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Egress(value)
        return value

    @field_validator("order", "aliases", "media_urls", mode="before")
    @classmethod
    def split_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
