"""The words of the printed report, in Korean and English."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chammal_contracts.calls import CallStatus, HealingState
from chammal_contracts.checks import CallChannel, CheckStatus, Judge, Severity, Speaker, Verdict
from chammal_contracts.stages import Stage, StageStatus

Names = Mapping[str, str]

_QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Words:
    language: str
    title: str
    notice: str
    degraded: str
    call: str
    provenance: str
    summary: str
    by_model: str
    check: str
    no_check: str
    score: str
    no_score: str
    needs_human: str
    needs_legal_review: str
    confidence: str
    no_evidence: str
    transcript: str
    no_transcript: str
    suspect: str
    dropped: str
    unknown: str
    seconds: str
    masked: str
    fields: Names
    statuses: Names
    healings: Names
    stages: Names
    stage_statuses: Names
    check_statuses: Names
    verdicts: Names
    judges: Names
    severities: Names
    speakers: Names
    channels: Names


KOREAN = Words(
    language="ko",
    title="통화 점검 보고서",
    notice="이 보고서의 위반의심은 사람이 확인할 의심이며 법적 판단이 아닙니다. 판정불가는 통과가 아닙니다.",
    degraded="일부 단계가 온전하지 않습니다",
    call="통화",
    provenance="판정의 근거",
    summary="요약",
    by_model="언어 모델이 쓴 글이며, 확인된 사실이 아닙니다.",
    check="불완전판매 점검",
    no_check="점검 결과가 없습니다.",
    score="점수",
    no_score="점수 없음",
    needs_human="사람의 확인 필요",
    needs_legal_review="법률 검토 필요",
    confidence="확신도",
    no_evidence="인용할 발언 없음",
    transcript="대화",
    no_transcript="대화록이 없습니다.",
    suspect="의심스러운 인식",
    dropped="제외됨",
    unknown="알 수 없음",
    seconds="초",
    masked="가려진 개인정보",
    fields={
        "id": "통화 번호",
        "status": "상태",
        "revision": "개정",
        "created_at": "접수",
        "updated_at": "갱신",
        "reference": "참조",
        "agent_id": "상담원 번호",
        "product_type": "상품 종류",
        "customer_type": "소비자 구분",
        "channel": "경로",
        "started_at": "통화 시작",
        "duration": "길이",
        "filename": "파일",
        "sha256": "녹음 SHA-256",
        "bytes": "바이트",
        "healing": "복구",
        "error": "오류",
        "rule_set": "규칙",
        "model": "언어 모델",
        "backend": "백엔드",
        "prompt_version": "프롬프트 판",
        "recogniser": "음성 인식 모델",
        "reason": "사유",
        "sentence": "한 문장",
        "purpose": "전화한 이유",
        "actions": "상담원이 한 일",
    },
    statuses={
        CallStatus.QUEUED: "대기 중",
        CallStatus.RUNNING: "분석 중",
        CallStatus.COMPLETE: "완료",
        CallStatus.PARTIAL: "일부 완료",
        CallStatus.FAILED: "실패",
    },
    healings={
        HealingState.NONE: "없음",
        HealingState.WAITING: "복구 대기",
        HealingState.RUNNING: "복구 중",
        HealingState.HEALED: "복구됨",
        HealingState.GIVEN_UP: "포기함",
    },
    stages={Stage.STT: "음성 인식", Stage.ANALYSIS: "점검", Stage.SUMMARY: "요약"},
    stage_statuses={
        StageStatus.OK: "정상",
        StageStatus.DEGRADED: "대체 백엔드의 답",
        StageStatus.DUMMY: "답 없음",
        StageStatus.SKIPPED: "건너뜀",
    },
    check_statuses={
        CheckStatus.COMPLETE: "완료",
        CheckStatus.PARTIAL: "일부만 판정",
        CheckStatus.RULES_ONLY: "규칙만으로 판정",
        CheckStatus.NOT_EVALUATED: "판정하지 못함",
    },
    verdicts={verdict: verdict for verdict in Verdict},
    judges={
        Judge.RULE: "규칙",
        Judge.METADATA: "통화 정보",
        Judge.MODEL: "언어 모델",
        Judge.RULE_AND_MODEL: "규칙과 언어 모델",
        Judge.NOBODY: "판정자 없음",
    },
    severities={
        Severity.LOW: "낮음",
        Severity.MEDIUM: "보통",
        Severity.HIGH: "높음",
        Severity.CRITICAL: "매우 높음",
    },
    speakers={Speaker.AGENT: "상담원", Speaker.CUSTOMER: "고객", Speaker.UNKNOWN: "화자 미상"},
    channels={CallChannel.PHONE: "전화", CallChannel.FACE_TO_FACE: "대면", CallChannel.VIDEO: "화상"},
)

ENGLISH = Words(
    language="en",
    title="Call report",
    notice="A suspected violation is for a person to confirm, and no finding of law. Not evaluated is not a pass.",
    degraded="Some stages are not whole",
    call="Call",
    provenance="What the verdicts rest on",
    summary="Summary",
    by_model="Written by a language model; nobody has confirmed it.",
    check="Mis-selling check",
    no_check="There is no check.",
    score="Score",
    no_score="no score",
    needs_human="needs a person",
    needs_legal_review="needs legal review",
    confidence="confidence",
    no_evidence="nothing said to quote",
    transcript="Transcript",
    no_transcript="There is no transcript.",
    suspect="Doubted recognition",
    dropped="dropped",
    unknown="unknown",
    seconds="s",
    masked="masked personal data",
    fields={
        "id": "Call",
        "status": "Status",
        "revision": "Revision",
        "created_at": "Received",
        "updated_at": "Changed",
        "reference": "Reference",
        "agent_id": "Agent",
        "product_type": "Product type",
        "customer_type": "Customer type",
        "channel": "Channel",
        "started_at": "Began",
        "duration": "Length",
        "filename": "File",
        "sha256": "SHA-256 of the recording",
        "bytes": "Bytes",
        "healing": "Healing",
        "error": "Error",
        "rule_set": "Rule set",
        "model": "Language model",
        "backend": "Backend",
        "prompt_version": "Prompt version",
        "recogniser": "Recogniser",
        "reason": "Reason",
        "sentence": "In a sentence",
        "purpose": "Why they talked",
        "actions": "What the agent did",
    },
    statuses={status: status for status in CallStatus},
    healings={state: state.replace("_", " ") for state in HealingState},
    stages={Stage.STT: "recognition", Stage.ANALYSIS: "check", Stage.SUMMARY: "summary"},
    stage_statuses={
        StageStatus.OK: "ok",
        StageStatus.DEGRADED: "a fall-back's answer",
        StageStatus.DUMMY: "no answer",
        StageStatus.SKIPPED: "skipped",
    },
    check_statuses={
        CheckStatus.COMPLETE: "complete",
        CheckStatus.PARTIAL: "judged in part",
        CheckStatus.RULES_ONLY: "judged by rules alone",
        CheckStatus.NOT_EVALUATED: "not evaluated",
    },
    verdicts={
        Verdict.MET: "met",
        Verdict.PARTLY_MET: "partly met",
        Verdict.UNMET: "not met",
        Verdict.SUSPECTED: "suspected violation",
        Verdict.NOT_APPLICABLE: "does not apply",
        Verdict.NOT_EVALUATED: "not evaluated",
    },
    judges={
        Judge.RULE: "rule",
        Judge.METADATA: "call data",
        Judge.MODEL: "language model",
        Judge.RULE_AND_MODEL: "rule and language model",
        Judge.NOBODY: "nobody",
    },
    severities={severity: severity for severity in Severity},
    speakers={Speaker.AGENT: "agent", Speaker.CUSTOMER: "customer", Speaker.UNKNOWN: "unknown speaker"},
    channels={channel: channel.replace("_", " ") for channel in CallChannel},
)


def words_for(accept_language: str) -> Words:
    """Korean, unless English is asked for more."""
    best, found = 0.0, KOREAN
    for part in accept_language.split(",")[:32]:
        tag, _, quality = part.strip().lower().partition(";")
        offered = {"ko": KOREAN, "en": ENGLISH}.get(tag.strip().partition("-")[0])
        told = _QUALITY.fullmatch(quality.strip()) if quality else None
        weight = 1.0 if not quality else float(told[1]) if told else 0.0
        if offered is not None and weight > best:
            best, found = weight, offered
    return found
