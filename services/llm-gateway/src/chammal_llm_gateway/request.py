"""A chat request, parsed at the door."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

DEFAULT_MODEL = "default"


class SchemaFormat(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, strict=True)

    name: str = "answer"
    json_schema: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class TextFormat(BaseModel):
    type: Literal["text"]


class JsonObjectFormat(BaseModel):
    type: Literal["json_object"]


class JsonSchemaFormat(BaseModel):
    type: Literal["json_schema"]
    json_schema: SchemaFormat


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    include_usage: bool = False


class ChatRequest(BaseModel):
    """OpenAI's chat completion request. Members that are not named here go to the backend as they came."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str = Field(default=DEFAULT_MODEL, description="`default`, an alias, or a model id from `GET /v1/models`.")
    messages: list[dict[str, Any]] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    n: int | None = Field(default=None, ge=1, le=16)

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


def read_request(raw: bytes) -> ChatRequest:
    """Raises Problem 400 for what is not JSON and 422 for what is not a chat request."""
    try:
        body = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, ErrorCode.INVALID_REQUEST, f"The body is not JSON: {error}.") from None
    try:
        return ChatRequest.model_validate(body)
    except ValidationError as error:
        fields = [
            {"field": ".".join(map(str, e["loc"])) or "body", "message": e["msg"]}
            for e in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        detail = "; ".join(f"{field['field']}: {field['message']}" for field in fields)
        raise Problem(422, ErrorCode.INVALID_REQUEST, detail, fields=fields) from None


def upstream_body(request: ChatRequest, model: str, *, stream: bool) -> dict[str, Any]:
    """The request as the caller wrote it, but for the model's name and whether it is streamed."""
    body = request.model_dump(by_alias=True, exclude_unset=True)
    body["model"] = model
    if stream:
        body["stream"] = True
    else:
        body.pop("stream", None)
        body.pop("stream_options", None)
    return body
