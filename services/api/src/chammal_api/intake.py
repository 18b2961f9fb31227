"""Reads `POST /transcribe`'s form into one typed request. Every mistake in it is the caller's, and named."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from anyio import to_thread
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from chammal_api.audio_root import open_recording
from chammal_api.clients.agents import Agents
from chammal_api.clients.named_agent import NamedAgent
from chammal_api.settings import ApiSettings
from chammal_contracts import headers as wire
from chammal_contracts.asr import Channels
from chammal_contracts.errors import ErrorCode
from chammal_contracts.transcribe import AgentRequestFormat, OnFailure
from chammal_kit.address import AddressError
from chammal_kit.body_limit import limit_body
from chammal_kit.problems import Problem

MULTIPART_OVERHEAD = 64 * 1024
"""Bytes of a form beside its recording."""

E = TypeVar("E", bound=StrEnum)

MAX_HOTWORDS = 1000
"""Characters; stt takes no more."""

_TRUE, _FALSE = ("true", "1", "yes", "on", "t", "y"), ("false", "0", "no", "off", "f", "n", "")
_BOOLEANS = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)


@dataclass(frozen=True, slots=True)
class CallRequest:
    audio: UploadFile
    size: int
    language: str | None
    """None: to be detected."""
    channels: Channels
    hotwords: str
    normalise: bool
    check_elements: bool
    agent: NamedAgent | None
    on_failure: OnFailure

    @property
    def wants_analysis(self) -> bool:
        return self.check_elements or self.agent is not None


@asynccontextmanager
async def read_call(request: Request, settings: ApiSettings, agents: Agents) -> AsyncIterator[CallRequest]:
    """The recording is spooled to disk beyond 1 MiB, and deleted when the context ends."""
    limited = limit_body(request, settings.max_upload_bytes + MULTIPART_OVERHEAD)
    async with limited.form(max_files=1, max_fields=32) as form:
        audio = await _audio(form, settings)
        try:
            yield _parse(form, request, audio, settings, agents)
        finally:
            await audio.close()


async def _audio(form: FormData, settings: ApiSettings) -> UploadFile:
    file, file_path = form.get("file"), _text(form, "file_path")
    if isinstance(file, UploadFile) == bool(file_path):
        raise Problem(
            422, ErrorCode.AUDIO_MISSING, "Send exactly one recording: upload it as `file`, or name it in `file_path`."
        )
    if isinstance(file, UploadFile):
        return file
    recording = await to_thread.run_sync(open_recording, settings.audio_root, file_path)
    return UploadFile(recording, size=os.fstat(recording.fileno()).st_size)


def _parse(form: FormData, request: Request, audio: UploadFile, settings: ApiSettings, agents: Agents) -> CallRequest:
    size = audio.size or 0
    if size == 0:
        raise Problem(400, ErrorCode.AUDIO_EMPTY, "The recording is empty (0 bytes).")
    if size > settings.max_upload_bytes:
        raise Problem(
            413, ErrorCode.UPLOAD_TOO_LARGE, f"The recording is larger than {settings.max_upload_bytes:,} bytes."
        )
    language = _text(form, "language") or settings.language
    on_failure = (
        _text(form, "on_failure") or request.query_params.get("on_failure") or request.headers.get(wire.ON_FAILURE)
    )
    return CallRequest(
        audio=audio,
        size=size,
        language=None if language == "auto" else language,
        channels=_choice("channels", _text(form, "channels"), Channels.MIX),
        hotwords=_hotwords(form),
        normalise=_boolean(form, "normalise"),
        check_elements=_boolean(form, "incomplete_elements_check"),
        agent=_agent(form, agents),
        on_failure=_choice("on_failure", on_failure, OnFailure.DUMMY),
    )


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def _agent(form: FormData, agents: Agents) -> NamedAgent | None:
    url, default = _text(form, "agent_url"), AgentRequestFormat.PROMPT_BASED
    request_format = _choice("agent_request_format", _text(form, "agent_request_format"), default)
    if not url:
        return None
    try:
        agents.admit(url)
    except AddressError as error:
        raise Problem(
            403,
            ErrorCode.AGENT_URL_NOT_ALLOWED,
            f"agent_url: {error} An operator adds an agent to CHAMMAL_API_AGENT_URLS.",
        ) from None
    return NamedAgent(url, request_format)


def _hotwords(form: FormData) -> str:
    hotwords = _text(form, "hotwords")
    if len(hotwords) > MAX_HOTWORDS:
        raise Problem(422, ErrorCode.INVALID_REQUEST, f"hotwords may have {MAX_HOTWORDS} characters at most.")
    return hotwords


def _boolean(form: FormData, name: str) -> bool:
    value = _BOOLEANS.get(_text(form, name).lower())
    if value is None:
        raise Problem(422, ErrorCode.INVALID_REQUEST, f"{name} must be true or false.")
    return value


def _choice(name: str, value: str | None, default: E) -> E:
    if not value:
        return default
    try:
        return type(default)(value)
    except ValueError:
        known = ", ".join(type(default))
        raise Problem(422, ErrorCode.INVALID_REQUEST, f"{name} must be one of: {known}.") from None
