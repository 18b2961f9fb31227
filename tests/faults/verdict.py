"""Whether what was seen of a cell is what must come of it. Every difference is one line."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from chammal_api.calls.webhooks import DeliveryOutcome
from chammal_contracts.calls import Call, CallStatus, HealingState, WebhookState
from chammal_contracts.checks import CheckResult, CheckStatus, Verdict
from chammal_contracts.checks import Judge as ElementJudge
from chammal_contracts.errors import ProblemBody
from chammal_contracts.realtime_response import ResponseStatus
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.transcribe import Finding, TranscribeResult
from tests.faults.conversation import Talk
from tests.faults.exchange import Seen
from tests.faults.injection import Staged
from tests.faults.matrix import Cell, Endpoint, Flag
from tests.faults.mesh import Scene, Series, name_of

SAID = "One true word."
"""By the language models behind the proxies."""
_TRANSCRIBE = (Endpoint.TRANSCRIBE, Endpoint.TRANSCRIBE_OR_ERROR)


def differences(cell: Cell, seen: Seen) -> Iterator[str]:
    """Of the answer itself."""
    expected = cell.expected
    if seen.hung:
        yield "it hung"
        return
    if seen.seconds > cell.within:
        yield f"it took {seen.seconds:.1f} s, and {cell.within:.0f} s is the bound"
    if expected.cut and (seen.cut or seen.error_event):
        return
    if seen.unreadable:
        yield f"what it calls JSON is none: {seen.body!r}"
        return
    if seen.cut:
        yield "the answer broke off"
    if seen.status not in cell.statuses:
        yield f"status {seen.status}, and not {cell.statuses}: {_short(seen.body)}"
        return
    if seen.status == 500:
        yield "a 500"
    if seen.headers.get("chammal-degraded") != (None if seen.status >= 400 else expected.degraded):
        yield f"Chammal-Degraded {seen.headers.get('chammal-degraded')!r}, and not {expected.degraded!r}"
    if expected.retry_after:
        yield from _retry_after(cell, seen)
    if expected.attempts:
        wanted = expected.attempts.replace("@", cell.upstream).replace("#", f"({'|'.join(cell.fault.failure)})")
        if not re.search(wanted, seen.headers.get("chammal-attempts", "")):
            yield f"Chammal-Attempts {seen.headers.get('chammal-attempts')!r} has no {wanted}"
    event = (seen.error_event or {}).get("code")
    if event != expected.event:
        yield f"error event {event}, and not {expected.event}"
    yield from _body(cell, seen)


def is_fine(cell: Cell, seen: Seen) -> bool:
    """A whole answer where the cell allows one."""
    whole = seen.status in (200, 1000) and not (seen.hung or seen.cut or seen.unreadable or seen.error_event)
    if whole and cell.expected.told:
        whole = _told(Call.model_validate(seen.body).webhook) is DeliveryOutcome.DELIVERED
    return cell.expected.or_fine and whole and "chammal-degraded" not in seen.headers


def _retry_after(cell: Cell, seen: Seen) -> Iterator[str]:
    told = seen.headers.get("retry-after", "")
    if not told.isdigit() or int(told) < 1:
        yield f"Retry-After {told!r}"
    elif cell.expected.retry_after == "of_fault" and cell.fault.retry_after not in (None, int(told)):
        yield f"Retry-After {told}, and the upstream asked for {cell.fault.retry_after}"


def _body(cell: Cell, seen: Seen) -> Iterator[str]:
    expected = cell.expected
    if seen.status >= 400 and cell.endpoint not in (Endpoint.LIVE, Endpoint.REALTIME) and expected.not_ready is None:
        problem = ProblemBody.model_validate(seen.body)
        if expected.code and problem.code != expected.code:
            yield f"code {problem.code}, and not {expected.code}: {problem.detail}"
    if cell.endpoint in _TRANSCRIBE and seen.status == 200:
        yield from _result(cell, TranscribeResult.model_validate(seen.body))
    if isinstance(seen.body, Talk):
        yield from _talk(cell, seen.body)
    if cell.endpoint is Endpoint.CALL and seen.status == 200:
        yield from _call(cell, Call.model_validate(seen.body))
    if cell.endpoint is Endpoint.CHECKS and seen.status == 200:
        yield from _check(cell, CheckResult.model_validate(seen.body))
    if expected.not_ready:
        failing = [check["name"] for check in seen.body["checks"] if not check["ready"]]
        if (cell.row.service or cell.upstream) not in failing:
            yield f"/ready does not name it: {failing}"
    if expected.counts:
        row = next(row for row in seen.body["stages"] if row["stage"] == cell.row.stage)
        if row["failures"] < 1 or row["breaker"] != cell.fault.breaker:
            yield f"/v1/failures says {row}"


def _result(cell: Cell, result: TranscribeResult) -> Iterator[str]:
    """The flags, and that nothing in the answer claims more than they do."""
    expected = cell.expected
    yield from _stages(cell, result.stages)
    if expected.flags is not None:
        raised = [flag for flag in Flag if getattr(result, flag)]
        if raised != sorted(expected.flags, key=list(Flag).index):
            yield f"flags {raised}, and not {expected.flags}"
    if result.is_dummy and (result.text is not None or result.segments):
        yield "a dummy has a text"
    if result.is_agent_dummy and result.agent_analysis is not None:
        yield "a dummy has an analysis"
    verdicts = {e.verdict for e in result.incomplete_elements.elements} if result.incomplete_elements else set()
    if result.agent_analysis is None and verdicts - {Finding.NOT_EVALUATED}:
        yield "there is a verdict without an analysis"


def _stages(cell: Cell, told: Sequence[StageReport]) -> Iterator[str]:
    expected, reports = cell.expected, {report.stage: report for report in told}
    if expected.stages is not None:
        statuses = {stage: report.status for stage, report in reports.items()}
        if statuses != expected.stages:
            yield f"stages {statuses}, and not {expected.stages}: {[r.error for r in told]}"
    if expected.names_failure:
        named = reports[expected.names_failure].error_type
        if named not in (cell.fault.failure if not cell.row.last else [*cell.fault.failure, "unavailable"]):
            yield f"error_type {named}, and not one of {cell.fault.failure}"
    if expected.names_attempt:
        asked = told if expected.call else [reports[expected.names_attempt]]  # of two at once the second is not sent
        failed = [attempt.error_type for report in asked for attempt in report.attempts if attempt.error_type]
        if not set(failed) & set(cell.fault.failure):
            yield f"attempts failed by {failed}, and not by {cell.fault.failure}"
    for report in told:
        if report.status is StageStatus.DUMMY and not report.error:
            yield f"{report.stage} does not say why"


def _talk(cell: Cell, talk: Talk) -> Iterator[str]:
    """What could not be heard is not answered; what could not be said is written."""
    yield from _stages(cell, talk.stages)
    reports = {report.stage: report for report in talk.stages}
    if reports[Stage.STT].status is StageStatus.DUMMY:
        if talk.transcript or talk.status:
            yield f"it was not heard, and there is {talk}"
        return
    reply, speech = reports[Stage.REPLY], reports[Stage.TTS]
    if talk.status != (ResponseStatus.FAILED if reply.error_type else ResponseStatus.COMPLETED):
        yield f"the response is {talk.status}"
    if not talk.reply or (talk.reply == SAID) != (reply.error_type is None):
        yield f"the answer is {talk.reply!r}"
    if speech.status is StageStatus.OK and not talk.audio:
        yield "the answer has no audio"


def _call(cell: Cell, call: Call) -> Iterator[str]:
    """How it ended, and that nothing of it is made up."""
    expected = cell.expected
    yield from _stages(cell, call.stages)
    if call.status != expected.call:
        yield f"the call is {call.status}, and not {expected.call}: {call.partial_failure_reason or call.error}"
    if call.revision != 1:
        yield f"revision {call.revision}"
    lacks = expected.call is CallStatus.PARTIAL
    if lacks != (call.healing.state in (HealingState.WAITING, HealingState.RUNNING)):
        yield f"healing is {call.healing}"
    if lacks and not call.healing.reason:
        yield "it does not say what it waits for"
    reports = {report.stage: report.status for report in call.stages}
    for stage, empty in _EMPTY.items():
        if reports.get(stage) in (StageStatus.DUMMY, StageStatus.SKIPPED) and not empty(call):
            yield f"{stage} brought nothing, and there is something of it"
    if call.is_partial_failure != (StageStatus.DUMMY in reports.values()):
        yield f"is_partial_failure {call.is_partial_failure}: {call.partial_failure_reason}"
    if call.check is not None:
        yield from _check(cell, call.check)
    told = _told(call.webhook)
    if told != expected.told:
        yield f"the webhook: {call.webhook}, and not {expected.told}"


def _has_no_check(call: Call) -> bool:
    """Rules find what they find without a model."""
    return call.check is None or (call.transcript is not None and call.check.model is None)


_EMPTY: dict[Stage, Callable[[Call], bool]] = {
    Stage.STT: lambda call: call.transcript is None,
    Stage.ANALYSIS: _has_no_check,
    Stage.SUMMARY: lambda call: call.summary is None,
}


def _told(webhook: WebhookState | None) -> DeliveryOutcome | None:
    if webhook is None:
        return None
    if webhook.delivered:
        return DeliveryOutcome.DELIVERED
    return DeliveryOutcome.GONE if webhook.last_status == 410 else DeliveryOutcome.FAILED


def _check(cell: Cell, check: CheckResult) -> Iterator[str]:
    if check.status != cell.expected.check:
        yield f"the check is {check.status}, and not {cell.expected.check}: {check.reason}"
    if cell.endpoint is Endpoint.CHECKS and not check.totals.suspected:
        yield "rules did not find what needs no model"
    for element in check.elements:
        open_verdict = element.verdict in (Verdict.NOT_EVALUATED, Verdict.NOT_APPLICABLE)
        if check.status is CheckStatus.RULES_ONLY and not open_verdict and element.judge is ElementJudge.MODEL:
            yield f"{element.id} is {element.verdict} by a model that did not answer"
        if element.verdict is Verdict.UNMET and check.status is CheckStatus.RULES_ONLY:
            yield f"{element.id} is {element.verdict}, and nobody has looked"


_HEALED = (2, 3)
"""Revisions of what heals in one go, and of what was being healed when the fault ended: check and summary ask apart."""


def unhealed(call: Mapping[str, Any], cell: Cell) -> Iterator[str]:
    """After the fault has gone."""
    told = Call.model_validate(call)
    if told.status is not CallStatus.COMPLETE:
        yield f"it does not heal: {told.status}, {told.healing}"
    elif cell.expected.call is CallStatus.PARTIAL:
        if told.revision not in _HEALED or told.healing.state is not HealingState.HEALED:
            yield f"healed, it is of revision {told.revision}, {told.healing}"
        elif told.transcript is None or told.check is None or told.summary is None:
            yield "healed, it still lacks something"
    if _told(told.webhook) not in (None, DeliveryOutcome.DELIVERED):
        yield f"nobody was told of it: {told.webhook}"


def side_effects(
    cell: Cell, seen: Seen, stage: Staged, before: dict[str, Series], lines: tuple[int, int]
) -> Iterator[str]:
    """Breaker, metric and log."""
    scene, watched = stage.scene, stage.watched
    expected = cell.expected
    if cell.breaker:
        state = scene.breaker(cell.row.observer, watched)
        if state != cell.breaker:
            yield f"breaker {state}, and not {cell.breaker}"
    if expected.metric:
        wanted = list(_metrics(cell, watched))
        if not _grown(scene, before, wanted):
            yield f"no metric of {wanted} has grown"
    for pattern in (expected.log, expected.log_any):
        if pattern is None or (stage.lasting and pattern == expected.log_any):  # it was said when the fault began
            continue
        wanted_line = pattern.replace("@", re.escape(cell.upstream))
        if pattern == expected.log:
            wanted_line += f".*{seen.request_id}"
        found = any(
            service.wait_for_line(wanted_line, after=count, seconds=seconds)
            for service, count, seconds in ((scene.gateway, lines[1], 0.0), (scene.api, lines[0], 2.0))
        ) or scene.gateway.wait_for_line(wanted_line, after=lines[1], seconds=0.5)
        if not found:
            yield f"no line of the log has {wanted_line!r}"


def _grown(scene: Scene, before: dict[str, Series], wanted: list[str]) -> bool:
    """A live session is counted a moment after its caller has seen its end."""
    give_up = time.monotonic() + 5
    while True:
        after = scene.series()
        if any(after[o].get(name, 0) > before[o].get(name, 0) for o in after for name in wanted):
            return True
        if time.monotonic() > give_up:
            return False


def _metrics(cell: Cell, watched: str) -> Iterator[str]:
    if cell.expected.metric == "of_fault":
        for failure in cell.fault.failure:
            yield name_of("chammal_upstream_requests_total", {"upstream": watched, "outcome": failure})
    elif cell.expected.metric:
        yield cell.expected.metric.replace("@", cell.upstream)


def _short(body: Any) -> str:
    text = str(body)
    return text if len(text) < 600 else text[:600] + "…"
