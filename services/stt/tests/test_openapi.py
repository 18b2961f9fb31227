import json
from pathlib import Path

from chammal_stt.app import create
from chammal_stt.settings import SttSettings

COMMITTED = Path(__file__).resolve().parents[1] / "openapi.json"


def test_the_committed_openapi_document_is_that_of_the_code() -> None:
    """Renew it: python -m chammal_stt --openapi > services/stt/openapi.json"""
    assert json.loads(COMMITTED.read_text("utf-8")) == create(SttSettings()).openapi()
