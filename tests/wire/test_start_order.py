"""Services start in any order: alone, and with what they need coming later."""

import os
from pathlib import Path

import pytest

from tests.wire.service import ROOT, Service, Upstream, free_port, until


def test_the_api_and_the_gateway_wait_for_what_is_behind_them() -> None:
    model, llm = free_port(), free_port()
    behind = f"http://127.0.0.1:{model}"
    api = Service(
        ["-m", "chammal_api"], "API", API_LLM_URL=f"http://127.0.0.1:{llm}", API_STT_URL=behind, API_TTS_URL=behind
    )
    assert api.client.get("/ready").json()["degraded"] == ["stt", "llm-gateway", "tts"]
    gateway = Service(["-m", "chammal_llm_gateway"], "LLM", llm, LLM_VLLM_URL=behind)
    try:
        checks = gateway.client.get("/ready").json()["checks"]
        assert [(check["name"], check["ready"]) for check in checks] == [("vllm", False)]
        assert "connect_error" in checks[0]["reason"]
        upstream = Upstream(model)
        try:
            until(lambda: gateway.status("/ready") == 200)
            until(lambda: not api.client.get("/ready").json()["degraded"])
        finally:
            upstream.close()
        until(lambda: gateway.status("/ready") == 503)
    finally:
        api.close()
        gateway.close()


@pytest.mark.model
def test_stt_waits_for_its_model(tmp_path: Path) -> None:
    models = Path(os.environ.get("CHAMMAL_MODELS_DIR", ROOT / "models")).absolute()
    service = Service(
        ["-m", "chammal_stt"], "STT", MODELS_DIR=tmp_path, STT_MODEL="whisper-tiny.en", HF_HUB_CACHE=tmp_path
    )
    try:
        until(lambda: "fetch" in (service.client.get("/ready").json()["checks"][0]["hint"] or ""))
        (tmp_path / "whisper-tiny.en").symlink_to(models / "whisper-tiny.en")
        until(lambda: service.status("/ready") == 200)
    finally:
        service.close()
