import base64
import io
import json
import tempfile
import wave
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from chammal_stt import media
from chammal_stt.channels import Bytes, without_bleed

Floats = npt.NDArray[np.float32]
FRAME = 0.032
SPEECH = 128


@pytest.fixture(scope="module")
def call(audio: Path) -> Floats:
    with av.open(str(audio / "ko_call_two_channel_8k.wav")) as container:
        frames = [frame.to_ndarray().reshape(-1, 2) for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / 32768


@pytest.fixture(scope="module")
def turns(audio: Path) -> list[tuple[int, slice]]:
    """Channel and frames of each, a little widened."""
    entries = json.loads((audio / "manifest.json").read_text())
    (entry,) = (entry for entry in entries if entry["file"] == "ko_call_two_channel_8k.wav")
    return [
        ("LR".index(turn["channel"]), slice(max(0, int(turn["start"] / FRAME) - 3), int(turn["end"] / FRAME) + 4))
        for turn in entry["turns"]
    ]


def activity(samples: Floats) -> tuple[tuple[Bytes, Bytes], tuple[Bytes, Bytes]]:
    source = io.BytesIO()
    with wave.open(source, "wb") as recording:
        recording.setparams((2, 2, 8_000, 0, "NONE", ""))
        recording.writeframes(np.clip(samples * 32767, -32768, 32767).astype("<i2").tobytes())
    source.seek(0)
    with tempfile.TemporaryFile() as target:
        reply = media.decode(source, target.fileno(), 1 << 30, split=True)
    assert not reply.dual_mono
    left, right = reply.activity
    return (values(left.speech), values(right.speech)), (values(left.level), values(right.level))


def values(encoded: str) -> Bytes:
    return np.frombuffer(base64.b64decode(encoded), np.uint8)


def crossed(samples: Floats, decibels: float, seconds: float = 0.0) -> Floats:
    """Each channel is heard in the other, so much fainter and later."""
    echo = np.pad(samples, ((int(8_000 * seconds), 0), (0, 0)))[: len(samples), ::-1]
    return samples + np.float32(10 ** (decibels / 20)) * echo


@pytest.mark.parametrize(
    ("decibels", "seconds"), [(-16, 0.0), (-20, 0.0), (-26, 0.0), (-30, 0.0), (-20, 0.06), (-20, 0.15), (-26, 0.3)]
)
def test_bleed_through_goes_and_every_turn_stays(
    call: Floats, turns: list[tuple[int, slice]], decibels: float, seconds: float
) -> None:
    speech, level = activity(crossed(call, decibels, seconds))
    masked, dropped = without_bleed(speech, level)
    own = np.zeros((2, len(speech[0])), bool)
    for channel, frames in turns:
        own[channel, frames] = True
    for channel in (0, 1):
        heard = speech[channel] >= SPEECH
        assert np.count_nonzero(heard & ~own[channel]) > 100
        np.testing.assert_array_equal(masked[channel] >= SPEECH, heard & own[channel])
    assert {bleed.channel for bleed in dropped} == {0, 1}
    for bleed in dropped:
        assert not own[bleed.channel, bleed.first : bleed.last + 1].all()


def test_a_call_without_bleed_through_is_left_as_it_is(call: Floats) -> None:
    speech, level = activity(call)
    masked, dropped = without_bleed(speech, level)
    assert dropped == []
    np.testing.assert_array_equal(masked, speech)


@pytest.mark.parametrize(("customer", "decibels"), [(0, -20), (0, -30), (-10, -20), (-10, -30), (-20, -30)])
def test_who_talks_at_the_same_time_is_kept(call: Floats, customer: float, decibels: float) -> None:
    together = call.copy()
    together[:, 1] = np.roll(call[:, 1], 24 * 8_000) * np.float32(10 ** (customer / 20))
    clean, _ = activity(together)
    masked, _ = without_bleed(*activity(crossed(together, decibels)))
    for channel in (0, 1):
        said = clean[channel] >= SPEECH
        assert np.count_nonzero(said & (masked[channel] >= 64)) > 0.97 * np.count_nonzero(said)


def test_a_channel_on_which_nobody_speaks_is_emptied(call: Floats) -> None:
    alone = call.copy()
    alone[:, 1] = np.random.default_rng(1).normal(0, 1e-3, len(call))
    masked, dropped = without_bleed(*activity(crossed(alone, -20)))
    assert masked[1].max() < SPEECH
    assert {bleed.channel for bleed in dropped} == {1}


@pytest.mark.parametrize("frames", [0, 1, 5, 20, 40])
def test_the_shortest_recording_has_channels_too(frames: int) -> None:
    speech = (np.full(frames, 200, np.uint8), np.full(frames, 10, np.uint8))
    level = (np.full(frames, 20, np.uint8), np.full(frames, 60, np.uint8))
    masked, dropped = without_bleed(speech, level)
    np.testing.assert_array_equal(masked, speech)
    assert dropped == []
