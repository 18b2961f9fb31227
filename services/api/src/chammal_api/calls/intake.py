"""Reads `POST /v1/calls`: what is known of a call, and where its recording is.

Every mistake is the caller's, and named. An uploaded recording is written as it comes, and is none of those that are
kept until its metadata was judged.
"""

import datetime as dt
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from anyio import to_thread
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from chammal_api.audio_root import open_recording
from chammal_api.calls.form import MAX_FIELDS, read_form, unreadable
from chammal_api.calls.incoming import Incoming, empty, too_large
from chammal_api.calls.recordings import Recordings
from chammal_api.settings import ApiSettings
from chammal_contracts.calls import CallMetadata
from chammal_contracts.errors import ErrorCode
from chammal_contracts.languages import LANGUAGES
from chammal_kit.address import Address, AddressError
from chammal_kit.body_limit import limit_body
from chammal_kit.problems import Problem

METADATA_BYTES = 64 * 1024
"""Of a whole form beside its recording, and of any one field."""
MAX_KEY_CHARACTERS = 255
MAX_LISTED = 10
"""Mistakes that are told at once."""
SOURCES = ("file", "file_url", "file_path")
KOREA = dt.timezone(dt.timedelta(hours=9))

_KEY = re.compile(rf"[ -~]{{1,{MAX_KEY_CHARACTERS}}}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d.*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FIRST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_AHEAD = dt.timedelta(days=1)
"""A clock may be wrong by as much."""

Admit = Callable[[str], Address]
"""Raises AddressError."""


@dataclass(frozen=True)
class Allowed:
    """What callers may name."""

    stores: Admit
    webhooks: Admit
    agents: Admit
    rule_sets: Callable[[], Iterable[str]]


@dataclass(frozen=True)
class IncomingCall:
    metadata: CallMetadata
    key: str | None
    source: Incoming | BinaryIO | Address
    """The recording, or the store that has it."""
    filename: str | None
    size: int
    """0: not known."""


def new_call_id() -> str:
    """32 hexadecimal digits: milliseconds, so that later ones sort last, and 80 random bits."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def body_hash(metadata: CallMetadata, sha256: str) -> str:
    """Of what an Idempotency-Key stands for."""
    told = json.dumps(metadata.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(f"{sha256}\n{told}".encode()).hexdigest()


def read_key(request: Request) -> str | None:
    sent = request.headers.getlist("idempotency-key")
    if not sent:
        return None
    if len(sent) > 1 or not _KEY.fullmatch(sent[0]) or not sent[0].strip():
        raise Problem(
            400,
            ErrorCode.INVALID_REQUEST,
            f"Send one Idempotency-Key of 1 to {MAX_KEY_CHARACTERS} printable ASCII characters, such as a UUID.",
        )
    return sent[0].strip()


@asynccontextmanager
async def read_call(
    request: Request, settings: ApiSettings, recordings: Recordings, allowed: Allowed
) -> AsyncIterator[IncomingCall]:
    """An uploaded recording, or one below the audio root, is closed when the context ends."""
    key = read_key(request)
    with ExitStack() as stack:
        items = await _items(request, settings, recordings, stack)
        metadata = read_metadata(items)
        check_metadata(metadata, allowed)
        source, filename, size = await _source(items, settings, allowed.stores)
        if not isinstance(source, Address):
            stack.callback(source.close)
        yield IncomingCall(metadata, key, source, filename, size)


async def _items(
    request: Request, settings: ApiSettings, recordings: Recordings, stack: ExitStack
) -> list[tuple[str, str | Incoming]]:
    """Of the form. Its recording is closed with `stack`, whatever becomes of the rest."""
    if not request.headers.get("content-type", "").strip().lower().startswith("multipart/form-data"):
        try:
            fields = await limit_body(request, METADATA_BYTES).form(max_fields=MAX_FIELDS)
        except HTTPException as error:
            raise unreadable(error.detail) from None
        return [(name, value) for name, value in fields.multi_items() if isinstance(value, str)]
    declared = request.headers.get("content-length", "")
    expected = max(0, int(declared) - METADATA_BYTES) if declared.isdigit() else 0

    def begin(name: str, filename: str) -> Incoming:
        if name != "file":
            raise _invalid("A recording is uploaded as `file`, and nothing else is a file.", {name})
        most = settings.max_upload_bytes
        return stack.enter_context(closing(recordings.coming(most, expected_bytes=expected, filename=filename)))

    limited = limit_body(request, METADATA_BYTES + settings.max_upload_bytes)
    return await read_form(limited, METADATA_BYTES, begin)


def read_metadata(items: Iterable[tuple[str, str | Incoming]]) -> CallMetadata:
    """From one field `metadata` of JSON, or a field for each. Raises Problem 422."""
    told = [(name, value) for name, value in items if name not in SOURCES and value != ""]
    values: dict[str, Any] = dict(told)
    if len(values) < len(told):
        names = [name for name, _ in told]
        raise _invalid("A field is there twice.", {name for name in values if names.count(name) > 1})
    if "metadata" in values:
        if len(values) > 1:
            raise _invalid("Send the metadata as one field `metadata` of JSON, or a field for each, not both.", values)
        values = _read_json(values["metadata"])
    moment = values.get("started_at")
    if moment is not None and not (isinstance(moment, str) and _MOMENT.fullmatch(moment.strip())):
        raise _invalid("A moment is written as 2026-11-22T14:30:00+09:00, with its hour.", {"started_at"})
    try:
        return CallMetadata.model_validate(values)
    except ValidationError as error:
        fields = [
            {"field": ".".join(map(str, one["loc"]))[:64], "message": one["msg"][:200]}
            for one in error.errors(include_url=False, include_input=False)[:MAX_LISTED]
        ]
        detail = "; ".join(f"{one['field']}: {one['message']}" for one in fields)
        raise Problem(422, ErrorCode.INVALID_REQUEST, detail, fields=fields) from None


def _read_json(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid("It is no JSON.", {"metadata"}) from None
    if not isinstance(read, dict):
        raise _invalid("It must be a JSON object.", {"metadata"})
    return read


def check_metadata(metadata: CallMetadata, allowed: Allowed) -> None:
    """What its types cannot say; brings `language` and `started_at` into the one form that is stored."""
    unwritten = {name for name, value in metadata if isinstance(value, str) and _CONTROL.search(value)}
    if unwritten:
        raise _invalid("It may have no control characters.", unwritten)
    if metadata.language is not None:
        metadata.language = _language(metadata.language)
    if metadata.started_at is not None:
        metadata.started_at = _moment(metadata.started_at)
    if metadata.rule_set is not None and metadata.rule_set not in (known := sorted(allowed.rule_sets())):
        detail = f"There is no rule set of that name. Leave `rule_set` out, or send one of: {', '.join(known)}."
        raise Problem(422, ErrorCode.RULE_SET_UNKNOWN, detail, accepted=known)
    if metadata.agent_url is not None:
        hint = "An operator adds an agent to CHAMMAL_API_AGENT_URLS."
        admit("agent_url", metadata.agent_url, allowed.agents, ErrorCode.AGENT_URL_NOT_ALLOWED, hint)
    if metadata.webhook_url is not None:
        hint = "An operator adds an address to CHAMMAL_API_WEBHOOK_URLS."
        admit("webhook_url", metadata.webhook_url, allowed.webhooks, ErrorCode.WEBHOOK_URL_NOT_ALLOWED, hint)


def admit(field: str, text: str, allowed: Admit, code: ErrorCode, hint: str) -> Address:
    try:
        return allowed(text)
    except AddressError as error:
        raise Problem(403, code, f"{field}: {error} {hint}") from None


def _language(told: str) -> str:
    language = told.lower()
    if language == "auto" or language in LANGUAGES:
        return language
    accepted = sorted(LANGUAGES)
    detail = f"The language {told!r} is not known. Leave it out, or send `auto` or one of {', '.join(accepted)}."
    raise Problem(422, ErrorCode.LANGUAGE_UNKNOWN, detail, accepted=accepted)


def _moment(told: dt.datetime) -> dt.datetime:
    """One without an offset is Korean time, as in a check."""
    moment = told if told.tzinfo is not None else told.replace(tzinfo=KOREA)
    if not _FIRST <= moment <= dt.datetime.now(dt.UTC) + _AHEAD:
        raise _invalid("A call begins after 1970, and not in the future.", {"started_at"})
    return moment


async def _source(
    items: Iterable[tuple[str, str | Incoming]], settings: ApiSettings, stores: Admit
) -> tuple[Incoming | BinaryIO | Address, str | None, int]:
    sent = [(name, value) for name, value in items if name in SOURCES and value != ""]
    if len(sent) != 1 or isinstance(sent[0][1], Incoming) != (sent[0][0] == "file"):
        raise Problem(
            422,
            ErrorCode.AUDIO_MISSING,
            "Send exactly one recording: upload it as `file`, or name it in `file_url` or `file_path`.",
        )
    name, value = sent[0]
    if isinstance(value, Incoming):
        _check_size(value.size, settings.max_upload_bytes)
        return value, _filename(value.filename or ""), value.size
    if name == "file_url":
        hint = "An operator adds a store to CHAMMAL_API_STORE_URLS."
        address = admit(name, value.strip(), stores, ErrorCode.FILE_URL_NOT_ALLOWED, hint)
        return address, _filename(address.target.partition("?")[0]), 0
    file = await to_thread.run_sync(open_recording, settings.audio_root, value.strip())
    size = os.fstat(file.fileno()).st_size
    try:
        _check_size(size, settings.max_upload_bytes)
    except Problem:
        file.close()
        raise
    return file, _filename(value), size


def _check_size(size: int, most: int) -> None:
    if size == 0:
        raise empty()
    if size > most:
        raise too_large(most)


def _filename(path: str) -> str | None:
    name = PurePosixPath(path.replace("\\", "/")).name
    return "".join(character for character in name if character.isprintable())[:255] or None


def _invalid(why: str, names: Iterable[str]) -> Problem:
    fields = [{"field": name[:64], "message": why} for name in sorted(names)[:MAX_LISTED]]
    detail = f"{', '.join(one['field'] for one in fields)}: {why}"
    return Problem(422, ErrorCode.INVALID_REQUEST, detail, fields=fields)
