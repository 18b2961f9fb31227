"""docs/configuration.md names every setting of every service, with the default that the code has."""

from enum import Enum
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from chammal.drill.settings import DrillSettings
from chammal.faults.settings import FaultSettings
from chammal.settings import UpSettings
from chammal_api.settings import ApiSettings
from chammal_kit.settings import ServiceSettings
from chammal_llm_gateway.settings import LlmSettings
from chammal_stt.settings import SttSettings
from chammal_tts.settings import TtsSettings

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
SECTIONS: dict[str, type[BaseSettings]] = {
    "All services": ServiceSettings,
    "stt": SttSettings,
    "llm-gateway": LlmSettings,
    "tts": TtsSettings,
    "api": ApiSettings,
    "chammal up": UpSettings,
    "chammal drill": DrillSettings,
    "chammal.faults (tests and drills)": FaultSettings,
}


def shown(value: object) -> str:
    if value is None or value == "":
        return "unset"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, tuple):
        return f"`{','.join(str(getattr(v, 'value', v)) for v in value)}`" if value else "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def rows(settings: type[BaseSettings]) -> list[str]:
    prefix = settings.model_config.get("env_prefix", "")
    shared = set(ServiceSettings.model_fields) - {"port"}
    lines = []
    for name, field in settings.model_fields.items():
        if settings is not ServiceSettings and name in shared and issubclass(settings, ServiceSettings):
            continue
        if settings is ServiceSettings and name == "port":
            continue
        assert field.default is not PydanticUndefined, f"{name} has no default"
        assert field.description, f"{name} has no description"
        lines.append(f"| `{prefix}{name.upper()}` | {shown(field.default)} | {field.description} |")
    return lines


def document() -> str:
    parts = [
        "# Configuration\n",
        "Everything is an environment variable, and every default works. A service's own variable wins over the\n"
        "shared one: `CHAMMAL_STT_LOG_LEVEL` over `CHAMMAL_LOG_LEVEL`. Lists are separated by commas. `tests/docs`\n"
        "fails when this page and the code differ; `python tests/docs/test_configuration.py` writes it anew.\n",
    ]
    for title, settings in SECTIONS.items():
        parts.append(
            f"## {title}\n\n| variable | default | what it is |\n|---|---|---|\n" + "\n".join(rows(settings)) + "\n"
        )
    return "\n".join(parts)


def test_every_setting_is_documented_with_its_default() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document()


@pytest.mark.parametrize("settings", SECTIONS.values())
def test_every_default_works(settings: type[BaseSettings]) -> None:
    settings()


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
