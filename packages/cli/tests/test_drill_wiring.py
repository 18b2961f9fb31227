from chammal.drill.wiring import with_faults
from chammal.faults.settings import read_routes
from chammal.mesh import programs
from chammal.settings import UpSettings


def test_every_service_is_led_through_a_proxy_to_the_next() -> None:
    settings = UpSettings(stt_port=9001, llm_port=9002, tts_port=9004, llamacpp_port=9005)
    faults, *mesh = with_faults(programs(settings, embedded=True), settings, 9474)
    routes = {route.name: route for route in read_routes(faults.env["CHAMMAL_FAULTS_ROUTES"])}
    assert {name: route.target[1] for name, route in routes.items()} == {
        "stt": 9001, "llm-gateway": 9002, "tts": 9004, "llamacpp": 9005,
    }  # fmt: skip
    for program in mesh:
        assert program.env["CHAMMAL_API_TTS_URL"] == f"http://127.0.0.1:{routes['tts'].listen[1]}"
        assert program.env["CHAMMAL_LLM_LLAMACPP_URL"] == f"http://127.0.0.1:{routes['llamacpp'].listen[1]}"
    assert {program.name: program.address for program in mesh}["tts"] == "http://127.0.0.1:9004"
    assert faults.address == "http://127.0.0.1:9474"


def test_a_language_model_of_the_users_own_is_proxied_with_its_path_and_one_behind_tls_is_not() -> None:
    settings = UpSettings(llm_vllm_url="http://gpu:8000/v2", llm_openai_url="https://api.example.com")
    faults, api, *_ = with_faults(programs(settings, embedded=False), settings, 9474)
    routes = {route.name: route for route in read_routes(faults.env["CHAMMAL_FAULTS_ROUTES"])}
    assert routes["vllm"].target == ("gpu", 8000)
    assert api.env["CHAMMAL_LLM_VLLM_URL"] == f"http://127.0.0.1:{routes['vllm'].listen[1]}/v2"
    assert "openai" not in routes
