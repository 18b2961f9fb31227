"""What the stages stt and emotion brought for one turn of a person's, which may be several utterances."""

from collections.abc import Sequence

from chammal_api.realtime.heard import Heard
from chammal_contracts.live import Final
from chammal_contracts.realtime import HearingProvenance
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.voice import Voice, VoiceMissing


def last_of(finals: Sequence[Final]) -> Final | None:
    """The last in which something was said, else the last."""
    said = [final for final in finals if final.text.strip()] or finals
    return said[-1] if said else None


def voice_of(finals: Sequence[Final]) -> Voice | None:
    """Of the longest utterance that has one: it was measured best."""
    measured = [final for final in finals if final.voice is not None]
    return max(measured, key=lambda final: final.end - final.start).voice if measured else None


def stt_report(finals: Sequence[Final], failure: StageReport | None) -> StageReport:
    seconds = sum(final.seconds.recognise for final in finals)
    if failure is None:
        return StageReport(stage=Stage.STT, status=StageStatus.OK, backend="stt", seconds=seconds)
    partly = any(final.text.strip() for final in finals)
    return failure.model_copy(
        update={"status": StageStatus.DEGRADED if partly else StageStatus.DUMMY, "seconds": seconds}
    )


def emotion_report(finals: Sequence[Final]) -> tuple[StageReport, ...]:
    if voice_of(finals) is not None:
        return (StageReport(stage=Stage.EMOTION, status=StageStatus.OK, backend="stt"),)
    reasons = {final.voice_missing for final in finals if final.voice_missing is not None}
    if VoiceMissing.FAILED in reasons:
        return (StageReport(stage=Stage.EMOTION, status=StageStatus.DUMMY, error=VoiceMissing.FAILED),)
    if reasons:
        return (StageReport(stage=Stage.EMOTION, status=StageStatus.SKIPPED, error=min(reasons)),)
    return ()


def provenance(heard: Heard, finals: Sequence[Final]) -> HearingProvenance:
    last = last_of(finals)
    return HearingProvenance(
        stages=list(heard.stages),
        language=last.language if last is not None else None,
        confidence=min((final.confidence for final in finals if final.text.strip()), default=None),
        suspect=[suspect for final in finals for suspect in final.suspect],
        voice=heard.voice,
        seconds=heard.seconds | {"recognise": round(sum(final.seconds.recognise for final in finals), 4)},
    )
