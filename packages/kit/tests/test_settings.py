import pytest

from chammal_kit.settings import LogFormat, ServiceSettings, settings_config


class ProbeSettings(ServiceSettings):
    model_config = settings_config("CHAMMAL_PROBE_")


def test_every_setting_has_a_default_that_works() -> None:
    assert ProbeSettings().log_format is LogFormat.CONSOLE


def test_a_services_own_variable_wins_over_the_shared_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMMAL_LOG_LEVEL", "DEBUG")
    assert ProbeSettings().log_level == "DEBUG"
    monkeypatch.setenv("CHAMMAL_PROBE_LOG_LEVEL", "ERROR")
    assert ProbeSettings().log_level == "ERROR"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMMAL_PROBE_LOG_LEVEL", "")
    monkeypatch.setenv("CHAMMAL_LOG_FORMAT", "")
    assert ProbeSettings().log_level == "INFO"
    assert ProbeSettings().log_format is LogFormat.CONSOLE
