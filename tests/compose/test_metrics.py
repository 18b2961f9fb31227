"""Metric names: what the code counts, what docs/metrics.md says, and what the dashboard and the alerts ask for."""

import re
import runpy
import shutil
import subprocess
from types import ModuleType
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

import chammal_api.calls.call_metrics
import chammal_api.calls.webhooks
import chammal_api.check.rule_shelf
import chammal_api.tally
import chammal_kit.limit_metrics
import chammal_kit.metrics
import chammal_kit.outbound_metrics
import chammal_llm_gateway.metrics
import chammal_stt.metrics
import chammal_tts.metrics
from tests.compose.conftest import ROOT
from tests.compose.dashboards import DASHBOARD, queries

DOCUMENT = ROOT / "docs" / "metrics.md"
SECTIONS: dict[str, ModuleType] = {
    "Every service": chammal_kit.metrics,
    "Calls to other services: api and llm-gateway": chammal_kit.outbound_metrics,
    "What is let in: stt, llm-gateway and tts": chammal_kit.limit_metrics,
    "api": chammal_api.tally,
    "Recorded calls: api": chammal_api.calls.call_metrics,
    "Webhooks: api": chammal_api.calls.webhooks,
    "Rule sets: api": chammal_api.check.rule_shelf,
    "stt": chammal_stt.metrics,
    "llm-gateway": chammal_llm_gateway.metrics,
    "tts": chammal_tts.metrics,
}
KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
INTRODUCTION = """# Metrics

Every service answers `GET /metrics` for Prometheus; `docker compose up` starts one, with alert rules
(`compose/prometheus/alerts.yml`) and a Grafana dashboard. Series exist from the start with 0, so rates and alerts see
the first failure. A failed stage of a call that was answered counts as a stage, not as an HTTP error.

A test compares this page with the code; `python -m tests.compose.test_metrics` writes it anew.
"""


def metrics(module: ModuleType) -> list[MetricWrapperBase]:
    return [value for value in vars(module).values() if isinstance(value, MetricWrapperBase)]


def name(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if isinstance(metric, Counter) else metric._name


def series(metric: MetricWrapperBase) -> set[str]:
    if isinstance(metric, Histogram):
        return {f"{name(metric)}_{part}" for part in ("bucket", "count", "sum")}
    return {name(metric)}


def document() -> str:
    parts = [INTRODUCTION]
    for title, module in SECTIONS.items():
        rows = [
            f"| `{name(metric)}` | {KINDS[type(metric)]} | "
            f"{', '.join(f'`{label}`' for label in metric._labelnames)} | {metric._documentation} |"
            for metric in metrics(module)
        ]
        parts.append(
            "\n".join([f"## {title}\n", "| name | kind | labels | what it is |", "|---|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / "compose/prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[str]:
    return [rule["expr"] for rule in rules()]


def test_the_page_names_every_metric_of_the_code() -> None:
    assert DOCUMENT.read_text() == document()


def test_every_metric_is_named_after_us_and_says_what_it_is() -> None:
    for metric in (metric for module in SECTIONS.values() for metric in metrics(module)):
        assert name(metric).startswith("chammal_")
        assert metric._documentation.endswith(".")


def test_the_dashboard_is_what_its_source_prints(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "compose/grafana/dashboard.py"), run_name="__main__")
    assert DASHBOARD.read_text() == capsys.readouterr().out


@pytest.mark.parametrize("expression", [*queries(), *alerts()])
def test_dashboard_and_alerts_ask_for_series_that_the_code_has(expression: str) -> None:
    known = {one for module in SECTIONS.values() for metric in metrics(module) for one in series(metric)}
    assert set(re.findall(r"\bchammal_\w+", expression)) <= known
    assert re.search(r"\bchammal_|\bup\b", expression)


def test_operators_are_told_what_each_alert_means_and_what_to_do() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert re.findall(r"^\| ([A-Z]\w+) \| \S.* \| \S.* \|$", page, re.MULTILINE) == [rule["alert"] for rule in rules()]


def test_every_alert_is_tested() -> None:
    tests = yaml.safe_load((ROOT / "tests/compose/alerts.test.yml").read_text())["tests"]
    raised = {rule["alertname"] for test in tests for rule in test["alert_rule_test"] if rule["exp_alerts"]}
    assert raised == {rule["alert"] for rule in rules()}


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed; tests/compose runs its image's"
)
def test_the_alerts_do_what_they_say() -> None:
    for arguments in (
        ["check", "config", "compose/prometheus/prometheus.yml"],
        ["test", "rules", "tests/compose/alerts.test.yml"],
    ):
        done = subprocess.run(["promtool", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    DOCUMENT.write_text(document())
