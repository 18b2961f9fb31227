"""The multipart form of `POST /v1/audio/transcriptions`, checked at the door."""

import asyncio
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.types import Message

from chammal_contracts.asr import Channels, Include, TimestampGranularity, TranscriptionFormat
from chammal_contracts.errors import ErrorCode
from chammal_contracts.languages import LANGUAGES
from chammal_kit.body_limit import limit_body
from chammal_kit.problems import Problem
from chammal_stt.settings import SttSettings

_MAX_FIELDS = 32
_MAX_FIELD_BYTES = 64 * 1024


def _or_none(value: object) -> object:
    return value if value != "" else None


def _known(values: object) -> object:
    """OpenAI has another, `logprobs`, which is ignored like other fields of its own."""
    return [value for value in values if value in list(Include)] if isinstance(values, list) else values


class TranscriptionForm(BaseModel):
    """OpenAI's fields, less `file`, and Chammal's own. Others that its clients send are ignored."""

    model: str = "whisper-1"
    language: Annotated[str | None, BeforeValidator(_or_none)] = None
    prompt: Annotated[Annotated[str, Field(max_length=4000)] | None, BeforeValidator(_or_none)] = None
    response_format: TranscriptionFormat = TranscriptionFormat.JSON
    temperature: float = Field(default=0.0, ge=0.0, le=1.0)
    timestamp_granularities: list[TimestampGranularity] = Field(
        default=[TimestampGranularity.SEGMENT], alias="timestamp_granularities[]"
    )
    channels: Channels = Channels.MIX
    hotwords: Annotated[Annotated[str, Field(max_length=1000)] | None, BeforeValidator(_or_none)] = None
    """Names and terms that are likely to be said, to lean towards."""
    normalise: bool = False
    """Write spoken numbers, dates and sums of money in digits."""
    stream: bool = False
    include: Annotated[list[Include], BeforeValidator(_known)] = Field(default=[], alias="include[]")
    """`voice` says how each segment was said."""


async def read_form(request: Request, settings: SttSettings) -> tuple[FormData, UploadFile, TranscriptionForm]:
    """The caller closes the FormData, which holds the spooled upload. Raises Problem."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise _missing()
    limited = limit_body(_not_idle(request, settings.upload_idle_seconds), settings.max_upload_bytes)
    fields = await limited.form(max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES)
    try:
        return fields, _upload(fields), _parse(fields)
    except BaseException:
        await fields.close()
        raise


def schema() -> dict[str, Any]:
    """The request body, for the OpenAPI document."""
    form = TranscriptionForm.model_json_schema(ref_template="#/components/schemas/{model}")
    form.pop("$defs")
    form["properties"]["include[]"]["items"] = {"type": "string", "enum": list(Include)}
    formats, granularities = list(TranscriptionFormat), list(TimestampGranularity)
    form["properties"]["response_format"] = {"type": "string", "enum": formats, "default": TranscriptionFormat.JSON}
    form["properties"]["timestamp_granularities[]"]["items"] = {"type": "string", "enum": granularities}
    form["properties"]["channels"] = {"type": "string", "enum": list(Channels), "default": Channels.MIX}
    for name, field in form["properties"].items():
        if "anyOf" in field:  # a form has no null: the field is left out
            form["properties"][name] = {**field.pop("anyOf")[0], **{k: v for k, v in field.items() if k != "default"}}
    form["properties"] = {"file": {"type": "string", "format": "binary"}} | form["properties"]
    form["required"] = ["file"]
    return {"required": True, "content": {"multipart/form-data": {"schema": form}}}


def _upload(fields: FormData) -> UploadFile:
    upload = fields.get("file")
    if not isinstance(upload, UploadFile):
        raise _missing()
    if not upload.size:
        raise Problem(422, ErrorCode.AUDIO_EMPTY, "The file is empty. Send a recording.")
    return upload


def _parse(fields: FormData) -> TranscriptionForm:
    _check_response_format(fields.get("response_format"))
    values: dict[str, Any] = {name: value for name, value in fields.multi_items() if isinstance(value, str)}
    granularities = fields.getlist("timestamp_granularities[]")
    if granularities:
        values["timestamp_granularities[]"] = granularities
    values["include[]"] = fields.getlist("include[]")
    try:
        form = TranscriptionForm.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
    if form.language is None:
        return form
    language = form.language.lower()
    if language not in LANGUAGES:
        accepted = sorted(LANGUAGES)
        detail = (
            f"The language {form.language[:40]!r} is not known. Leave it out, or send one of {', '.join(accepted)}."
        )
        raise Problem(400, ErrorCode.LANGUAGE_UNKNOWN, detail, accepted=accepted)
    return form.model_copy(update={"language": language})


def _check_response_format(value: object) -> None:
    accepted = list(TranscriptionFormat)
    if value is not None and value not in accepted:
        detail = f"The response_format {str(value)[:40]!r} is not known. Send one of {', '.join(accepted)}."
        raise Problem(400, ErrorCode.RESPONSE_FORMAT_UNKNOWN, detail, accepted=accepted)


def _missing() -> Problem:
    return Problem(400, ErrorCode.AUDIO_MISSING, "Send the recording as `file` in a multipart/form-data body.")


def _not_idle(request: Request, seconds: float) -> Request:
    async def receive() -> Message:
        try:
            async with asyncio.timeout(seconds):
                return await request.receive()
        except TimeoutError:
            detail = f"Nothing of the upload came for {seconds:g} s."
            raise Problem(408, ErrorCode.INVALID_REQUEST, detail, headers={"Connection": "close"}) from None

    return Request(request.scope, receive)
