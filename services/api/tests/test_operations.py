import pytest
from fastapi.testclient import TestClient

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from chammal_api.tally import Tally
from chammal_contracts.failures import Environment
from chammal_contracts.stages import BreakerState, Stage, StageReport, StageStatus
from chammal_kit.metrics import REGISTRY


def test_failures_name_the_environment_so_that_drills_can_be_refused_in_production(settings: ApiSettings) -> None:
    for environment in Environment:
        told = settings.model_copy(update={"environment": environment})
        with TestClient(create(told)) as client:
            assert client.get("/v1/failures").json()["environment"] == environment


def test_failures_have_a_row_with_a_breaker_for_every_stage_from_the_start(settings: ApiSettings) -> None:
    with TestClient(create(settings)) as client:
        rows = client.get("/v1/failures").json()["stages"]
        series = client.get("/metrics").text
    assert {row["stage"] for row in rows} == {"stt", "analysis", "tts", "summary"}
    assert {row["breaker"] for row in rows} == {"closed"}
    for row in rows:
        assert f'chammal_stage_total{{stage="{row["stage"]}",status="dummy"}}' in series


def test_at_its_start_it_is_said_where_calls_are_kept(settings: ApiSettings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with TestClient(create(settings)):
        assert str(settings.data_dir) in caplog.text


def test_a_summary_that_a_call_did_not_get_is_a_failure_and_one_not_attempted_is_none() -> None:
    tally = Tally()
    for status in (StageStatus.OK, StageStatus.DUMMY, StageStatus.SKIPPED):
        tally.count([StageReport(stage=Stage.SUMMARY, status=status)])
    report = tally.report({Stage.SUMMARY: BreakerState.OPEN}, Environment.DEVELOPMENT)
    (row,) = [row for row in report.stages if row.stage is Stage.SUMMARY]
    assert (row.total, row.failures, row.rate, row.breaker) == (2, 1, 0.5, "open")


def test_a_call_that_is_not_accepted_is_counted_where_the_alert_looks(settings: ApiSettings) -> None:
    told = settings.model_copy(update={"max_stored_bytes": 1})
    labels = {"method": "POST", "route": "/v1/calls", "status": "507"}
    with TestClient(create(told)) as client:
        before = REGISTRY.get_sample_value("chammal_http_requests_total", labels) or 0.0
        assert client.post("/v1/calls", files={"file": ("a.wav", b"RIFF....WAVEfmt ")}).status_code == 507
        assert REGISTRY.get_sample_value("chammal_http_requests_total", labels) == before + 1
