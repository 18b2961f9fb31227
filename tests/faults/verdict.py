"""Whether what was seen of a cell is what must come of it. Every difference is one line."""

import re
import time
from collections.abc import Iterator
from typing import Any

from chammal_contracts.errors import ProblemBody
from chammal_contracts.stages import StageStatus
from chammal_contracts.transcribe import Finding, TranscribeResult
from tests.faults.endpoints import Seen
from tests.faults.injection import Staged
from tests.faults.matrix import Cell, Endpoint, Flag
from tests.faults.mesh import Scene, Series, name_of

_TRANSCRIBE = (Endpoint.TRANSCRIBE, Endpoint.TRANSCRIBE_OR_ERROR)


def differences(cell: Cell, seen: Seen) -> Iterator[str]:
    """Of the answer itself."""
    expected = cell.expected
    if seen.hung:
        yield "it hung"
        return
    if seen.seconds > cell.fault.within:
        yield f"it took {seen.seconds:.1f} s, and {cell.fault.within:.0f} s is the bound"
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
    return cell.expected.or_fine and whole and "chammal-degraded" not in seen.headers


def _retry_after(cell: Cell, seen: Seen) -> Iterator[str]:
    told = seen.headers.get("retry-after", "")
    if not told.isdigit() or int(told) < 1:
        yield f"Retry-After {told!r}"
    elif cell.expected.retry_after == "of_fault" and cell.fault.retry_after not in (None, int(told)):
        yield f"Retry-After {told}, and the upstream asked for {cell.fault.retry_after}"


def _body(cell: Cell, seen: Seen) -> Iterator[str]:
    expected = cell.expected
    if seen.status >= 400 and cell.endpoint is not Endpoint.LIVE and expected.not_ready is None:
        problem = ProblemBody.model_validate(seen.body)
        if expected.code and problem.code != expected.code:
            yield f"code {problem.code}, and not {expected.code}: {problem.detail}"
    if cell.endpoint in _TRANSCRIBE and seen.status == 200:
        yield from _result(cell, TranscribeResult.model_validate(seen.body))
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
    reports = {report.stage: report for report in result.stages}
    if expected.stages is not None:
        statuses = {stage: report.status for stage, report in reports.items()}
        if statuses != expected.stages:
            yield f"stages {statuses}, and not {expected.stages}: {[r.error for r in result.stages]}"
    if expected.flags is not None:
        raised = [flag for flag in Flag if getattr(result, flag)]
        if raised != sorted(expected.flags, key=list(Flag).index):
            yield f"flags {raised}, and not {expected.flags}"
    if expected.names_failure:
        named = reports[expected.names_failure].error_type
        if named not in (cell.fault.failure if not cell.row.last else [*cell.fault.failure, "unavailable"]):
            yield f"error_type {named}, and not one of {cell.fault.failure}"
    if expected.names_attempt:
        failed = [a.error_type for a in reports[expected.names_attempt].attempts if a.error_type]
        if not set(failed) & set(cell.fault.failure):
            yield f"attempts failed by {failed}, and not by {cell.fault.failure}"
    if result.is_dummy and (result.text is not None or result.segments):
        yield "a dummy has a text"
    if result.is_agent_dummy and result.agent_analysis is not None:
        yield "a dummy has an analysis"
    verdicts = {e.verdict for e in result.incomplete_elements.elements} if result.incomplete_elements else set()
    if result.agent_analysis is None and verdicts - {Finding.NOT_EVALUATED}:
        yield "there is a verdict without an analysis"
    for report in result.stages:
        if report.status is StageStatus.DUMMY and not report.error:
            yield f"{report.stage} does not say why"


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
