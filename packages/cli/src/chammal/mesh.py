"""Which programs the mesh consists of, and what each is told."""

import errno
import os
import socket
import sys

from chammal.runner import Program
from chammal.settings import UpSettings
from chammal_kit.models import manifest_path

LOCAL = "127.0.0.1"
_PREPARE = "CHAMMAL_API_REALTIME_PREPARE"


class PortInUse(Exception):
    pass


def needs_embedded_model(settings: UpSettings) -> bool:
    """True when the gateway has no language model of its own to ask."""
    return not any(
        (
            settings.llm_vllm_url,
            settings.llm_ollama_url,
            settings.llm_openai_url,
            settings.llm_openai_key,
            settings.llm_anthropic_key,
            settings.llm_llamacpp_url,
        )
    )


def programs(settings: UpSettings, *, embedded: bool) -> list[Program]:
    common = {
        "PYTHONUNBUFFERED": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "CHAMMAL_MODELS_DIR": str(settings.models_dir.resolve()),
        "CHAMMAL_MODELS_MANIFEST": str(manifest_path(settings.models_manifest).resolve()),
        "CHAMMAL_STT_PORT": str(settings.stt_port),
        "CHAMMAL_LLM_PORT": str(settings.llm_port),
        "CHAMMAL_API_PORT": str(settings.api_port),
        "CHAMMAL_TTS_PORT": str(settings.tts_port),
        "CHAMMAL_API_STT_URL": _address(settings.stt_port),
        "CHAMMAL_API_LLM_URL": _address(settings.llm_port),
        "CHAMMAL_API_TTS_URL": _address(settings.tts_port),
    }
    if embedded:
        common["CHAMMAL_LLAMACPP_PORT"] = str(settings.llamacpp_port)
        common["CHAMMAL_LLM_LLAMACPP_URL"] = _address(settings.llamacpp_port)
        common[_PREPARE] = os.environ.get(_PREPARE, "true")  # it reads slowly, and costs nothing

    def service(name: str, module: str, port: int, wave: int, ready_path: str = "/ready") -> Program:
        return Program(name, (sys.executable, "-m", module), common, _address(port), ready_path, wave)

    mesh = [
        service("api", "chammal_api", settings.api_port, 0),
        service("stt", "chammal_stt", settings.stt_port, 1),
        service("tts", "chammal_tts", settings.tts_port, 1),
        service("llm-gateway", "chammal_llm_gateway", settings.llm_port, 1),
    ]
    if embedded:
        mesh.append(service("llamacpp", "chammal.llamacpp", settings.llamacpp_port, 2, "/health"))
    return mesh


def check_ports(settings: UpSettings, *, embedded: bool, control_port: int | None = None) -> None:
    """Raises PortInUse with the variable that changes the port."""
    ports = {"STT": settings.stt_port, "LLM": settings.llm_port, "API": settings.api_port, "TTS": settings.tts_port}
    if embedded:
        ports["LLAMACPP"] = settings.llamacpp_port
    if control_port is not None:
        ports["FAULTS_CONTROL"] = control_port
    for name, port in ports.items():
        host = LOCAL if name in ("LLAMACPP", "FAULTS_CONTROL") else settings.host
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                raise PortInUse(
                    f"Port {port} is in use. Is Chammal running already? If so, `chammal demo` uses it. "
                    f"Otherwise choose another port: CHAMMAL_{name}_PORT={port + 1000} chammal up"
                ) from None


def _address(port: int) -> str:
    return f"http://{LOCAL}:{port}"
