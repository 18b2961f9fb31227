"""The matrix as docs/degradation.md shows it: what each fault is, and what each endpoint gives when it strikes."""

from collections.abc import Iterator

from tests.faults.matrix import Cell, Endpoint, Expected, Matrix, UpstreamRow, cells, endpoints_of
from tests.faults.service import ROOT

DOCUMENT = ROOT / "docs" / "degradation.md"
BEGIN, END = "<!-- fault matrix: begin -->", "<!-- fault matrix: end -->"

_NAMES = {
    Endpoint.TRANSCRIBE: "`POST /transcribe`",
    Endpoint.TRANSCRIBE_OR_ERROR: "`POST /transcribe`, `on_failure=error`",
    Endpoint.TRANSCRIPTIONS: "`/v1/audio/transcriptions`",
    Endpoint.TRANSCRIPTIONS_STREAM: "the same, `stream=true`",
    Endpoint.SPEECH: "`/v1/audio/speech`",
    Endpoint.CHAT: "`/v1/chat/completions`",
    Endpoint.CHAT_STREAM: "the same, `stream: true`",
    Endpoint.MODELS: "`/v1/models`",
    Endpoint.LIVE: "`WS /v1/stream`",
    Endpoint.REALTIME: "`WS /v1/realtime`, a turn",
    Endpoint.READY: "`/ready`",
    Endpoint.FAILURES: "`/v1/failures`",
    Endpoint.HEALTH: "`/health`",
    Endpoint.CALL: "`POST /v1/calls`, until it has ended",
    Endpoint.CALLS: "`/v1/calls`",
    Endpoint.CALL_READ: "`/v1/calls/{id}`",
    Endpoint.CALL_EVENTS: "its `/events`",
    Endpoint.CALL_TRANSCRIPT: "`/transcript.srt`",
    Endpoint.CALL_AUDIO: "`/audio`",
    Endpoint.CALL_REPORT: "`/report`",
    Endpoint.CALL_REANALYSE: "`/reanalyse`",
    Endpoint.CALL_DELETE: "`DELETE`",
    Endpoint.CHECKS: "`/v1/checks`",
    Endpoint.RULES: "`/v1/rules`",
    Endpoint.PAGE: "`/`",
    Endpoint.GATEWAY_CHAT: "gateway's chat",
    Endpoint.GATEWAY_STREAM: "gateway's chat, streamed",
    Endpoint.GATEWAY_JSON: "gateway's chat with a schema",
    Endpoint.GATEWAY_MODELS: "gateway's `/v1/models`",
    Endpoint.GATEWAY_READY: "gateway's `/ready`",
}


def render(matrix: Matrix) -> str:
    every = list(cells(matrix))
    parts = [
        f"{len(every)} cells: {len(matrix.upstreams)} upstreams × {len(matrix.faults)} faults × {len(Endpoint)} "
        "endpoints, less what cannot be.",
        "\n".join(_faults(matrix)),
        *("\n".join(_upstreams(matrix, names, every)) for names in _alike(matrix)),
        "\n".join(_exceptions(matrix)),
        "\n".join(_not_applicable(matrix)),
    ]
    return "\n\n".join(parts)


def write(matrix: Matrix) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{render(matrix)}\n{END}{after}", encoding="utf-8")


def shown() -> str:
    """What the document has."""
    return DOCUMENT.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip("\n")


def _faults(matrix: Matrix) -> Iterator[str]:
    yield "| fault | error type | status *S* | Retry-After | breaker | answered within |"
    yield "|---|---|---|---|---|---|"
    for fault in matrix.faults.values():
        if fault.harmless:
            yield f"| {fault.says} | none: everything goes on | | | closed | {fault.within:g} s |"
        else:
            asked = "the upstream's" if fault.retry_after else "1 s or more"
            yield (
                f"| {fault.says} | {_either(fault.failure)} | {_either(fault.status)} | {asked} |"
                f" {fault.breaker.value} | {fault.within:g} s |"
            )


