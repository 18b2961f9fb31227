"""Calls as the api would tell of them."""

import datetime as dt
import math
import struct
import wave
from pathlib import Path

from chammal_contracts.asr import ChannelLayout, Word
from chammal_contracts.calls import (
    Call,
    CallError,
    CallMetadata,
    CallStatus,
    CallSummary,
    CallTranscript,
    Healing,
    HealingState,
    Recording,
)
from chammal_contracts.checks import (
    CallChannel,
    CheckResult,
    CheckStatus,
    CheckTotals,
    ElementResult,
    Evidence,
    Judge,
    Polarity,
    ProductType,
    Severity,
    Speaker,
    Utterance,
    Verdict,
)
from chammal_contracts.stages import FailureType, Stage, StageReport, StageStatus
from tests import sample_calls

AGENT, CUSTOMER = Speaker.AGENT, Speaker.CUSTOMER
TALK = (
    (
        AGENT,
        "안녕하세요, 한빛투자증권 상담원 김하나입니다. 녹취 안내드리고 펀드 상품을 소개해 드리려고 연락드렸습니다.",
    ),
    (CUSTOMER, "네, 안녕하세요. 지난번에 문자로 받은 그 상품이죠?"),
    (AGENT, "맞습니다. 고객님 투자 성향과 경험을 먼저 여쭤보겠습니다. 펀드에 투자해 보신 적 있으세요?"),
    (CUSTOMER, "삼 년 전에 조금 해 봤고, 손해는 보고 싶지 않아요."),
    (AGENT, "이 상품은 글로벌 채권에 주로 투자하고, 연 보수는 일 점 이 퍼센트입니다."),
    (CUSTOMER, "원금은 보장되는 건가요?"),
    (AGENT, "사실상 원금 보장이라고 보시면 됩니다. 지금까지 손실 난 적이 없어요."),
    (CUSTOMER, "그래도 떨어질 수 있다고 들었는데요."),
    (AGENT, "다만 법적으로는 원금이 보장되지 않고, 투자 원금의 손실이 발생할 수 있습니다. 위험등급은 삼 등급입니다."),
    (CUSTOMER, "네, 알겠습니다. 철회도 되나요?"),
    (AGENT, "칠 일 이내에 청약을 철회하실 수 있고, 서면이나 앱으로 신청하시면 됩니다."),
    (CUSTOMER, "이해했습니다. 자료 보내 주세요."),
)
SECONDS = 2.5


def now() -> dt.datetime:
    return dt.datetime(2026, 11, 20, 5, 30, tzinfo=dt.UTC)


