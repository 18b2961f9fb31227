"""The columns of a list that are read off the answers of stages, and what a call's stages make of it as a whole."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from chammal_contracts.calls import CallError, CallStatus, CallSummary, CallTranscript
from chammal_contracts.checks import CheckResult
from chammal_contracts.stages import Stage, StageReport, StageStatus

REAL = frozenset({StageStatus.OK, StageStatus.DEGRADED})
ORDER = (Stage.STT, Stage.ANALYSIS, Stage.SUMMARY)


def of_transcript(transcript: CallTranscript | None) -> dict[str, Any]:
    if transcript is None:
        return {"duration": None, "speakers": None}
    speakers = sorted({utterance.speaker for utterance in transcript.utterances})
    return {"duration": transcript.duration, "speakers": json.dumps(speakers)}


def of_check(check: CheckResult | None) -> dict[str, Any]:
    if check is None:
        return {"score": None, "needs_human": False}
    return {"score": check.score, "needs_human": any(element.needs_human for element in check.elements)}


def of_summary(summary: CallSummary | None) -> dict[str, Any]:
    return {"sentence": storable(summary.sentence) if summary else None}


def said(transcript: CallTranscript) -> str:
    """A line for an utterance."""
    return "\n".join(storable(u.text).replace("\n", " ") for u in transcript.utterances)


def storable(words: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return words.replace("\0", "\N{REPLACEMENT CHARACTER}")


def status_of(reports: Iterable[StageReport], error: CallError | None) -> CallStatus:
    """Skipped stages were not asked for; those skipped for want of a transcript stand beside a dummy one."""
    if error:
        return CallStatus.FAILED
    found = {report.stage: report.status for report in reports}
    ended = found.get(Stage.STT) is StageStatus.OK and set(found.values()) <= {StageStatus.OK, StageStatus.SKIPPED}
    return CallStatus.COMPLETE if ended else CallStatus.PARTIAL


def partial_reason(reports: Sequence[StageReport]) -> str | None:
    """Which stages brought nothing, and why; None where all that were asked for brought something."""
    failed = [f"{r.stage}: {r.error or r.error_type or r.status}" for r in reports if r.status is StageStatus.DUMMY]
    return "; ".join(failed) or None


def content_of(rows: Iterable[tuple[str, StageStatus, str | None]], error: CallError | None) -> str:
    """Digest of what a reader of the call would see: status and value of each stage."""
    parts = [[stage, status, digest] for stage, status, digest in sorted(rows)]
    return hashlib.sha256(json.dumps([parts, error.code if error else None]).encode()).hexdigest()
