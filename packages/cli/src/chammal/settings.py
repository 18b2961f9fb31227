"""What `chammal up` can be told. The ports are the services' own variables: CHAMMAL_STT_PORT, CHAMMAL_LLM_PORT, …"""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from chammal_kit.models import MANIFEST
from chammal_kit.settings import SHARED_PREFIX, settings_config


class UpSettings(BaseSettings):
    model_config = settings_config(SHARED_PREFIX)

    models_dir: Path = Field(default=Path("models"), description="Where model weights lie.")
    models_manifest: Path = Field(
        default=MANIFEST, description="The list of models and hashes. Where there is none, the package's own."
    )

    host: str = Field(default="127.0.0.1", description="Address that the services listen on.")
    stt_port: int = Field(default=8001, ge=1, le=65535, description="Port of the stt service.")
    llm_port: int = Field(default=8002, ge=1, le=65535, description="Port of the llm-gateway service.")
    api_port: int = Field(default=8003, ge=1, le=65535, description="Port of the api service.")
    tts_port: int = Field(default=8004, ge=1, le=65535, description="Port of the tts service.")
    llamacpp_port: int = Field(default=8005, ge=1, le=65535, description="Port of the embedded llama.cpp server.")
    llamacpp_context: int = Field(default=8192, ge=512, description="Tokens of context of the embedded llama.cpp.")
    llamacpp_threads: int = Field(
        default=0,
        ge=0,
        description="Its threads; 0 is half of the cores, since they wait busily and slow down whatever else works.",
    )

    llm_vllm_url: str | None = Field(default=None, description="The gateway's vLLM; set, nothing is embedded.")
    llm_ollama_url: str | None = Field(default=None, description="The gateway's Ollama; set, nothing is embedded.")
    llm_openai_url: str | None = Field(default=None, description="An OpenAI-compatible endpoint; likewise.")
    llm_openai_key: SecretStr | None = Field(default=None, description="Key of that endpoint; likewise.")
    llm_anthropic_key: SecretStr | None = Field(default=None, description="Key of the Messages API; likewise.")
    llm_llamacpp_url: str | None = Field(default=None, description="A llama.cpp server that runs already; likewise.")

    api_key: SecretStr | None = Field(default=None, description="Key that commands show to the api, where it asks one.")
    ready_seconds: float = Field(
        default=180.0, gt=0, description="How long `chammal up` waits before it says what is not ready."
    )