def recording(path: Path, seconds: float = SECONDS * len(TALK)) -> Path:
    """A quiet tone."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        tone = [int(600 * math.sin(0.3 * at)) for at in range(8000)]
        second = struct.pack("<8000h", *tone)
        file.writeframes(second * int(seconds))
    return path


def transcript(texts: tuple[tuple[Speaker, str], ...] = TALK) -> CallTranscript:
    utterances, words = [], []
    for number, (speaker, text) in enumerate(texts):
        begin, parts = number * SECONDS, text.split()
        step = (SECONDS - 0.2) / max(1, len(parts))
        utterances.append(
            Utterance(
                id=f"u{number}", speaker=speaker, start=begin, end=begin + SECONDS - 0.2, text=text, confidence=0.93
            )
        )
        for place, part in enumerate(parts):
            start = begin + place * step
            words.append(Word(word=part, start=start, end=start + step, probability=0.9, speaker=speaker))
    return sample_calls.transcript(
        *utterances,
        duration=len(texts) * SECONDS,
        model="whisper-large-v3-turbo",
        channels=ChannelLayout.SPLIT,
        words=words,
    )


def evidence(number: int, quote: str, source: Judge = Judge.RULE) -> Evidence:
    speaker, text = TALK[number]
    assert quote in text
    return Evidence(
        utterance_id=f"u{number}",
        speaker=speaker,
        start=number * SECONDS,
        end=(number + 1) * SECONDS,
        quote=quote,
        source=source,
    )


def element(
    id_: str,
    name: str,
    article: str,
    verdict: Verdict,
    *found: Evidence,
    polarity: Polarity = Polarity.MUST_SAY,
    confidence: float = 0.9,
    judge: Judge = Judge.RULE_AND_MODEL,
    severity: Severity = Severity.HIGH,
    needs_human: bool = False,
    reason: str | None = None,
) -> ElementResult:
    return sample_calls.element(
        id_,
        verdict,
        name=name,
        article=article,
        polarity=polarity,
        severity=severity,
        confidence=confidence,
        needs_human=needs_human,
        judge=judge,
        reason=reason,
        evidence=list(found),
    )


def check(*, model: bool = True) -> CheckResult:
    open_ = {"confidence": 0.0, "judge": Judge.NOBODY, "reason": "언어 모델의 답이 없어 판정하지 않았습니다."}
    elements = [
        element(
            "SOL-01",
            "단정적 판단 제공",
            "법 제21조1호",
            Verdict.SUSPECTED,
            evidence(6, "사실상 원금 보장이라고 보시면 됩니다"),
            polarity=Polarity.MUST_NOT,
            severity=Severity.CRITICAL,
            confidence=0.88,
            needs_human=True,
            reason="같은 통화에서 손실 가능성도 설명했으므로 사람이 확인해야 합니다.",
        ),
        element(
            "EXP-02",
            "원금손실 가능성과 위험등급",
            "법 제19조①1나",
            Verdict.MET,
            evidence(8, "원금의 손실이 발생할 수 있습니다"),
            evidence(8, "위험등급은 삼 등급입니다"),
        ),
        element(
            "EXP-07",
            "청약철회의 기한·방법·효과",
            "법 제19조①3, 제46조",
            Verdict.PARTLY_MET,
            evidence(10, "칠 일 이내에 청약을 철회하실 수 있고"),
            confidence=0.71,
        ),
        element(
            "TM-01",
            "신원·목적·상품종류 고지",
            "법 제16조의2③",
            Verdict.MET,
            evidence(0, "한빛투자증권 상담원 김하나입니다"),
            severity=Severity.MEDIUM,
        ),
        element(
            "TM-03",
            "야간 연락",
            "법 제21조의2",
            Verdict.NOT_APPLICABLE,
            judge=Judge.METADATA,
            polarity=Polarity.MUST_NOT,
            severity=Severity.MEDIUM,
        ),
    ]
    if model:
        elements += [
            element(
                "EXP-03",
                "수수료와 비용",
                "시행령 제13조④1",
                Verdict.MET,
                evidence(4, "연 보수는 일 점 이 퍼센트입니다"),
            ),
            element(
                "EXP-09",
                "이해 여부 확인",
                "법 제19조②",
                Verdict.MET,
                evidence(11, "이해했습니다"),
                polarity=Polarity.MUST_CONFIRM,
            ),
            element("EXP-08", "민원·분쟁조정 절차와 예금자보호", "시행령 제13조⑧", Verdict.UNMET, confidence=0.82),
        ]
    else:
        elements += [
            element("EXP-03", "수수료와 비용", "시행령 제13조④1", Verdict.NOT_EVALUATED, **open_),  # type: ignore[arg-type]
            element("EXP-09", "이해 여부 확인", "법 제19조②", Verdict.NOT_EVALUATED, **open_),  # type: ignore[arg-type]
            element("EXP-08", "민원·분쟁조정 절차와 예금자보호", "시행령 제13조⑧", Verdict.NOT_EVALUATED, **open_),  # type: ignore[arg-type]
        ]
    return sample_calls.check(
        *elements,
        status=CheckStatus.COMPLETE if model else CheckStatus.RULES_ONLY,
        score=64.3 if model else 62.5,
        totals=CheckTotals(
            met=4 if model else 2, partly_met=1, unmet=int(model), suspected=1, not_applicable=1, needs_human=1
        ),
        rule_set_version="2026.11.1",
        model="qwen3-32b" if model else None,
    )


SUMMARY = CallSummary(
    sentence="상담원이 글로벌 채권 펀드를 소개했고 고객이 자료를 요청했다.",
    reason="문자로 안내한 펀드 상품 소개",
    actions="투자 경험을 묻고, 보수와 위험등급과 청약철회를 설명했다.",
)


def report(stage: Stage, status: StageStatus = StageStatus.OK) -> StageReport:
    if status is not StageStatus.DUMMY:
        return StageReport(stage=stage, status=status)
    told = "llm-gateway: connection refused"
    return StageReport(stage=stage, status=status, error_type=FailureType.CONNECT_ERROR, error=told)


def queued(number: int = 1, reference: str = "2026-1120-0007") -> Call:
    return sample_calls.call(
        f"{number:032x}",
        CallStatus.QUEUED,
        created_at=now(),
        updated_at=now(),
        metadata=CallMetadata(
            product_type=ProductType.INVESTMENT,
            channel=CallChannel.PHONE,
            agent_id="A-1042",
            reference=reference,
            started_at=now(),
        ),
        recording=Recording(sha256="0" * 64, bytes=480_044, filename="call-0007.wav"),
    )


def complete(number: int = 1, reference: str = "2026-1120-0007", revision: int = 1) -> Call:
    return queued(number, reference).model_copy(
        update={
            "status": CallStatus.COMPLETE,
            "revision": revision,
            "stages": [report(stage) for stage in (Stage.STT, Stage.ANALYSIS, Stage.SUMMARY)],
            "transcript": transcript(),
            "check": check(),
            "summary": SUMMARY,
        }
    )


def partial(number: int = 1, reference: str = "2026-1120-0007") -> Call:
    """Without the language model: it waits to heal."""
    waiting = Healing(state=HealingState.WAITING, missing=[Stage.ANALYSIS, Stage.SUMMARY], attempts=2, since=now())
    dummies = [report(stage, StageStatus.DUMMY) for stage in (Stage.ANALYSIS, Stage.SUMMARY)]
    return queued(number, reference).model_copy(
        update={
            "status": CallStatus.PARTIAL,
            "revision": 1,
            "stages": [report(Stage.STT), *dummies],
            "transcript": transcript(),
            "check": check(model=False),
            "healing": waiting,
        }
    )


def healed(number: int = 1, reference: str = "2026-1120-0007") -> Call:
    state = Healing(state=HealingState.HEALED, attempts=3, since=now())
    return complete(number, reference, revision=2).model_copy(update={"healing": state})


def failed(number: int = 1, reference: str = "2026-1120-0003") -> Call:
    error = CallError(code="audio_unreadable", detail="The recording cannot be decoded: it is no audio.")
    return queued(number, reference).model_copy(update={"status": CallStatus.FAILED, "error": error})
