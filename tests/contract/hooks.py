"""For `st run`: what no generator comes up with. Half of the requests get a recording, or a model that is here."""

import io
import math
import struct
import wave
from typing import Any

import schemathesis
from hypothesis import strategies as st

MODEL = "whisper-tiny.en"
_NAMES = ("file_path", "model", "agent_url", "language")
"""What a schema cannot say which there are."""


def _recording() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(b"".join(struct.pack("<h", int(3000 * math.sin(n / 9))) for n in range(1600)))
    return file.getvalue()


RECORDING = _recording()


schemathesis.openapi.format("binary", st.just(RECORDING) | st.binary(max_size=64))


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    if isinstance(body, dict) and "file" in body and len(body) % 2:
        return {name: value for name, value in body.items() if name not in _NAMES}
    if isinstance(body, dict) and isinstance(body.get("model"), str) and len(body) == 1:
        return {"model": MODEL}
    return body


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: Any) -> Any:
    if isinstance(path_parameters, dict) and len(path_parameters.get("model_id", "")) % 2 == 0:
        return {**path_parameters, "model_id": MODEL}
    return path_parameters
