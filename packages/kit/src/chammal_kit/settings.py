"""The base of every service's settings: `CHAMMAL_STT_LOG_LEVEL` for one service, `CHAMMAL_LOG_LEVEL` for all."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from chammal_kit.models import MANIFEST

SHARED_PREFIX = "CHAMMAL_"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


def settings_config(prefix: str) -> SettingsConfigDict:
    """The pydantic configuration of a service whose own variables begin with `prefix`."""
    return SettingsConfigDict(
        env_prefix=prefix, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )


class ServiceSettings(BaseSettings):
    """What every service can be told."""

    model_config = settings_config(SHARED_PREFIX)

    host: str = Field(default="127.0.0.1", description="Address to listen on. The images set 0.0.0.0.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: LogFormat = Field(default=LogFormat.CONSOLE, description="`console` or `json` (one object a line).")
    log_text: bool = Field(default=False, description="Write transcripts and prompts to the log. For debugging only.")
    models_dir: Path = Field(default=Path("models"), description="Where model weights lie.")
    models_manifest: Path = Field(
        default=MANIFEST, description="The list of models and hashes. Where there is none, the package's own."
    )
    deadline_seconds: float | None = Field(
        default=None,
        gt=0,
        description="Longest time for one request; a caller's `Chammal-Deadline` may shorten it. Unset: only what the "
        "work itself may take. The llm-gateway's own default is 240.",
    )
    shutdown_seconds: int = Field(default=20, ge=0, description="How long to finish requests in flight on SIGTERM.")
    blocked_seconds: float = Field(
        default=60.0, ge=0, description="A process whose event loop is blocked for so long ends itself; 0 never."
    )
    operations_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="A second port for /metrics, /docs, /openapi.json and the details of /ready, which then leave the "
        "public one; 0 keeps them there. One for each service.",
    )
    operations_host: str | None = Field(
        default=None, description="Address of that port; unset, that of the public one."
    )

    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Names with a dot that the service answers to where it needs no key, such as chammal.example.org "
        "or *.svc.cluster.local; `*` is any.",
    )
    origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Origins whose web pages may call, such as https://app.example.org; `*` is any."
    )
    trusted_proxies: str = Field(
        default="", description="Addresses of proxies whose X-Forwarded-For and -Proto are believed, with commas."
    )
    internal_key: SecretStr | None = Field(
        default=None, description="The api shows it to stt, tts and llm-gateway, which then answer to nobody else."
    )
    docs: bool = Field(default=False, description="Serve /docs, whose scripts a browser loads from cdn.jsdelivr.net.")

    @field_validator("hosts", "origins", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, EnvSettingsSource(settings_cls, env_prefix=SHARED_PREFIX)
