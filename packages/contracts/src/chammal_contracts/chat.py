"""The language model: what Chammal adds to the OpenAI chat shapes."""

from pydantic import BaseModel, ConfigDict

from chammal_contracts.stages import Attempt


class Provenance(BaseModel):
    """The `chammal` object in a chat answer: who answered, and what was tried before."""

    backend: str
    model: str
    attempts: list[Attempt]
    repaired: bool = False
    """True when the first JSON broke the schema and one repair attempt mended it."""


class ModelCard(BaseModel):
    """One row of `GET /v1/models`."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = "chammal"


class ModelList(BaseModel):
    object: str = "list"
    data: list[ModelCard]
