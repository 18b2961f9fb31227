import pytest
from pydantic import ValidationError

from chammal.drill.scenario import Scenario, route_for, scenarios
from chammal.faults.fault import FaultKind
from chammal_contracts.stages import Stage, StageStatus

KNOWN_ROUTES = {"stt", "llm-gateway", "tts", "vllm"}


@pytest.mark.parametrize("scenario", scenarios().values(), ids=str)
def test_every_scenario_breaks_something_that_has_a_proxy_and_says_what_users_may_see(scenario: Scenario) -> None:
    assert scenario.title
    assert {each.upstream for each in scenario.breaks} <= KNOWN_ROUTES
    assert scenario.stages
    for stage, statuses in scenario.stages.items():
        assert StageStatus.DUMMY in statuses, stage


@pytest.mark.parametrize(
    "name",
    [
        "vllm-down", "vllm-hangs", "vllm-slow", "vllm-rate-limited", "gateway-down", "gateway-503",
        "stt-down", "stt-garbage", "stt-hangs", "tts-down", "tts-slow", "everything-flaky",
    ],
)  # fmt: skip
def test_the_named_faults_can_be_rehearsed(name: str) -> None:
    assert scenarios()[name].name == name


def test_a_fault_carries_its_fields_to_the_proxy() -> None:
    (each,) = scenarios()["gateway-503"].breaks
    assert (each.fault.kind, each.fault.status, each.fault.retry_after) == (FaultKind.STATUS, 503, 5)


def test_a_stage_that_is_not_named_must_stay_ok() -> None:
    scenario = scenarios()["tts-down"]
    assert scenario.may_be(Stage.STT, whole_fault=True) == {StageStatus.OK}
    assert scenario.may_be(Stage.TTS, whole_fault=True) == {StageStatus.DUMMY}
    assert scenario.may_be(Stage.TTS, whole_fault=False) == {StageStatus.DUMMY, StageStatus.OK}


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        Scenario.model_validate({"name": "x", "title": "x", "breaks": [], "stages": {}, "stage": {}})


def test_where_there_is_no_vllm_the_first_language_model_that_there_is_is_drilled() -> None:
    assert route_for("vllm", ["stt", "llamacpp"]) == "llamacpp"
    assert route_for("vllm", ["llamacpp", "vllm"]) == "vllm"
    assert route_for("stt", ["tts"]) is None
