"""Calls and their parts as the api tells of them, for tests alone: import-linter lets no package import it.

Each builder gives what its model needs and no more. What a test is about it names itself, as a further field.
"""

import datetime as dt
from typing import Any

from chammal_contracts.asr import Segment
from chammal_contracts.calls import Call, CallMetadata, CallStatus, CallTranscript, Recording
from chammal_contracts.checks import (
    CheckResult,
    CheckStatus,
    CheckTotals,
    ElementMode,
    ElementResult,
    Polarity,
    Severity,
    Speaker,
    Utterance,
    Verdict,
)

NOW = dt.datetime(2026, 11, 22, 5, tzinfo=dt.UTC)


def call(call_id: str = "c0", status: CallStatus = CallStatus.COMPLETE, **more: Any) -> Call:
    known: dict[str, Any] = {
        "revision": int(status in (CallStatus.COMPLETE, CallStatus.PARTIAL)),
        "created_at": NOW,
        "updated_at": NOW,
        "metadata": CallMetadata(),
        "recording": Recording(sha256="0" * 64, bytes=4),
    }
    return Call(id=call_id, status=status, **{**known, **more})


def transcript(*said: str | Utterance, **more: Any) -> CallTranscript:
    """`u1` first; words alone are the agent's."""
    utterances = [
        one if isinstance(one, Utterance) else Utterance(id=f"u{number}", speaker=Speaker.AGENT, text=one)
        for number, one in enumerate(said, 1)
    ]
    known: dict[str, Any] = {"language": "ko", "duration": 12.5, "model": "whisper-base"}
    return CallTranscript(utterances=utterances, **{**known, **more})


def element(element_id: str, verdict: Verdict, **more: Any) -> ElementResult:
    known: dict[str, Any] = {
        "name": element_id,
        "article": "법 제19조",
        "polarity": Polarity.MUST_SAY,
        "mode": ElementMode.HYBRID,
        "severity": Severity.HIGH,
        "confidence": 0.9,
    }
    return ElementResult(id=element_id, verdict=verdict, **{**known, **more})


def check(*elements: ElementResult, status: CheckStatus = CheckStatus.COMPLETE, **more: Any) -> CheckResult:
    known: dict[str, Any] = {"totals": CheckTotals(), "rule_set": "fcpa-kr", "rule_set_version": "1"}
    return CheckResult(status=status, elements=list(elements), **{**known, **more})


def segment(number: int, text: str, speaker: str | None = None, **more: Any) -> Segment:
    """One second of speech, `number` seconds from the beginning."""
    known: dict[str, Any] = {
        "start": float(number), "end": number + 0.9, "temperature": 0.0, "avg_logprob": -0.1,
        "compression_ratio": 1.0, "no_speech_prob": 0.0, "confidence": 0.9,
    }  # fmt: skip
    return Segment(id=number, text=text, speaker=speaker, **{**known, **more})
