"""What the fault proxy can be told: `CHAMMAL_FAULTS_<FIELD>` in the environment."""

from typing import NamedTuple

from pydantic import Field
from pydantic_settings import BaseSettings

from chammal_kit.settings import settings_config


class Route(NamedTuple):
    name: str
    listen: tuple[str, int]
    target: tuple[str, int]


class FaultSettings(BaseSettings):
    model_config = settings_config("CHAMMAL_FAULTS_")

    routes: str = Field(
        default="",
        description="What the fault proxy stands before: `stt=0.0.0.0:8001>stt:8001`, more after commas.",
    )
    control_host: str = Field(default="127.0.0.1", description="Address on which faults are set. Never a public one.")
    control_port: int = Field(default=8474, ge=0, le=65535, description="Port on which faults are set.")


def read_routes(text: str) -> list[Route]:
    """From `name=host:port>host:port,…`. Raises ValueError."""
    return [_route(part.strip()) for part in text.split(",") if part.strip()]


def _route(text: str) -> Route:
    name, equals, rest = text.partition("=")
    listen, arrow, target = rest.partition(">")
    if not (name and equals and arrow):
        raise ValueError(f"a route is name=host:port>host:port, and not {text!r}")
    return Route(name, _address(listen), _address(target))


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"an address is host:port, and not {text!r}")
    return host.strip("[]"), int(port)
