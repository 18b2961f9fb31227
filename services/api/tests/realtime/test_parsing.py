import json

import pytest

from chammal_api.realtime.client_fault import ClientFault
from chammal_api.realtime.parsing import read_event, samples_of
from chammal_contracts.realtime_client import AudioAppend, SessionUpdate

USER = {"type": "message", "role": "user"}


def update(**session: object) -> dict[str, object]:
    return {"type": "session.update", "session": session}


def item(**fields: object) -> dict[str, object]:
    return {"type": "conversation.item.create", "item": fields}


@pytest.mark.parametrize(
    ("sent", "code", "param"),
    [
        ({"event_id": "e"}, "missing_required_parameter", "type"),
        ({"type": "output_audio_buffer.clear"}, "unsupported", "type"),
        ({"type": "transcription_session.update"}, "unsupported", "type"),
        ({"type": 7}, "unknown_event", "type"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        (update(modalities=["audio"]), "unknown_parameter", "session.modalities"),
        (update(type="transcription"), "invalid_value", "session.type"),
        (update(tool_choice="required"), "unsupported", "session.tool_choice"),
        (update(prompt={"id": "p"}), "unsupported", "session.prompt"),
        (update(output_modalities=["audio", "text"]), "invalid_value", "session.output_modalities"),
        (update(audio={"output": {"speed": 9}}), "invalid_value", "session.audio.output.speed"),
        (
            update(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}}),
            "unsupported",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            update(audio={"input": {"noise_reduction": {"type": "near_field"}}}),
            "unsupported",
            "session.audio.input.noise_reduction",
        ),
        (
            update(audio={"input": {"format": {"type": "audio/pcm", "rate": 16000}}}),
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        (
            update(audio={"input": {"transcription": {"language": "xx"}}}),
            "invalid_value",
            "session.audio.input.transcription.language",
        ),
        (item(type="function_call", name="f"), "unsupported", "item"),
        (
            item(**USER, content=[{"type": "input_audio", "audio": "AAAA"}]),
            "unsupported",
            "item.content.0.type",
        ),
        (
            item(**USER, content=[{"type": "input_image", "image_url": "data:"}]),
            "unsupported",
            "item.content.0.type",
        ),
        (item(**USER, content=[]), "invalid_value", "item.content"),
        ({"type": "response.create", "response": {"tools": [{}]}}, "unsupported", "response.tools"),
        ({"type": "response.create", "response": {"conversation": "none"}}, "unsupported", "response.conversation"),
    ],
)
def test_what_is_wrong_is_told_by_its_name(sent: dict[str, object], code: str, param: str) -> None:
    with pytest.raises(ClientFault) as told:
        read_event(json.dumps(sent))
    assert (told.value.code, told.value.param) == (code, param)


def test_a_fault_carries_the_id_of_its_event() -> None:
    with pytest.raises(ClientFault) as told:
        read_event('{"type": "no.such", "event_id": "mine"}')
    assert told.value.event(None).error.event_id == "mine"


@pytest.mark.parametrize("text", ["", "{", "nul", '"text"', "[1]", "7", "[" * 100_000, '{"type": "' + "x" * 100_000])
def test_whatever_comes_is_a_fault_and_nothing_else(text: str) -> None:
    with pytest.raises(ClientFault) as told:
        read_event(text)
    assert len(told.value.message) < 500


@pytest.mark.parametrize("audio", ["%%%", "AAA", "가나다", ""])
def test_audio_that_is_not_base64_is_refused(audio: str) -> None:
    with pytest.raises(ClientFault) as told:
        samples_of(AudioAppend(audio=audio))
    assert told.value.param == "audio"


def test_what_openais_own_examples_send_is_taken() -> None:
    event = read_event(
        json.dumps(
            update(
                type="realtime",
                model="gpt-realtime",
                output_modalities=["audio"],
                audio={
                    "input": {
                        "format": {"type": "audio/pcm", "rate": 24000},
                        "transcription": {"model": "whisper-1"},
                        "noise_reduction": None,
                        "turn_detection": {
                            "type": "server_vad",
                            "threshold": 0.5,
                            "prefix_padding_ms": 300,
                            "silence_duration_ms": 500,
                        },
                    },
                    "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
                },
                instructions="Be friendly.",
                tools=[],
                tool_choice="auto",
                tracing=None,
                truncation="auto",
                max_output_tokens="inf",
            )
        )
    )
    assert isinstance(event, SessionUpdate)
    assert event.session.audio.output.voice == "marin"
