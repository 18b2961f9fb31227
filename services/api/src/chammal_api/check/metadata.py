"""Rules on what is known of a call besides its words."""

import datetime as dt

from chammal_api.check.findings import RuleFinding
from chammal_api.check.rules import MetadataRule
from chammal_contracts.checks import CheckRequest, Verdict

KOREA = dt.timezone(dt.timedelta(hours=9), "KST")
"""Without summer time since 1988, so that no table of time zones is needed."""
_NIGHT_BEGINS, _NIGHT_ENDS = dt.time(21), dt.time(8)


def read_metadata(rule: MetadataRule, request: CheckRequest) -> RuleFinding:
    match rule:
        case MetadataRule.NIGHT:
            return _night(request.started_at)


def _night(started_at: dt.datetime | None) -> RuleFinding:
    if started_at is None:
        return RuleFinding(verdict=Verdict.NOT_EVALUATED, reason="통화 시작 시각을 알 수 없습니다")
    try:
        moment = started_at.replace(tzinfo=KOREA) if started_at.tzinfo is None else started_at.astimezone(KOREA)
    except OverflowError:
        return RuleFinding(verdict=Verdict.NOT_EVALUATED, reason="통화 시작 시각을 읽을 수 없습니다")
    at = moment.time()
    if at >= _NIGHT_BEGINS or at < _NIGHT_ENDS:
        return RuleFinding(verdict=Verdict.SUSPECTED, reason=f"한국 시각 {moment:%H:%M}에 시작한 통화입니다")
    return RuleFinding(verdict=Verdict.MET, reason=f"한국 시각 {moment:%H:%M}에 시작한 통화입니다")
