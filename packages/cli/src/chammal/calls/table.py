"""Calls as tables, and one call in words."""

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from chammal.calls.batch import Sent
from chammal_contracts.calls import Call, CallRow, HealingState
from chammal_contracts.checks import Verdict
from chammal_contracts.stages import StageReport

_QUIET = frozenset({Verdict.NOT_APPLICABLE})


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False)


def sent_table(results: Sequence[Sent]) -> Table:
    table = _table("recording", "call", "status", "seconds", "said", "why")
    for sent in results:
        call = sent.call
        if call is None:
            table.add_row(Text(str(sent.recording)), "", "not sent", "", "", Text(sent.error or ""))
            continue
        transcript = call.transcript
        said = " ".join(utterance.text for utterance in transcript.utterances) if transcript else ""
        table.add_row(
            Text(str(sent.recording)),
            call.id,
            call.status,
            f"{transcript.duration:.1f}" if transcript else "",
            Text(said[:60] + "…" if len(said) > 60 else said),
            Text(call.error.detail if call.error else call.partial_failure_reason or ""),
        )
    return table


def list_table(rows: Sequence[CallRow]) -> Table:
    table = _table("call", "recording", "created", "status", "rev", "product", "score", "suspected", "unmet", "summary")
    for row in rows:
        status = row.status if row.healing is HealingState.NONE else f"{row.status}, {row.healing}"
        table.add_row(
            row.id,
            Text(row.filename or ""),
            f"{row.created_at:%Y-%m-%d %H:%M}",
            status,
            str(row.revision),
            row.product_type or "",
            "" if row.score is None else f"{row.score:.0f}",
            " ".join(row.suspected),
            " ".join(row.unmet),
            Text(row.snippet or row.sentence or ""),
        )
    return table


def shown(call: Call) -> Group:
    head = f"{call.id}  {call.status}, revision {call.revision}"
    parts: list[Text | Table] = [Text(head, style="bold"), _stages(call.stages)]
    if call.error is not None:
        parts.append(Text(f"{call.error.code}: {call.error.detail}"))
    if call.healing.state is not HealingState.NONE:
        missing = ", ".join(call.healing.missing) or "nothing"
        told = f"Healing: {call.healing.state}; missing {missing}; {call.healing.attempts} attempts"
        parts.append(Text(f"{told}; {call.healing.reason}" if call.healing.reason else told))
    if call.transcript is not None:
        parts.append(_heading(f"Transcript ({call.transcript.duration:.1f} s, {call.transcript.language})"))
        parts += [Text(f"{said.speaker}: {said.text}") for said in call.transcript.utterances]
    if call.summary is not None:
        parts += [
            _heading("Summary"),
            Text(call.summary.sentence),
            Text(call.summary.reason),
            Text(call.summary.actions),
        ]
    if call.check is not None:
        score = "" if call.check.score is None else f", {call.check.score:.0f} of 100"
        parts += [_heading(f"불완전판매 check ({call.check.status}{score})"), _elements(call)]
    return Group(*parts)


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _stages(reports: Sequence[StageReport]) -> Table:
    table = _table("stage", "status", "backend", "model", "seconds", "error")
    for report in reports:
        told = (report.backend or "", report.model or "", f"{report.seconds:.1f}", Text(report.error or ""))
        table.add_row(report.stage, report.status, *told)
    return table


def _elements(call: Call) -> Table:
    table = _table("element", "name", "verdict", "judge", "quote", "reason")
    for element in call.check.elements if call.check else ():
        if element.verdict in _QUIET:
            continue
        quote = element.evidence[0].quote if element.evidence else ""
        table.add_row(element.id, element.name, element.verdict, element.judge, Text(quote), Text(element.reason or ""))
    return table
