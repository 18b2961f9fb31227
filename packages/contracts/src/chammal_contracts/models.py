"""The models of stt: which there are, and which are ready."""

from enum import StrEnum

from pydantic import BaseModel

from chammal_contracts.chat import ModelCard


class ModelState(StrEnum):
    RESIDENT = "resident"
    """In memory, and has decoded a second of audio."""
    LOADING = "loading"
    UNLOADING = "unloading"
    """It ends what is in flight first. A request that names it keeps it."""
    ON_DISK = "on_disk"
    """Loaded when a request names it."""
    MISSING = "missing"


class SpeechModel(ModelCard):
    """One row of stt's `GET /v1/models`: OpenAI's model object, and how it is with the model."""

    alias_of: str | None = None
    """This name means the default model at the moment, whose id it is."""
    default: bool = False
    state: ModelState
    languages: list[str]
    size_bytes: int
    """On disk."""
    memory_bytes: int | None = None
    """Resident memory of its processes; null where the system does not tell (all but Linux)."""
    in_flight: int = 0
    """Recordings and live utterances that use it."""
    idle_seconds: float | None = None
    """Since it was last used; null while it is in use or not in memory."""
    error: str | None = None
    """Why it could not be loaded when that was last tried."""
    command: str | None = None
    """Fetches it where it is missing."""


class SpeechModelList(BaseModel):
    object: str = "list"
    data: list[SpeechModel]


class DefaultModel(BaseModel):
    """The body of `PUT /v1/models/default`."""

    model: str
