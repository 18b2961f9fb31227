"""What a mesh says in a conversation."""

import base64
import math
import struct
from typing import Any

RATE = 24_000
QUESTION, ANSWER = "item_question", "item_answer"


def tone(seconds: float, hertz: float = 440.0) -> bytes:
    count = int(seconds * RATE)
    samples = [int(8000 * math.sin(2 * math.pi * hertz * at / RATE)) for at in range(count)]
    return struct.pack(f"<{count}h", *samples)


def stage(name: str, status: str = "ok", **more: Any) -> dict[str, Any]:
    return {"stage": name, "status": status} | more


def begins(item: str = QUESTION, at: int = 400) -> dict[str, Any]:
    return {"type": "input_audio_buffer.speech_started", "audio_start_ms": at, "item_id": item}


def hears(delta: str, unsettled: str = "", item: str = QUESTION) -> dict[str, Any]:
    kind = "conversation.item.input_audio_transcription.delta"
    return {"type": kind, "item_id": item, "delta": delta, "chammal": {"unsettled": unsettled}}


def ends(item: str = QUESTION, at: int = 1400) -> dict[str, Any]:
    return {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": at, "item_id": item}


def voice(emotion: str = "happy", **more: Any) -> dict[str, Any]:
    features = {
        "f0_hz": 212.0,
        "f0_deviation_hz": 41.0,
        "rms": 0.071,
        "zcr": 0.09,
        "syllables_per_second": 5.1,
        "voiced_share": 0.64,
    }
    others = {"neutral": 0.14, "happy": 0.46, "excited": 0.24, "angry": 0.08, "sad": 0.03, "calm": 0.05}
    return {
        "emotion": emotion,
        "probabilities": others,
        "rules": ["R2", "R7"],
        "f0_measured": True,
        "measured": features,
        "adapted": features,
        "baseline": 3,
    } | more


def understood(text: str, item: str = QUESTION, **more: Any) -> dict[str, Any]:
    provenance = {
        "stages": [stage("stt"), stage("emotion")],
        "language": "ko",
        "confidence": 0.94,
        "suspect": [],
        "voice": voice(),
        "seconds": {"silence": 0.5, "recognise": 0.31, "after_endpoint": 0.04, "waited": 0.0},
    } | more
    kind = "conversation.item.input_audio_transcription.completed"
    usage = {"type": "duration", "seconds": 1.0}
    return {"type": kind, "item_id": item, "transcript": text, "usage": usage, "chammal": provenance}


def assistant(text: str, item: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_audio", "transcript": text}]
    return {"id": item, "type": "message", "role": "assistant", "status": status, "content": content}


def response(status: str, **more: Any) -> dict[str, Any]:
    kept = {"id": "resp_1", "conversation_id": "conv_1", "output_modalities": ["audio"], "status": status}
    return kept | more


def answers(text: str, seconds: float, item: str = ANSWER) -> list[dict[str, Any]]:
    """All of its sound at once, and no `response.done` yet."""
    place = {"response_id": "resp_1", "item_id": item}
    pieces = [tone(0.2) for _ in range(round(seconds / 0.2))]
    sound = [{"type": "response.output_audio.delta", "delta": base64.b64encode(one).decode()} for one in pieces]
    return [
        {"type": "response.created", "response": response("in_progress")},
        {
            "type": "response.output_item.added",
            "response_id": "resp_1",
            "item": assistant("", item, "in_progress") | {"content": []},
        },
        place | {"type": "response.output_audio_transcript.delta", "delta": text},
        *(place | one for one in sound),
        place | {"type": "response.output_audio.done"},
        place | {"type": "response.output_audio_transcript.done", "transcript": text},
    ]


def done(text: str, item: str = ANSWER, status: str = "completed", **provenance: Any) -> dict[str, Any]:
    way = {"stages": [stage("reply"), stage("tts")], "seconds": {"first_out": 0.98, "whole": 1.4}} | provenance
    return {"type": "response.done", "response": response(status, output=[assistant(text, item)], chammal=way)}


def turn(question: str, answer: str, seconds: float, number: int = 1) -> list[dict[str, Any]]:
    """All of one, but what is heard of its end."""
    asked, replied = f"{QUESTION}_{number}", f"{ANSWER}_{number}"
    return [
        begins(asked),
        hears(question, item=asked),
        ends(asked),
        understood(question, asked),
        *answers(answer, seconds, replied),
        done(answer, replied),
    ]
