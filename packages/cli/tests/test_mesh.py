import socket
from pathlib import Path

import pytest

from chammal.mesh import PortInUse, check_ports, needs_embedded_model, programs
from chammal.settings import UpSettings


@pytest.mark.parametrize(
    "configured",
    [
        {"llm_vllm_url": "http://127.0.0.1:8000"},
        {"llm_ollama_url": "http://127.0.0.1:11434"},
        {"llm_openai_key": "key"},
        {"llm_openai_url": "http://127.0.0.1:9000"},
        {"llm_anthropic_key": "key"},
        {"llm_llamacpp_url": "http://127.0.0.1:8005"},
    ],
)
def test_a_configured_language_model_makes_the_embedded_one_unnecessary(configured: dict[str, str]) -> None:
    assert needs_embedded_model(UpSettings())
    assert not needs_embedded_model(UpSettings.model_validate(configured))


def test_the_services_are_told_each_others_addresses() -> None:
    mesh = programs(UpSettings(stt_port=9001, llamacpp_port=9005), embedded=True)
    assert {program.name: program.address for program in mesh}["stt"] == "http://127.0.0.1:9001"
    for program in mesh:
        assert program.env["CHAMMAL_API_STT_URL"] == "http://127.0.0.1:9001"
        assert program.env["CHAMMAL_STT_PORT"] == "9001"
        assert program.env["CHAMMAL_LLM_LLAMACPP_URL"] == "http://127.0.0.1:9005"


def test_every_program_listens_where_the_mesh_looks_for_it() -> None:
    variables = {"stt": "STT", "tts": "TTS", "llm-gateway": "LLM", "api": "API", "llamacpp": "LLAMACPP"}
    ports = {variable: 9101 + at for at, variable in enumerate(variables.values())}
    settings = UpSettings.model_validate({f"{variable.lower()}_port": port for variable, port in ports.items()})
    for program in programs(settings, embedded=True):
        variable = variables[program.name]
        assert program.env[f"CHAMMAL_{variable}_PORT"] == str(ports[variable])
        assert program.address == f"http://127.0.0.1:{ports[variable]}"


def test_without_the_embedded_model_neither_its_program_nor_its_address_is_there() -> None:
    mesh = programs(UpSettings(), embedded=False)
    assert [program.name for program in mesh] == ["api", "stt", "tts", "llm-gateway"]
    assert all("CHAMMAL_LLM_LLAMACPP_URL" not in program.env for program in mesh)


@pytest.mark.parametrize(("asked", "told"), [(None, "true"), ("false", "false")])
def test_its_own_model_reads_the_instructions_of_a_conversation_ahead_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, told: str
) -> None:
    name = "CHAMMAL_API_REALTIME_PREPARE"
    monkeypatch.delenv(name, raising=False)
    if asked is not None:
        monkeypatch.setenv(name, asked)
    assert {program.env[name] for program in programs(UpSettings(), embedded=True)} == {told}
    assert not any(name in program.env for program in programs(UpSettings(), embedded=False))


def test_paths_are_passed_on_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    env = programs(UpSettings(models_dir=Path("weights")), embedded=False)[0].env
    assert env["CHAMMAL_MODELS_DIR"] == str(tmp_path / "weights")
    assert Path(env["CHAMMAL_MODELS_MANIFEST"]).is_file(), "the package's own, away from the repository"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_busy_port_is_named_with_the_variable_that_changes_it() -> None:
    free = [free_port() for _ in range(4)]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        busy = listener.getsockname()[1]
        settings = UpSettings(
            stt_port=free[0], llm_port=free[1], api_port=busy, tts_port=free[2], llamacpp_port=free[3]
        )
        with pytest.raises(PortInUse, match=f"{busy}.*CHAMMAL_API_PORT"):
            check_ports(settings, embedded=True)
