"""Puts a fault proxy between the programs of a mesh, by telling each another address of the next."""

import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from chammal.faults.settings import FaultSettings
from chammal.mesh import LOCAL
from chammal.runner import Program
from chammal.settings import UpSettings

ADDRESSES = {
    "CHAMMAL_API_STT_URL": "stt",
    "CHAMMAL_API_LLM_URL": "llm-gateway",
    "CHAMMAL_API_TTS_URL": "tts",
    "CHAMMAL_LLM_VLLM_URL": "vllm",
    "CHAMMAL_LLM_OLLAMA_URL": "ollama",
    "CHAMMAL_LLM_LLAMACPP_URL": "llamacpp",
    "CHAMMAL_LLM_OPENAI_URL": "openai",
}
"""Which variable leads to whom. The names are those of the scenarios."""


def with_faults(mesh: Sequence[Program], settings: UpSettings, control_port: int) -> list[Program]:
    """The same mesh, and the proxy before it. What is reached by TLS stays as it is."""
    told = {variable: address for variable in ADDRESSES if (address := _address(variable, mesh, settings))}
    ports = free_ports(len(told))
    proxied, routes = {}, []
    for (variable, address), port in zip(told.items(), ports, strict=True):
        parts = urlsplit(address)
        routes.append(f"{ADDRESSES[variable]}={LOCAL}:{port}>{parts.hostname}:{parts.port or 80}")
        proxied[variable] = parts._replace(netloc=f"{LOCAL}:{port}").geturl()
    env = {
        "PYTHONUNBUFFERED": "1",
        "CHAMMAL_FAULTS_ROUTES": ",".join(routes),
        "CHAMMAL_FAULTS_CONTROL_HOST": LOCAL,
        "CHAMMAL_FAULTS_CONTROL_PORT": str(control_port),
    }
    argv = (sys.executable, "-m", "chammal.faults")
    faults = Program("faults", argv, env, f"http://{LOCAL}:{control_port}")
    return [faults, *(replace(program, env={**program.env, **proxied}) for program in mesh)]


def control_port() -> int:
    return FaultSettings().control_port


def _address(variable: str, mesh: Sequence[Program], settings: UpSettings) -> str | None:
    """What the services would be told, or have been by the user's environment."""
    field = variable.removeprefix("CHAMMAL_").lower()
    address = mesh[0].env.get(variable) or getattr(settings, field, None)
    return address if isinstance(address, str) and address.startswith("http://") else None


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOCAL, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
