"""One id a request, passed through all services and into every log line."""

import re
import secrets
from contextvars import ContextVar

_current: ContextVar[str | None] = ContextVar("chammal_request_id", default=None)
_acceptable = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def current_request_id() -> str | None:
    return _current.get()


def enter_request(header: bytes | None) -> str:
    """Takes over the caller's id, or makes one where it sent none or one that could forge log lines."""
    request_id = header.decode() if header and _acceptable.fullmatch(header) else secrets.token_hex(8)
    _current.set(request_id)
    return request_id
