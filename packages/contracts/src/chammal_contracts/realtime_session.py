"""The session object of `WS /v1/realtime`: OpenAI's Realtime protocol, as of its general availability.

One set of models for both ways: in `session.update` the fields that were sent change, in the answer all of them
stand. What OpenAI has and Chammal has not takes its neutral value alone, and anything else is refused by its name.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

T = TypeVar("T", bound=BaseModel)

UNSUPPORTED = "unsupported"
"""The pydantic error type of what OpenAI has and Chammal has not."""


def only(*allowed: object) -> BeforeValidator:
    """Takes these values, and says so of any other."""

    def check(value: Any) -> Any:
        if value not in allowed:
            names = ", ".join("null" if one is None else repr(one) for one in allowed)
            raise PydanticCustomError(UNSUPPORTED, "This is not supported here. It may be: {names}.", {"names": names})
        return value

    return BeforeValidator(check)


NoTools = Annotated[list[Any] | None, only(None, [])]
NoToolChoice = Annotated[str | None, only(None, "auto", "none")]
Nothing = Annotated[None, only(None)]
NoCalls = Annotated[bool | None, only(None, True, False)]
"""Of tools, which there are none of."""


class ClientPart(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Pcm(ClientPart):
    """Signed 16-bit samples, little-endian, one channel."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24_000] = 24_000


class Ulaw(ClientPart):
    """G.711, 8 kHz, a byte a sample."""

    type: Literal["audio/pcmu"] = "audio/pcmu"


class Alaw(ClientPart):
    type: Literal["audio/pcma"] = "audio/pcma"


AudioShape = Annotated[Pcm | Ulaw | Alaw, Field(discriminator="type")]


def bytes_per_second(shape: Pcm | Ulaw | Alaw) -> int:
    return 48_000 if isinstance(shape, Pcm) else 8_000


class ServerVad(ClientPart):
    """The turn ends after a silence, whatever was said."""

    type: Literal["server_vad"] = "server_vad"
    threshold: Annotated[float | None, only(None, 0.5)] = 0.5
    prefix_padding_ms: Annotated[int | None, only(None, 300)] = 300
    silence_duration_ms: int = Field(default=500, ge=200, le=5000)
    idle_timeout_ms: Nothing = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(ClientPart):
    """The same, and an unfinished clause is waited for."""

    type: Literal["semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class Transcription(ClientPart):
    """How speech is recognised. The model is the one there is: another name is taken and changes nothing."""

    model: str | None = Field(default=None, max_length=128)
    language: str | None = Field(default=None, min_length=2, max_length=8)
    """By default the service's own, else told from each utterance."""
    prompt: str | None = Field(default=None, max_length=4000)
    keywords: list[str] | None = Field(default=None, max_length=100)
    """Names to expect."""
    languages: Annotated[list[str] | None, only(None, [])] = None
    delay: Nothing = None


class AudioInput(ClientPart):
    format: AudioShape = Pcm()
    transcription: Transcription | None = Transcription()
    """Null: nothing is told of what was recognised. The language model still reads it."""
    turn_detection: TurnDetection | None = SemanticVad()
    """Null: push-to-talk, the client commits."""
    noise_reduction: Nothing = None


class VoiceId(ClientPart):
    id: str = Field(min_length=1, max_length=64)


class AudioOutput(ClientPart):
    format: AudioShape = Pcm()
    voice: str = Field(default="alloy", min_length=1, max_length=64)
    speed: float = Field(default=1.0, ge=0.25, le=1.5)

    @field_validator("voice", mode="before")
    @classmethod
    def _name(cls, value: Any) -> Any:
        return VoiceId.model_validate(value).id if isinstance(value, dict) else value


class SessionAudio(ClientPart):
    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


Modalities = Annotated[list[Literal["audio", "text"]], Field(min_length=1, max_length=1)]
"""`["audio"]`: speech and its transcript. `["text"]`: text alone."""
MaxTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]


class SessionConfig(ClientPart):
    """What `session.update` takes."""

    type: Literal["realtime"] = "realtime"
    model: str | None = Field(default=None, max_length=128)
    output_modalities: Modalities = ["audio"]
    instructions: str = Field(default="", max_length=32_000)
    """The system prompt. Empty: the service's own."""
    audio: SessionAudio = SessionAudio()
    max_output_tokens: MaxTokens = "inf"
    include: Annotated[list[str] | None, only(None, [])] = None
    tools: NoTools = []
    tool_choice: NoToolChoice = "auto"
    parallel_tool_calls: NoCalls = None
    prompt: Nothing = None
    reasoning: Nothing = None
    tracing: Nothing = None
    truncation: Annotated[str | None, only(None, "auto")] = "auto"


class Session(SessionConfig):
    """What `session.created` and `session.updated` say."""

    id: str
    object: Literal["realtime.session"] = "realtime.session"
    expires_at: int
    """Seconds since 1970: then the session ends."""


def merged(now: T, update: BaseModel) -> T:
    """`now` with the fields that were sent. Audio is gone into; what it holds is replaced as a whole."""
    changes: dict[str, Any] = {}
    for name in update.model_fields_set:
        value, old = getattr(update, name), getattr(now, name)
        deeper = isinstance(value, SessionAudio | AudioInput | AudioOutput)
        changes[name] = merged(old, value) if deeper else value
    return now.model_copy(update=changes)
