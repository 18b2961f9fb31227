"""stt, asked for a long transcript: it tells how far it is, and the whole comes at the end."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, BinaryIO

from pydantic import ValidationError

from chammal_api.clients.failure import failed_stage, read_problem
from chammal_api.clients.stt import BACKEND, patience
from chammal_api.outcome import Outcome
from chammal_contracts.asr import Channels, Transcription, TranscriptionFormat
from chammal_contracts.calls import CallError, CallMetadata, Progress
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_kit.upstream import StreamReply, Upstream, UpstreamError, UpstreamRejected
from chammal_kit.upstream_errors import from_status
from chammal_kit.upstream_reply import read_json

MAX_BYTES = 1 << 30
"""Every progress repeats the text so far, and none is kept; one event is bounded by the upstream's policy."""
RECORDING_AT_FAULT = frozenset(
    {
        ErrorCode.AUDIO_MISSING,
        ErrorCode.AUDIO_EMPTY,
        ErrorCode.AUDIO_UNREADABLE,
        ErrorCode.AUDIO_TOO_LONG,
        ErrorCode.AUDIO_UNPROCESSABLE,
        ErrorCode.UPLOAD_TOO_LARGE,
        ErrorCode.LANGUAGE_UNKNOWN,
        ErrorCode.INVALID_REQUEST,
    }
)
"""What stt says of a recording that would fail again. Any other refusal is a matter between it and us."""

OnProgress = Callable[[Progress], Awaitable[None]]


class Refused(Exception):
    """The recording, or what its sender says of it, is at fault."""

    def __init__(self, error: CallError) -> None:
        super().__init__(error.detail)
        self.error = error


class Recogniser:
    def __init__(self, upstream: Upstream, language: str) -> None:
        """`language` is that of calls whose sender names none; `auto` detects it."""
        self._upstream = upstream
        self._language = language

    async def transcribe(
        self, audio: BinaryIO, size: int, metadata: CallMetadata, on_progress: OnProgress
    ) -> Outcome[Transcription]:
        """Raises Refused."""
        started = self._upstream.stream(
            "POST",
            "/v1/audio/transcriptions",
            files=[("file", ("audio", audio, "application/octet-stream"))],
            form=_fields(metadata, self._language),
            timeouts=patience(self._upstream.policy.timeouts, size),
            max_bytes=MAX_BYTES,
        )
        began = time.monotonic()
        try:
            async with started as answer:
                heard = await self._read(answer, on_progress)
                attempts = answer.attempts
        except UpstreamError as error:
            if isinstance(error, UpstreamRejected):
                _refuse_if_at_fault(error)
            return failed_stage(Stage.STT, error, self._upstream.breaker.state)
        report = StageReport(
            stage=Stage.STT,
            status=StageStatus.OK,
            backend=BACKEND,
            model=heard.model,
            attempts=attempts,
            breaker=self._upstream.breaker.state,
            seconds=time.monotonic() - began,
        )
        return Outcome(heard, report)

    async def _read(self, answer: StreamReply, on_progress: OnProgress) -> Transcription:
        async for event in _events(answer, self._upstream.policy.max_response_bytes):
            match event.get("type"):
                case "transcript.progress":
                    await on_progress(_progress(answer, event))
                case "transcript.text.done":
                    return _transcription(answer, event)
                case "error":
                    raise _told(self._upstream.name, answer, event)
        raise answer.unusable("the stream ended before its end")


def _fields(metadata: CallMetadata, default_language: str) -> dict[str, str | list[str]]:
    language = metadata.language or default_language
    fields: dict[str, str | list[str]] = {
        "response_format": TranscriptionFormat.VERBOSE_JSON.value,
        "channels": (metadata.channels or Channels.SPLIT).value,
        "stream": "true",
    }
    if language != "auto":
        fields["language"] = language
    if metadata.hotwords:
        fields["hotwords"] = metadata.hotwords
    return fields


async def _events(answer: StreamReply, max_event_bytes: int) -> AsyncIterator[dict[str, Any]]:
    """Server-sent events whose data is one JSON object; comments that keep the connection are passed over."""
    rest = b""
    async for piece in answer:
        rest += piece
        *whole, rest = rest.split(b"\n\n")
        for event in whole:
            data = b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
            if data:
                yield _object(answer, data)
        if len(rest) > max_event_bytes:
            raise answer.unusable(f"an event of more than {max_event_bytes} bytes")


def _object(answer: StreamReply, data: bytes) -> dict[str, Any]:
    try:
        read = read_json(data)
    except ValueError as error:
        raise answer.unusable(f"not usable JSON: {error}") from None
    if not isinstance(read, dict):
        raise answer.unusable("an event that is no object")
    return read


def _progress(answer: StreamReply, event: dict[str, Any]) -> Progress:
    try:
        return Progress(stage=Stage.STT, done=event["seconds_done"], total=event.get("seconds_total"))
    except (KeyError, ValidationError):
        raise answer.unusable("a progress of another shape") from None


def _transcription(answer: StreamReply, event: dict[str, Any]) -> Transcription:
    try:
        return Transcription.model_validate(event.get("transcription"))
    except ValidationError as error:
        raise answer.unusable(f"no transcription: {error.error_count()} members are wrong") from None


def _told(upstream: str, answer: StreamReply, event: dict[str, Any]) -> UpstreamError:
    """The problem that stt met after its answer had begun, as if it had come with its status."""
    problem = event.get("problem")
    status = problem.get("status") if isinstance(problem, dict) else None
    if not isinstance(problem, dict) or not isinstance(status, int) or not 400 <= status < 600:
        return answer.unusable("an error event without its problem")
    body = {**problem, "error": event.get("error")}
    return from_status(upstream, status, {}, json.dumps(body).encode())


def _refuse_if_at_fault(error: UpstreamRejected) -> None:
    problem = read_problem(error.body)
    if problem is not None and problem.code in RECORDING_AT_FAULT:
        raise Refused(CallError(code=problem.code, detail=problem.detail))
