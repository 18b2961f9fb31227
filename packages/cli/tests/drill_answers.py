"""Answers of a mesh, as the api writes them."""

from typing import Any

import httpx2

_WHOLE = {
    "success": True, "text": "안녕하세요.", "duration": 3.5, "language": "ko", "error": None, "error_type": None,
    "backend": "faster-whisper", "is_dummy": False, "dummy_reason": None, "incomplete_elements": None,
    "agent_analysis": {"summary": "인사했습니다."}, "agent_type": "vllm", "is_agent_dummy": False,
    "agent_dummy_reason": None, "is_partial_failure": False, "partial_failure_reason": None,
}  # fmt: skip
_REASON = {"error": "no answer", "error_type": "connect_error"}


def whole() -> dict[str, Any]:
    return _WHOLE | {"stages": [{"stage": "stt", "status": "ok"}, {"stage": "analysis", "status": "ok"}]}


def not_asked() -> dict[str, Any]:
    """Without an analysis, as none was wanted."""
    stages = [{"stage": "stt", "status": "ok"}, {"stage": "analysis", "status": "skipped"}]
    return _WHOLE | {"agent_analysis": None, "agent_type": None, "stages": stages}


def dummy_analysis(*attempts: dict[str, Any]) -> dict[str, Any]:
    judged = {"stage": "analysis", "status": "dummy", "attempts": attempts, "seconds": 0.004, **_REASON}
    flags = {"is_agent_dummy": True, "agent_dummy_reason": "no answer", "agent_type": "dummy", "agent_analysis": None}
    partial = {"is_partial_failure": True, "partial_failure_reason": "analysis: no answer"}
    return _WHOLE | flags | partial | {"stages": [{"stage": "stt", "status": "ok"}, judged]}


def dummy_transcript(*attempts: dict[str, Any]) -> dict[str, Any]:
    heard = {"stage": "stt", "status": "dummy", "attempts": attempts, "seconds": 0.004, **_REASON}
    skipped = {"stage": "analysis", "status": "skipped"}
    flags = {"success": False, "text": None, "is_dummy": True, "dummy_reason": "no answer", "agent_analysis": None}
    return _WHOLE | flags | {"stages": [heard, skipped]}


def refused(backend: str) -> dict[str, Any]:
    """An attempt that an open breaker did not let go."""
    return {"backend": backend, "outcome": "refused", "error_type": "breaker_open", "seconds": 0.0}


def chat(*attempts: dict[str, Any], backend: str = "vllm") -> httpx2.Response:
    told = attempts or ({"backend": backend, "outcome": "ok", "seconds": 0.1},)
    body = {
        "choices": [{"message": {"content": "네, 안녕하세요."}}],
        "chammal": {"backend": backend, "model": "m", "attempts": told},
    }
    return httpx2.Response(200, json=body, headers={"Chammal-Backend": backend})


def speech() -> httpx2.Response:
    return httpx2.Response(200, content=b"RIFF" + bytes(2000))


def problem(
    status: int, *attempts: dict[str, Any], code: str = "stage_failed", retry_after: str | None = "2"
) -> httpx2.Response:
    error = {"message": "x", "type": "x", "code": code}
    body = {"type": "x", "title": "x", "status": status, "detail": "x", "code": code, "error": error}
    headers = {"content-type": "application/problem+json"} | ({"Retry-After": retry_after} if retry_after else {})
    return httpx2.Response(status, json=body | {"attempts": attempts}, headers=headers)
