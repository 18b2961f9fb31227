"""Reads what a client sends. What cannot be read, and what is not supported, is told by its name."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from chammal_api.realtime.client_fault import ClientFault
from chammal_contracts.languages import LANGUAGES
from chammal_contracts.realtime_client import CLIENT_EVENT, AudioAppend, ClientEvent, SessionUpdate
from chammal_contracts.realtime_session import UNSUPPORTED, AudioInput

_CODES = {
    UNSUPPORTED: UNSUPPORTED,
    "extra_forbidden": "unknown_parameter",
    "missing": "missing_required_parameter",
    "json_invalid": "invalid_json",
    "union_tag_invalid": "invalid_value",
}
_NOT_FIELDS = frozenset(
    {
        *("server_vad", "semantic_vad", "audio/pcm", "audio/pcmu", "audio/pcma", "system", "user", "assistant"),
        *("constrained-int", "literal['inf']", "str", "VoiceId"),
    }
)
"""Where pydantic names the branch of a union that it took."""
_ELSEWHERE = {
    "output_audio_buffer.clear": "It is for WebRTC. Here the client holds the audio: it stops, and truncates the item.",
    "transcription_session.update": "For transcription alone there is WS /v1/stream.",
    "input_audio_buffer.dtmf_event_received": "The server alone would send it.",
}
_CONTENT = {
    "input_audio": "Speech goes through input_audio_buffer.append.",
    "input_image": "There are no images.",
}
_SHOWN = 80


def read_event(text: str | bytes) -> ClientEvent:
    """Raises ClientFault."""
    if isinstance(text, bytes):
        raise ClientFault("invalid_event", "Events are text messages of JSON; audio is base64 within them.")
    try:
        event = CLIENT_EVENT.validate_json(text)
    except ValidationError as error:
        raise _fault(error.errors()[0], _loaded(text)) from None
    if isinstance(event, SessionUpdate):
        _check_language(event.session.audio.input)
    return event


def samples_of(event: AudioAppend) -> bytes:
    """Raises ClientFault."""
    try:
        samples = base64.b64decode(event.audio, validate=True)
    except (binascii.Error, ValueError):
        raise ClientFault("invalid_value", "This is not base64.", "audio") from None
    if not samples:
        raise ClientFault("invalid_value", "There is no audio in it.", "audio")
    return samples


def _check_language(configured: AudioInput) -> None:
    language = configured.transcription.language if configured.transcription is not None else None
    if language is not None and language not in LANGUAGES:
        message = f"The language {language!r} is not known. It may be: {', '.join(sorted(LANGUAGES))}."
        raise ClientFault("invalid_value", message, "session.audio.input.transcription.language")


def _loaded(text: str) -> Mapping[str, Any]:
    try:
        loaded = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _fault(error: ErrorDetails, sent: Mapping[str, Any]) -> ClientFault:
    event_id = sent.get("event_id")
    code, message, param = _words(error, sent)
    return ClientFault(code, message, param, event_id if isinstance(event_id, str) else None)


def _words(error: ErrorDetails, sent: Mapping[str, Any]) -> tuple[str, str, str | None]:
    kind, place = error["type"], error["loc"]
    if kind == "json_invalid":
        return _CODES[kind], "This is not JSON.", None
    if not place:
        return _unknown_event(sent)
    param = ".".join(str(part) for part in place[1:] if part not in _NOT_FIELDS) or None
    value = error["input"]
    if place[-1] == "item" and isinstance(value, Mapping) and value.get("type") not in (None, "message"):
        return UNSUPPORTED, f"Items of the type {_shown(value['type'])} are not supported: there are no tools.", param
    if place[-1] == "type" and value in _CONTENT:
        return UNSUPPORTED, f"Content of the type {value!r} is not supported in an item. {_CONTENT[value]}", param
    if kind == "extra_forbidden":
        return _CODES[kind], f"There is no parameter {param!r}.", param
    return _CODES.get(kind, "invalid_value"), f"{param}: {error['msg']}", param


def _unknown_event(sent: Mapping[str, Any]) -> tuple[str, str, str | None]:
    name = sent.get("type")
    if not sent:
        return "invalid_event", "An event is a JSON object with a type.", None
    if name is None:
        return "missing_required_parameter", "The event has no type.", "type"
    if name in _ELSEWHERE:
        return UNSUPPORTED, f"{name} is not supported. {_ELSEWHERE[name]}", "type"
    return "unknown_event", f"There is no event {_shown(name)}.", "type"


def _shown(value: object) -> str:
    return repr(str(value)[:_SHOWN])
