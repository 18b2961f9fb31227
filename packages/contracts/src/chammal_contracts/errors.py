"""Error codes, and the body of every error answer (RFC 9457, problem+json)."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

PROBLEM_MEDIA_TYPE = "application/problem+json"


class ErrorCode(StrEnum):
    """Stable codes that callers may branch on."""

    INVALID_REQUEST = "invalid_request"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    KEY_MISSING = "key_missing"
    KEY_INVALID = "key_invalid"
    SCOPE_MISSING = "scope_missing"
    RATE_LIMITED = "rate_limited"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    HOST_NOT_ALLOWED = "host_not_allowed"
    HEADERS_TOO_LARGE = "headers_too_large"
    REQUEST_TOO_SLOW = "request_too_slow"
    AUDIO_MISSING = "audio_missing"
    AUDIO_EMPTY = "audio_empty"
    AUDIO_UNREADABLE = "audio_unreadable"
    AUDIO_TOO_LONG = "audio_too_long"
    AUDIO_UNPROCESSABLE = "audio_unprocessable"
    UPLOAD_TOO_LARGE = "upload_too_large"
    LANGUAGE_UNKNOWN = "language_unknown"
    RESPONSE_FORMAT_UNKNOWN = "response_format_unknown"
    PATH_NOT_ALLOWED = "path_not_allowed"
    FILE_NOT_FOUND = "file_not_found"
    AGENT_URL_NOT_ALLOWED = "agent_url_not_allowed"
    FILE_URL_NOT_ALLOWED = "file_url_not_allowed"
    FILE_URL_FAILED = "file_url_failed"
    """The store that `file_url` names did not give the recording."""
    WEBHOOK_URL_NOT_ALLOWED = "webhook_url_not_allowed"
    RULE_SET_UNKNOWN = "rule_set_unknown"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    """409: the same Idempotency-Key came with another call before."""
    BACKLOG_FULL = "backlog_full"
    """429: as many recorded calls wait as may wait."""
    DATABASE_UNAVAILABLE = "database_unavailable"
    CALL_NOT_FOUND = "call_not_found"
    CALL_UNFINISHED = "call_unfinished"
    """409: the call is still being analysed."""
    TRANSCRIPT_MISSING = "transcript_missing"
    """There is none yet, or none could be made."""
    RECORDING_MISSING = "recording_missing"
    """The call is kept, its recording is not."""
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    CURSOR_INVALID = "cursor_invalid"
    MODEL_NOT_FOUND = "model_not_found"
    VOICE_NOT_FOUND = "voice_not_found"
    INPUT_TOO_LONG = "input_too_long"
    INPUT_UNSPEAKABLE = "input_unspeakable"
    MODEL_UNAVAILABLE = "model_unavailable"
    WORKER_DIED = "worker_died"
    OVERLOADED = "overloaded"
    STORAGE_FULL = "storage_full"
    """507: there is no room on the service's disk for what was sent."""
    STORAGE_UNAVAILABLE = "storage_unavailable"
    """503: the service's disk is read-only or broken."""
    DEADLINE_EXCEEDED = "deadline_exceeded"
    BACKENDS_FAILED = "backends_failed"
    STAGE_FAILED = "stage_failed"
    MESSAGE_INVALID = "message_invalid"
    """A live session's message cannot be read."""
    MESSAGE_UNEXPECTED = "message_unexpected"
    """It can be read, and was not to be sent now."""
    SESSION_IDLE = "session_idle"
    CLIENT_TOO_SLOW = "client_too_slow"
    SERVER_SHUTTING_DOWN = "server_shutting_down"
    INTERNAL_ERROR = "internal_error"


class OpenAIError(BaseModel):
    """What OpenAI clients read from an error body."""

    message: str
    type: str
    code: str
    param: str | None = None


class ProblemBody(BaseModel):
    """RFC 9457 members, Chammal's stable `code`, and `error` for OpenAI clients. Extensions are allowed."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: ErrorCode
    request_id: str | None = None
    error: OpenAIError
