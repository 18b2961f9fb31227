"""The flat flags of the original interface, derived from the stage reports. Nowhere else."""

from collections.abc import Sequence

from chammal_api.analysis import Analysis
from chammal_api.check.rules import Element
from chammal_api.elements import not_evaluated
from chammal_api.outcome import Outcome
from chammal_contracts.asr import Transcription
from chammal_contracts.stages import StageReport, StageStatus
from chammal_contracts.transcribe import AgentType, TranscribeResult

_REAL = frozenset({StageStatus.OK, StageStatus.DEGRADED})


def build_result(
    stt: Outcome[Transcription], analysis: Outcome[Analysis], checked: Sequence[Element] | None
) -> TranscribeResult:
    """A verdict is never made from a dummy: without an analysis every element is 판정불가.

    `checked`: None where nobody asked for a check.
    """
    heard, judged = stt.report, analysis.report
    agent_failed = judged.status is StageStatus.DUMMY
    check = analysis.value.check if analysis.value else None
    if checked is not None and check is None:
        check = not_evaluated(checked, judged.error or "the analysis says nothing of the elements")
    said = stt.value
    return TranscribeResult(
        success=heard.status in _REAL,
        text=said.text if said else None,
        duration=said.duration if said else None,
        language=said.language if said else None,
        error=heard.error,
        error_type=heard.error_type,
        backend=heard.backend,
        is_dummy=heard.status is StageStatus.DUMMY,
        dummy_reason=heard.error if heard.status is StageStatus.DUMMY else None,
        incomplete_elements=check if checked is not None else None,
        agent_analysis=analysis.value.answer if analysis.value else None,
        agent_type=AgentType.DUMMY if agent_failed else (analysis.value.agent_type if analysis.value else None),
        is_agent_dummy=agent_failed,
        agent_dummy_reason=judged.error if agent_failed else None,
        is_partial_failure=heard.status in _REAL and agent_failed,
        partial_failure_reason=f"analysis: {judged.error}" if heard.status in _REAL and agent_failed else None,
        stages=[heard, judged],
        channels=said.channels if said else None,
        segments=said.segments if said else [],
        suspect=said.suspect if said else [],
    )


def degraded_header(stages: list[StageReport]) -> str | None:
    """`analysis=dummy` and the like for the Chammal-Degraded header; None when nothing is degraded."""
    parts = [f"{s.stage}={s.status}" for s in stages if s.status in (StageStatus.DEGRADED, StageStatus.DUMMY)]
    return ", ".join(parts) or None
