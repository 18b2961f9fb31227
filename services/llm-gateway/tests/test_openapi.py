import json
from pathlib import Path

from chammal_llm_gateway.app import create
from chammal_llm_gateway.settings import LlmSettings

COMMITTED = Path(__file__).parents[1] / "openapi.json"


def test_the_committed_openapi_document_is_current() -> None:
    """`python -m chammal_llm_gateway --openapi > services/llm-gateway/openapi.json` renews it."""
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == create(LlmSettings()).openapi()