def _alike(matrix: Matrix) -> list[list[str]]:
    """Upstreams with the same rules share a table."""
    groups: list[tuple[UpstreamRow, list[str]]] = []
    for name, row in matrix.upstreams.items():
        same = next((names for known, names in groups if known == row), None)
        if same is None:
            groups.append((row, [name]))
        else:
            same.append(name)
    return [names for _, names in groups]


def _upstreams(matrix: Matrix, names: list[str], every: list[Cell]) -> Iterator[str]:
    row = matrix.upstreams[names[0]]
    count = sum(cell.upstream in names for cell in every)
    which = ", each as the last backend that is left" if row.last else ""
    yield f"**{', '.join(names)}**{which} ({count} cells)\n"
    yield "| endpoint | status | stages and flags | headers and body | log line | metric that grows |"
    yield "|---|---|---|---|---|---|"
    rows: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints_of(row):
        rows.setdefault(_row(row.expect[endpoint]), []).append(endpoint)
    for text, endpoints in rows.items():
        yield f"| {', '.join(_NAMES[endpoint] for endpoint in endpoints)} | {text}"


def _row(expected: Expected) -> str:
    status = "*S*" if expected.status == "of_fault" else _either(expected.status)
    stages = ", ".join(f"{stage}={status}" for stage, status in (expected.stages or {}).items())
    flags = ", ".join(f"`{flag}`" for flag in expected.flags or [])
    log = expected.log or expected.log_any or ""
    metric = "`chammal_upstream_requests_total`" if expected.metric == "of_fault" else _code(expected.metric or "")
    return f"{status} | {'; '.join(filter(None, (stages, flags)))} | {'; '.join(_told(expected))} | {log} | {metric} |"


def _told(expected: Expected) -> Iterator[str]:
    if expected.call:
        yield f"the call is `{expected.call}`" + (", and heals" if expected.heals else "")
    if expected.check:
        yield f"its check is `{expected.check}`" if expected.call else f"the check is `{expected.check}`"
    if expected.told:
        yield f"the webhook is {expected.told}"
    if expected.degraded:
        yield f"`Chammal-Degraded: {expected.degraded}`"
    if expected.code:
        yield f"problem `{expected.code}`"
    if expected.retry_after:
        yield "`Retry-After`"
    if expected.attempts:
        yield "`Chammal-Attempts` names it"
    if expected.event:
        yield f"event `error`, `{expected.event}`"
    if expected.not_ready:
        yield "named as not ready"
    if expected.counts:
        yield "counted, with its breaker"
    if expected.names_failure:
        yield "`error_type`"
    if expected.names_attempt:
        yield "the failed attempt"


def _exceptions(matrix: Matrix) -> Iterator[str]:
    yield "Exceptions:\n"
    for row in matrix.exceptions:
        upstreams, faults = ", ".join(row.upstreams), ", ".join(matrix.faults[name].says for name in row.faults)
        endpoints = ", ".join(_NAMES[endpoint] for endpoint in row.endpoints)
        what = (
            "may be cut" if row.expect.get("cut")
            else "may be whole" if row.expect.get("or_fine")
            else f"status {_either(row.expect.get('status', ['*S*']))}"
        )  # fmt: skip
        yield f"- {upstreams}: {faults}: {endpoints}: {what}; {row.because}."


def _not_applicable(matrix: Matrix) -> Iterator[str]:
    yield "Not tried:\n"
    for row in matrix.not_applicable:
        faults = [matrix.faults[name].says for name in row.faults]
        shown = ", ".join(faults) if len(faults) < 8 else "every fault of a network or a process"
        yield f"- {', '.join(row.upstreams)}: {shown}; {row.because}."


def _either(values: object) -> str:
    return " or ".join(
        f"`{v}`" if isinstance(v, str) and v != "*S*" else str(v)
        for v in (values if isinstance(values, list) else [values])
    )


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
