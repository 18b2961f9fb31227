"""What the api can be told. Each field is one environment variable, `CHAMMAL_API_<FIELD>`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator
from pydantic_settings import NoDecode

from chammal_api.calls.signature import Signer
from chammal_api.check.rule_shelf import RULES
from chammal_contracts.failures import Environment
from chammal_kit.egress import Egress
from chammal_kit.settings import ServiceSettings, settings_config


class ApiSettings(ServiceSettings):
    model_config = settings_config("CHAMMAL_API_")

    port: int = Field(default=8003, ge=0, le=65535, description="Port to listen on.")
    environment: Environment = Field(
        default=Environment.DEVELOPMENT,
        description="`development`, `staging` or `production`, where `chammal drill` refuses to break anything.",
    )
    stt_url: str = Field(default="http://127.0.0.1:8001", description="Address of the stt service.")
    llm_url: str = Field(default="http://127.0.0.1:8002", description="Address of the llm-gateway service.")
    tts_url: str = Field(default="http://127.0.0.1:8004", description="Address of the tts service.")
    language: str = Field(default="ko", description="Language of calls when a request names none; `auto` detects it.")
    audio_root: Path = Field(default=Path("audio"), description="`file_path` may name recordings below this folder.")
    agent_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses that `agent_url` may name. A host may begin with `*.` and a path end with `*`.",
    )
    agent_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        default=(),
        description="Private networks that names in `agent_url` may lead to, such as 10.1.0.0/16.",
    )
    store_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Stores that `file_url` may name. A host may begin with `*.` and a path end with `*`.",
    )
    store_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        default=(),
        description="Private networks that names in `file_url` may lead to.",
    )
    webhook_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses that `webhook_url` of a call may name, written as in `agent_urls`.",
    )
    webhook_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        default=(),
        description="Private networks that names in `webhook_url` may lead to.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="Signs webhooks: `whsec_` and 24 to 64 bytes in base64; two with a space between them while one "
        "replaces the other. Without it no call may name a webhook.",
    )
    mask: bool = Field(
        default=True,
        description="Numbers of persons, cards, accounts and telephones become `*` in what is stored of a call, and in "
        "what a language model is given of it.",
    )
    max_upload_bytes: int = Field(default=1 << 30, ge=1, description="Largest upload, in bytes.")
    max_json_bytes: int = Field(default=4 << 20, ge=1, description="Largest JSON request body, in bytes.")
    stt_seconds: float = Field(
        default=15_000, gt=0, description="Longest wait for a transcript; short recordings get less, by their size."
    )
    llm_seconds: float = Field(default=240, gt=0, description="Longest wait for an analysis or a chat, in seconds.")
    check_seconds: float = Field(
        default=900, gt=0, description="Longest that the language model may take over one call's check, or its summary."
    )
    check_at_once: int = Field(
        default=3,
        ge=1,
        description="Questions of checks and summaries that the gateway is asked at once; people wait there too.",
    )
    check_window_tokens: int = Field(
        default=1800,
        ge=1000,
        description="Most of a transcript in one such question, in tokens; the model's context must hold 700 more.",
    )
    tts_seconds: float = Field(default=120, gt=0, description="Longest wait for speech, in seconds.")
    connect_seconds: float = Field(default=1, gt=0, description="Longest wait for a connection to a service.")
    idle_seconds: float = Field(default=60, gt=0, description="Longest silence within an answer, in seconds.")
    concurrency: int = Field(
        default=64, ge=1, description="Calls in flight to one service, which has a limit of its own; as many may wait."
    )
    live_sessions: int = Field(default=32, ge=0, description="Live sessions at once; more get 503.")
    live_send_seconds: float = Field(default=10, gt=0, description="A live client that does not read is cut off.")
    realtime_sessions: int = Field(default=32, ge=0, description="Conversations at once; more get 503.")
    realtime_idle_seconds: float = Field(
        default=900, gt=0, description="A conversation ends in which nobody has said anything for so long."
    )
    realtime_session_seconds: float = Field(default=3600, gt=0, description="Longest conversation.")
    realtime_bytes_per_second: int = Field(
        default=512 * 1024, ge=16_384, description="What a client of a conversation may send; more has to wait."
    )
    realtime_burst_bytes: int = Field(
        default=4 << 20, ge=1, description="What it may send at once: about a minute of speech."
    )
    realtime_silence_ms: int = Field(
        default=500, ge=200, le=5000, description="Silence that ends an utterance in a conversation."
    )
    realtime_open_clause_seconds: float = Field(
        default=1.2, ge=0, description="How much longer an unfinished clause is waited for; `eagerness` scales it."
    )
    realtime_doubtful_clause_seconds: float = Field(
        default=0.3, ge=0, description="The same for what may be finished and often goes on."
    )
    realtime_stt_seconds: float = Field(
        default=10, gt=0, description="An stt that gives no sign of life for so long is gone, for a conversation."
    )
    realtime_model: str = Field(default="default", description="Model that the gateway is asked for in conversations.")
    realtime_instructions: str = Field(
        default="", description="System prompt of sessions that bring none; empty: the one in `realtime/prompt.py`."
    )
    realtime_prepare: bool = Field(
        default=False,
        description="The language model reads a conversation's instructions while the person begins to speak, in a "
        "request for one token, and the first answer does not wait for that. `chammal up` sets it for its own model.",
    )
    realtime_history_tokens: int = Field(
        default=2400, ge=200, description="Most of a conversation that the language model is told, in tokens."
    )
    realtime_answer_tokens: int = Field(
        default=400, ge=16, le=4096, description="Longest answer in a conversation that asks for no other, in tokens."
    )
    realtime_reply_seconds: float = Field(
        default=30, gt=0, description="Longest wait for the first word of an answer; then an apology is spoken."
    )
    realtime_speech_seconds: float = Field(
        default=15, gt=0, description="Longest wait for the first audio of a sentence; then the answer is text alone."
    )
    realtime_answer_seconds: float = Field(
        default=120, gt=0, description="Longest that an answer may take after its first word."
    )
    stt_slow_share: float = Field(
        default=0.5,
        gt=0,
        description="A transcript that takes more than this share of its longest wait is a slow call; 1: none is.",
    )
    llm_slow_share: float = Field(
        default=0.5,
        gt=0,
        description="The same for an analysis or a chat. A breaker opens when 80 % of its calls are slow.",
    )
    tts_slow_share: float = Field(default=0.5, gt=0, description="The same for the first byte of speech.")
    breaker_failures: int = Field(default=5, ge=1, description="Failures in a row that open a breaker.")
    breaker_open_seconds: float = Field(default=5, gt=0, description="How long a breaker stays open at first.")
    ready_cache_seconds: float = Field(default=2, ge=0, description="How long an answer of /ready is kept.")
    data_dir: Path = Field(default=Path("data"), description="Folder of recordings, calls and their workflows.")
    database_url: SecretStr | None = Field(
        default=None,
        description="`postgresql://…` where several machines share the calls; unset: SQLite files in `data_dir`.",
    )
    database_seconds: float = Field(
        default=10, gt=0, description="Longest wait for the database of calls; then 503 with `Retry-After`."
    )
    calls_at_once: int = Field(
        default=2,
        ge=0,
        description="Recorded calls that are analysed at once; 0: this process accepts them and others analyse them. "
        "Processes that analyse and share a database have the same number.",
    )
    max_queued_calls: int = Field(
        default=10_000, ge=1, description="Calls that may wait for their analysis; more get 429 with `Retry-After`."
    )
    max_stored_bytes: int = Field(
        default=0,
        ge=0,
        description="Most bytes of recordings together; 0: until `min_free_bytes` are left on the disk.",
    )
    min_free_bytes: int = Field(
        default=1 << 30, ge=0, description="Left free on the disk of `data_dir`: a recording that needs them gets 507."
    )
    heal_degraded: bool = Field(
        default=True, description="Try again for stages that only a fall-back answered, not just for missing ones."
    )
    heal_days: float = Field(default=7, gt=0, description="After so many days a call is not healed any more.")
    heal_attempts: int = Field(default=200, ge=1, description="After so many attempts neither.")
    heal_first_seconds: float = Field(
        default=5,
        gt=0,
        description="Wait before the first attempt to heal; it doubles, and ends when a breaker closes.",
    )
    heal_longest_seconds: float = Field(default=600, gt=0, description="Longest wait between two attempts.")
    heal_per_minute: float = Field(default=60, gt=0, description="Attempts to heal that are begun in a minute.")
    rules_dir: Path = Field(
        default=RULES,
        description="Folder of rule sets, one `.yaml` file each. Where there is none, the package's own.",
    )
    rule_set: str = Field(default="fcpa-kr", description="Rule set of calls and checks that name none.")
    keep_days: int = Field(
        default=3650, ge=0, description="Calls and their recordings are deleted after so many days; 0: never."
    )
    keys: SecretStr | None = Field(
        default=None,
        description="API keys as lines of `chammal keys new`, with `;` between them. Unset: none is asked.",
    )
    keys_file: Path | None = Field(
        default=None, description="Or a file with a line for each; it is read anew when it has changed."
    )
    requests_per_minute: int = Field(
        default=0, ge=0, description="Requests a minute of one key, or of one address where there are no keys; 0 any."
    )
    requests_burst: int = Field(default=0, ge=0, description="How many of them at once; 0 is a minute's worth.")
    published_host: str | None = Field(
        default=None, description="Where the port is reached, if not at `host`: a container's is published elsewhere."
    )

    @field_validator("audio_root")
    @classmethod
    def _is_a_folder_of_its_own(cls, value: Path) -> Path:
        if value.resolve() == Path(value.resolve().anchor):
            raise ValueError("the whole file system cannot be the audio root")
        return value

    @field_validator("agent_urls", "store_urls", "webhook_urls")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Egress(value)
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _can_sign(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Signer(value.get_secret_value())
        return value

    @field_validator(
        "agent_urls",
        "agent_networks",
        "store_urls",
        "store_networks",
        "webhook_urls",
        "webhook_networks",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
