import pytest

from chammal_llm_gateway.backends import make_backends
from chammal_llm_gateway.settings import BackendName, LlmSettings


def order(settings: LlmSettings) -> list[str]:
    return [str(one.backend.name) for one in make_backends(settings)]


def test_a_backend_is_present_when_its_address_or_key_is_set() -> None:
    told = {"llamacpp_url": "http://l", "openai_key": "k", "anthropic_key": "k"}
    assert order(LlmSettings()) == []
    assert order(LlmSettings(**told)) == ["openai", "anthropic", "llamacpp"]  # type: ignore[arg-type]


def test_the_order_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAMMAL_LLM_ORDER", "ollama, vllm")
    monkeypatch.setenv("CHAMMAL_LLM_OLLAMA_URL", "http://o")
    monkeypatch.setenv("CHAMMAL_LLM_VLLM_URL", "http://v")
    monkeypatch.setenv("CHAMMAL_LLM_ALIASES", "")
    assert LlmSettings().order == (BackendName.OLLAMA, BackendName.VLLM)
    assert order(LlmSettings()) == ["ollama", "vllm"]


@pytest.mark.parametrize(
    ("url", "base"),
    [("http://v:8000", "http://v:8000/v1"), ("http://v/", "http://v/v1"), ("http://v/v1/", "http://v/v1"),
     ("https://cloud/v1beta/openai", "https://cloud/v1beta/openai")],
)  # fmt: skip
def test_an_address_may_come_with_its_path_or_without(url: str, base: str) -> None:
    assert make_backends(LlmSettings(vllm_url=url))[0].backend.upstream.base_url == base


def test_keys_are_not_shown() -> None:
    assert "sk-secret" not in repr(LlmSettings(openai_key="sk-secret"))  # type: ignore[arg-type]
