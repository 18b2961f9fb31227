import json
from pathlib import Path

from chammal_tts.app import create

COMMITTED = Path(__file__).parents[1] / "openapi.json"


def test_the_committed_description_is_that_of_the_code() -> None:
    """Renew it: python -m chammal_tts --openapi > services/tts/openapi.json"""
    assert json.loads(COMMITTED.read_text("utf-8")) == create().openapi()
