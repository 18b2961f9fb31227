"""Prints the Grafana dashboard. After a change:

python compose/grafana/dashboard.py > compose/grafana/dashboards/chammal.json
"""

import json
import sys
from typing import Any

RATE = "[$__rate_interval]"
WIDTH, HEIGHT = 8, 8

PANELS: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    # title, kind, unit, [(expression, legend)]
    ("Services up", "stat", "short", [("up", "{{service}}")]),
    (
        "Answers in this period, by outcome",
        "stat",
        "short",
        [("sum by (outcome) (increase(chammal_answers_total[$__range]))", "{{outcome}}")],
    ),
    (
        "Stages without a real answer",
        "stat",
        "percentunit",
        [
            (
                'sum by (stage) (rate(chammal_stage_total{status="dummy"}[$__range]))'
                ' / clamp_min(sum by (stage) (rate(chammal_stage_total{status!="skipped"}[$__range])), 1e-9)',
                "{{stage}}",
            )
        ],
    ),
    (
        "Requests",
        "timeseries",
        "reqps",
        [
            (
                'sum by (service, route) (rate(chammal_http_requests_total{route!~"/health|/ready|/metrics"}'
                f"{RATE}))",
                "{{service}} {{route}}",
            )
        ],
    ),
    (
        "Stages by status",
        "timeseries",
        "ops",
        [(f"sum by (stage, status) (rate(chammal_stage_total{RATE}))", "{{stage}} {{status}}")],
    ),
    (
        "Dummies and partial answers",
        "timeseries",
        "ops",
        [(f'sum by (outcome) (rate(chammal_answers_total{{outcome=~"dummy|partial"}}{RATE}))', "{{outcome}}")],
    ),
    (
        "Failure rate of calls to each upstream",
        "timeseries",
        "percentunit",
        [
            (
                'sum by (service, upstream) (rate(chammal_upstream_requests_total{outcome!~"ok|cancelled|rejected"}'
                f"{RATE}))"
                f" / clamp_min(sum by (service, upstream) (rate(chammal_upstream_requests_total{RATE})), 1e-9)",
                "{{service}} to {{upstream}}",
            )
        ],
    ),
    (
        "Breakers (0 closed, 1 half open, 2 open)",
        "state-timeline",
        "short",
        [
            (
                'sum by (service, upstream) (chammal_breaker_state{state="half_open"}'
                ' or 2 * chammal_breaker_state{state="open"})',
                "{{service}} to {{upstream}}",
            )
        ],
    ),
    (
        "Failures by type",
        "timeseries",
        "ops",
        [
            (
                f'sum by (upstream, outcome) (rate(chammal_upstream_requests_total{{outcome!~"ok|cancelled"}}{RATE}))',
                "{{upstream}} {{outcome}}",
            )
        ],
    ),
    (
        "Latency by stage",
        "timeseries",
        "s",
        [
            (
                f"histogram_quantile({quantile}, sum by (le, stage) (rate(chammal_stage_seconds_bucket{RATE})))",
                f"{{{{stage}}}} p{quantile[2:]:0<2}",
            )
            for quantile in ("0.5", "0.95")
        ],
    ),
    (
        "Language model: first token of a stream",
        "timeseries",
        "s",
        [
            (
                f"histogram_quantile({quantile},"
                f" sum by (le, backend) (rate(chammal_llm_first_token_seconds_bucket{RATE})))",
                f"{{{{backend}}}} p{quantile[2:]:0<2}",
            )
            for quantile in ("0.5", "0.95")
        ],
    ),
    (
        "Speech-to-text: seconds of work for a second of audio",
        "timeseries",
        "none",
        [
            (
                f"rate(chammal_stt_real_time_factor_sum{RATE})"
                f" / clamp_min(rate(chammal_stt_real_time_factor_count{RATE}), 1e-9)",
                "mean",
            )
        ],
    ),
    (
        "Language model: tokens",
        "timeseries",
        "short",
        [(f"sum by (backend, direction) (rate(chammal_llm_tokens_total{RATE}))", "{{backend}} {{direction}}")],
    ),
    ("Waiting for a recogniser", "timeseries", "short", [("chammal_stt_queue_depth", "calls")]),
    (
        "Calls in flight, by upstream",
        "timeseries",
        "short",
        [("chammal_bulkhead_in_flight", "{{service}} to {{upstream}}")],
    ),
    (
        "Let in at once, and the limit",
        "timeseries",
        "short",
        [("chammal_limit_in_flight", "{{limit}} in"), ("chammal_limit", "{{limit}} limit")],
    ),
    (
        "Refused because full, by why",
        "timeseries",
        "ops",
        [(f"sum by (limit, reason) (rate(chammal_limit_shed_total{RATE}))", "{{limit}} {{reason}}")],
    ),
    (
        "Recorded calls that wait or are in work",
        "timeseries",
        "short",
        [
            ("max(chammal_calls_queued)", "wait for their first run"),
            ("max(chammal_calls_running)", "in work"),
            ("max(chammal_calls_waiting_to_heal)", "wait to heal"),
        ],
    ),
    (
        "Recorded calls that ended, by status",
        "timeseries",
        "ops",
        [(f"sum by (status) (rate(chammal_calls_finished_total{RATE}))", "{{status}}")],
    ),
    (
        "Recorded calls in this period",
        "stat",
        "short",
        [
            ("sum(increase(chammal_calls_accepted_total[$__range]))", "accepted"),
            ("sum(increase(chammal_calls_refused_total[$__range]))", "refused"),
            ("sum(increase(chammal_calls_healed_total[$__range]))", "healed"),
            ("sum(increase(chammal_calls_given_up_total[$__range]))", "given up"),
        ],
    ),
    (
        "Longest wait to heal",
        "timeseries",
        "s",
        [("max(chammal_calls_oldest_wait_seconds)", "oldest")],
    ),
    (
        "Recorded calls: latency by stage",
        "timeseries",
        "s",
        [
            (
                f"histogram_quantile({quantile}, sum by (le, stage) (rate(chammal_calls_stage_seconds_bucket{RATE})))",
                f"{{{{stage}}}} p{quantile[2:]:0<2}",
            )
            for quantile in ("0.5", "0.95")
        ],
    ),
    (
        "Webhooks by outcome",
        "timeseries",
        "ops",
        [(f"sum by (outcome) (rate(chammal_webhook_deliveries_total{RATE}))", "{{outcome}}")],
    ),
    ("Recordings kept", "timeseries", "bytes", [("max(chammal_calls_stored_bytes)", "bytes")]),
]


def panel(index: int, title: str, kind: str, unit: str, queries: list[tuple[str, str]]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": unit, "min": 0}
    if kind == "state-timeline":
        states = {"0": ("closed", "green"), "1": ("half open", "yellow"), "2": ("open", "red")}
        options = {value: {"text": text, "color": colour} for value, (text, colour) in states.items()}
        defaults["mappings"] = [{"type": "value", "options": options}]
    return {
        "id": index + 1,
        "title": title,
        "type": kind,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": {"x": index % 3 * WIDTH, "y": index // 3 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expression, "legendFormat": legend, "instant": kind == "stat"}
            for place, (expression, legend) in enumerate(queries)
        ],
    }


def dashboard() -> dict[str, Any]:
    return {
        "uid": "chammal",
        "title": "Chammal",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "panels": [panel(index, *told) for index, told in enumerate(PANELS)],
    }


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")
