"""Live speech-to-text over a WebSocket: what the client sends, and the events that come back.

The client sends one `start`, then binary messages of audio, and `finish` when it is done. All times are seconds
from the first sample of the stream.
"""

from enum import IntEnum, StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chammal_contracts.asr import Suspect, Word
from chammal_contracts.errors import ErrorCode
from chammal_contracts.voice import Voice, VoiceMissing

SampleRate = Literal[8_000, 16_000, 24_000, 48_000]


class AudioEncoding(StrEnum):
    PCM_S16LE = "pcm_s16le"
    """Signed 16-bit samples, little-endian, one channel."""
    G711_ULAW = "g711_ulaw"
    G711_ALAW = "g711_alaw"


class CloseCode(IntEnum):
    """How the server closes a session. A session that is refused gets HTTP 503 in place of a WebSocket."""

    FINISHED = 1000
    SHUTTING_DOWN = 1001
    TOO_BIG = 1009
    """One message was larger than the server takes."""
    FAILED = 1011
    TRY_AGAIN = 1013
    """The api could not reach stt."""
    INVALID = 4400
    """A message that cannot be read, or that was not to be sent now."""
    IDLE = 4408
    """Nothing came for too long."""
    TOO_SLOW = 4429
    """The client did not read its events."""


class ClientMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Start(ClientMessage):
    """The first message."""

    type: Literal["start"] = "start"
    sample_rate: SampleRate
    encoding: AudioEncoding = AudioEncoding.PCM_S16LE
    language: str | None = None
    """Two letters; by default the service's own, else told from each utterance."""
    prompt: str | None = Field(default=None, max_length=4000)
    hotwords: str | None = Field(default=None, max_length=4000)
    silence_ms: int | None = Field(default=None, ge=200, le=5000)
    """How long a silence ends an utterance; by default the service's setting."""
    partials: bool = True
    voice: bool = False
    """Whether each final says how it was said."""


class Commit(ClientMessage):
    """Ends the utterance at hand now, without waiting for silence. Answered with `committed`."""

    type: Literal["commit"] = "commit"


class Finish(ClientMessage):
    """No more audio. What was said is still recognised; then come `done` and the end."""

    type: Literal["finish"] = "finish"


AnyClientMessage = Annotated[Start | Commit | Finish, Field(discriminator="type")]


class Ready(BaseModel):
    """The session has begun; audio may come."""

    type: Literal["ready"] = "ready"
    session: str
    """The request id, as in the service's log."""
    sample_rate: SampleRate
    encoding: AudioEncoding
    language: str | None
    silence_ms: int


class SpeechStarted(BaseModel):
    type: Literal["speech_started"] = "speech_started"
    utterance: int
    """Counts from 1. Every utterance that starts gets one `final`, or one `error` that names it."""
    start: float


class Partial(BaseModel):
    """What the utterance seems to say so far."""

    type: Literal["partial"] = "partial"
    utterance: int
    start: float
    end: float
    """How far the audio was heard."""
    text: str
    stable: str
    """A prefix of `text`, and of the utterance's later partials and its final: it only grows."""


class EndReason(StrEnum):
    SILENCE = "silence"
    TOO_LONG = "too_long"
    """It was cut where it was quietest; what follows is the next utterance."""
    COMMIT = "commit"
    FINISH = "finish"
    CLOSED = "closed"
    """The session ended by a fault or because the service shuts down."""


class SpeechStopped(BaseModel):
    type: Literal["speech_stopped"] = "speech_stopped"
    utterance: int
    end: float
    reason: EndReason


class FinalSeconds(BaseModel):
    """Where the time of a final went."""

    silence: float
    """Of the stream, from the end of speech to the endpoint."""
    recognise: float
    """From asking for the decode to its answer, waiting included."""
    after_endpoint: float
    """From the endpoint to this event. Shorter than `recognise` where that began during the silence."""


class Final(BaseModel):
    """One utterance, for good. `text` begins with the last `stable`.

    Without that it is empty where nothing that was written can be believed; `suspect` says why.
    """

    type: Literal["final"] = "final"
    utterance: int
    start: float
    end: float
    text: str
    words: list[Word]
    language: str
    confidence: float = Field(ge=0.0, le=1.0)
    suspect: list[Suspect]
    reread: str | None
    """What the wider search of the final wrote, where it does not begin with `stable`. `text` has kept that."""
    partials_dropped: int
    """That were due, and left out because the service was busy or the client slow."""
    seconds: FinalSeconds
    voice: Voice | None = None
    """Where `start` asked for it."""
    voice_missing: VoiceMissing | None = None
    """Why not, though it was asked for."""


class Committed(BaseModel):
    type: Literal["committed"] = "committed"
    utterance: int | None
    """Whose final comes next; None when nothing was being said."""


class LiveStage(StrEnum):
    """What failed."""

    PROTOCOL = "protocol"
    SESSION = "session"
    AUDIO = "audio"
    FINAL = "final"
    STT = "stt"
    """All of it: told by the api, when it cannot reach stt or loses it."""


class LiveError(BaseModel):
    """After a fatal one the session ends; after any other it goes on."""

    type: Literal["error"] = "error"
    code: ErrorCode
    detail: str
    fatal: bool
    stage: LiveStage
    utterance: int | None = None
    """Which has no final because of it."""


class Done(BaseModel):
    """The answer to `finish`: everything has been sent."""

    type: Literal["done"] = "done"
    audio_seconds: float
    utterances: int


ServerEvent = Ready | SpeechStarted | Partial | SpeechStopped | Final | Committed | LiveError | Done

CLIENT_MESSAGE: TypeAdapter[Start | Commit | Finish] = TypeAdapter(AnyClientMessage)
SERVER_EVENT: TypeAdapter[ServerEvent] = TypeAdapter(Annotated[ServerEvent, Field(discriminator="type")])
