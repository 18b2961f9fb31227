"""A call as one printable page that needs nothing else. What was said, and what a model made of it, is hostile text:
every piece of it goes through `text`, and the page's policy lets nothing run or load."""

import base64
import datetime as dt
import hashlib
import html
import re
from collections.abc import Iterable

from starlette.responses import HTMLResponse

from chammal_api.calls.report_words import Words
from chammal_contracts.calls import Call, CallTranscript
from chammal_contracts.checks import CheckResult, ElementResult, Evidence, Verdict
from chammal_contracts.stages import StageReport, StageStatus
from chammal_kit.subtitles import clock

STYLE = """
:root { color-scheme: light; }
body { font: 10.5pt/1.5 system-ui, "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", sans-serif; color: #111;
  background: #fff; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6em; margin: 0; } h2 { font-size: 1.2em; border-bottom: 1px solid #999; margin: 2em 0 .6em; }
h3 { font-size: 1em; margin: 0 0 .2em; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .15em .6em; }
th { font-weight: 600; width: 12em; color: #333; } td { overflow-wrap: anywhere; white-space: pre-wrap; }
.notice { color: #333; } .banner { border: 2px solid #a15c00; padding: .5em 1em; margin: 1em 0; }
article { border-left: 4px solid #999; padding: .2em .8em; margin: .8em 0; break-inside: avoid; }
article.suspected, article.unmet { border-color: #a00; } article.met { border-color: #060; }
blockquote { margin: .3em 0; padding-left: .8em; border-left: 2px solid #ccc; overflow-wrap: anywhere; }
small { color: #444; overflow-wrap: anywhere; } .said th { width: 10em; font-weight: 400; }
@media print { body { margin: 0; max-width: none; } thead { display: table-header-group; } }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_UNWRITTEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_CLASSES = {Verdict.SUSPECTED: "suspected", Verdict.UNMET: "unmet", Verdict.MET: "met"}


def report_response(call: Call, words: Words) -> HTMLResponse:
    return HTMLResponse(
        report(call, words),
        headers={
            "Content-Security-Policy": POLICY,
            "Content-Language": words.language,
            "Vary": "Accept-Language",
            "Cache-Control": "private, no-store",
        },
    )


def text(value: object) -> str:
    """Text that is nothing but text, and whose direction turns nothing beside it."""
    return f"<bdi>{html.escape(_UNWRITTEN.sub(_UNKNOWN, str(value)))}</bdi>"


def report(call: Call, words: Words) -> str:
    parts = [
        f"<h1>{text(words.title)}</h1>",
        f'<p class="notice">{text(words.notice)}</p>',
        _banner(call, words),
        f"<h2>{text(words.call)}</h2>",
        _call(call, words),
        f"<h2>{text(words.provenance)}</h2>",
        _provenance(call, words),
        _summary(call, words),
        f"<h2>{text(words.check)}</h2>",
        _check(call, words),
        f"<h2>{text(words.transcript)}</h2>",
        _transcript(call.transcript, words),
    ]
    return (
        f'<!doctype html>\n<html lang="{words.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(words.title)} {html.escape(call.id)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def not_whole(stages: Iterable[StageReport]) -> list[StageReport]:
    return [stage for stage in stages if stage.status is not StageStatus.OK]


def _banner(call: Call, words: Words) -> str:
    broken = not_whole(call.stages)
    told = [
        f"<li>{text(words.stages.get(one.stage, one.stage))}: {text(words.stage_statuses[one.status])}"
        f" {text(': '.join(filter(None, (one.backend, one.error_type, one.error))))}</li>"
        for one in broken
    ]
    if call.error is not None:
        told.append(f"<li>{text(words.fields['error'])}: {text(call.error.code)}: {text(call.error.detail)}</li>")
    if not told:
        return ""
    return f'<div class="banner" role="alert"><strong>{text(words.degraded)}</strong><ul>{"".join(told)}</ul></div>'


def _call(call: Call, words: Words) -> str:
    known = call.metadata
    duration = call.transcript.duration if call.transcript else None
    return _table(
        words,
        [
            ("id", call.id),
            ("status", words.statuses[call.status]),
            ("revision", call.revision),
            ("healing", words.healings[call.healing.state]),
            ("created_at", _moment(call.created_at)),
            ("updated_at", _moment(call.updated_at)),
            ("reference", known.reference),
            ("agent_id", known.agent_id),
            ("product_type", known.product_type),
            ("customer_type", known.customer_type),
            ("channel", words.channels[known.channel]),
            ("started_at", _moment(known.started_at) if known.started_at else None),
            ("duration", f"{duration:.1f} {words.seconds}" if duration is not None else None),
            ("filename", call.recording.filename),
            ("bytes", f"{call.recording.bytes:,}"),
        ],
    )


def _provenance(call: Call, words: Words) -> str:
    check = call.check
    stages = ", ".join(
        f"{words.stages.get(one.stage, one.stage)}: {words.stage_statuses[one.status]}" for one in call.stages
    )
    return _table(
        words,
        [
            ("sha256", call.recording.sha256),
            ("recogniser", call.transcript.model if call.transcript else words.unknown),
            ("rule_set", f"{check.rule_set} {check.rule_set_version}" if check else words.unknown),
            ("model", (check.model if check else None) or words.unknown),
            ("backend", (check.backend if check else None) or words.unknown),
            ("prompt_version", (check.prompt_version if check else None) or words.unknown),
            ("status", stages or words.unknown),
        ],
    )


def _summary(call: Call, words: Words) -> str:
    if call.summary is None:
        return ""
    rows = _table(
        words,
        [("sentence", call.summary.sentence), ("purpose", call.summary.reason), ("actions", call.summary.actions)],
    )
    return f'<h2>{text(words.summary)}</h2><p class="notice">{text(words.by_model)}</p>{rows}'


def _check(call: Call, words: Words) -> str:
    check = call.check
    if check is None:
        return f"<p>{text(words.no_check)}</p>"
    score = words.no_score if check.score is None else f"{check.score:g} / 100"
    reason = f" — {text(check.reason)}" if check.reason else ""
    counted = (
        (Verdict.MET, check.totals.met),
        (Verdict.PARTLY_MET, check.totals.partly_met),
        (Verdict.UNMET, check.totals.unmet),
        (Verdict.SUSPECTED, check.totals.suspected),
        (Verdict.NOT_APPLICABLE, check.totals.not_applicable),
        (Verdict.NOT_EVALUATED, check.totals.not_evaluated),
    )
    totals = ", ".join(f"{words.verdicts[verdict]} {count}" for verdict, count in counted)
    head = (
        f"<p><strong>{text(words.score)}: {text(score)}</strong> ({text(words.check_statuses[check.status])}{reason})"
        f"<br>{text(totals)}, {text(words.needs_human)} {check.totals.needs_human}</p>"
    )
    broken = ", ".join(f"{words.stages.get(one.stage, one.stage)}={one.status}" for one in not_whole(call.stages))
    rests = _rests_on(check, call.recording.sha256, broken)
    return head + "".join(_element(element, rests, words) for element in check.elements)


def _rests_on(check: CheckResult, sha256: str, broken: str) -> str:
    """Stands below every verdict, so that one that is cut out still says what it rests on."""
    versions = (f"{check.rule_set} {check.rule_set_version}", check.model, check.prompt_version, f"sha256 {sha256}")
    return text(" · ".join(filter(None, (*versions, broken))))


def _element(element: ElementResult, rests: str, words: Words) -> str:
    marks = [f"{words.confidence} {element.confidence:.0%}", words.judges[element.judge]]
    marks.append(words.severities[element.severity])
    marks += [words.needs_human] * element.needs_human + [words.needs_legal_review] * element.needs_legal_review
    quotes = "".join(_quote(one, words) for one in element.evidence) or f"<p>{text(words.no_evidence)}</p>"
    reason = f"<p>{text(words.fields['reason'])}: {text(element.reason)}</p>" if element.reason else ""
    return (
        f'<article class="{_CLASSES.get(element.verdict, "other")}"><h3>{text(element.id)} {text(element.name)}: '
        f"{text(words.verdicts[element.verdict])}</h3>"
        f"<div>{text(element.article)} · {text(' · '.join(marks))}</div>{reason}{quotes}"
        f"<small>{rests}</small></article>"
    )


def _quote(evidence: Evidence, words: Words) -> str:
    when = _span(evidence.start, evidence.end, words)
    told = " · ".join(
        filter(
            None,
            (
                words.speakers[evidence.speaker],
                when,
                evidence.utterance_id,
                words.judges[evidence.source],
                evidence.rule,
            ),
        )
    )
    return f"<blockquote>“{text(evidence.quote)}”<br><small>{text(told)}</small></blockquote>"


def _transcript(transcript: CallTranscript | None, words: Words) -> str:
    if transcript is None:
        return f"<p>{text(words.no_transcript)}</p>"
    said = "".join(
        f"<tr><th>{text('' if one.start is None else clock(one.start, '.'))}<br>"
        f"{text(words.speakers[one.speaker])}</th>"
        f"<td>{text(one.text)}</td></tr>"
        for one in transcript.utterances
    )
    doubted = "".join(
        f"<tr><th>{text(_span(one.start, one.end, words))}<br>{text(one.reason)}"
        f"{' ' + text(words.dropped) if one.dropped else ''}</th><td>{text(one.text)}</td></tr>"
        for one in transcript.suspect
    )
    masked = f"<p>{text(words.masked)}: {transcript.masked}</p>" if transcript.masked else ""
    tail = f'<h2>{text(words.suspect)}</h2><table class="said">{doubted}</table>' if doubted else ""
    return f'{masked}<table class="said">{said}</table>{tail}'


def _table(words: Words, rows: Iterable[tuple[str, object]]) -> str:
    told = (
        f"<tr><th>{text(words.fields[name])}</th><td>{text(value)}</td></tr>"
        for name, value in rows
        if value is not None
    )
    return f"<table>{''.join(told)}</table>"


def _span(start: float | None, end: float | None, words: Words) -> str:
    if start is None:
        return ""
    return f"{start:.1f} {words.seconds}" if end is None else f"{start:.1f}–{end:.1f} {words.seconds}"


def _moment(moment: dt.datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
