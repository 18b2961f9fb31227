import base64
import io
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from faster_whisper.vad import get_vad_model

from chammal_stt import media
from chammal_stt.messages import SAMPLE_RATE, SPEECH_FRAME, DecodeOutcome, DecodeReply

Rows = npt.NDArray[np.int16]


@dataclass
class Decoded:
    reply: DecodeReply
    rows: Rows
    """One column a channel."""


def decode(content: bytes, *, split: bool = False, max_samples: int = 1 << 30) -> Decoded:
    with tempfile.TemporaryFile() as target:
        reply = media.decode(io.BytesIO(content), target.fileno(), max_samples, split=split)
        target.seek(0)
        rows = np.frombuffer(target.read(), np.int16).reshape(-1, reply.channels)
    assert reply.outcome is not DecodeOutcome.OK or len(rows) == reply.samples
    return Decoded(reply, rows)


def wav(rows: npt.NDArray[np.float64], rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as recording:
        recording.setparams((rows.shape[1], 2, rate, 0, "NONE", ""))
        recording.writeframes(np.rint(np.clip(rows * 32767, -32768, 32767)).astype("<i2").tobytes())
    return file.getvalue()


def encode(rows: npt.NDArray[np.float64], codec: str, form: str, rate: int, layout: str) -> bytes:
    """Whatever the codec's own kind of samples."""
    file = io.BytesIO()
    packed = np.ascontiguousarray(rows, np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    frame.sample_rate = rate
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        queue = av.AudioFifo()
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate)
        for resampled in resampler.resample(frame) + resampler.resample(None):
            queue.write(resampled)
        while (piece := queue.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


def tones(seconds: float, rate: int, *hertz: float) -> npt.NDArray[np.float64]:
    time = np.arange(int(seconds * rate)) / rate
    return 0.2 * np.stack([np.sin(2 * np.pi * one * time) for one in hertz], axis=1)


def loudest(samples: Rows) -> float:
    """Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * SAMPLE_RATE / len(samples))


def speech(audio: Path) -> npt.NDArray[np.float64]:
    with wave.open(str(audio / "ko_naver_001.wav")) as recording:
        return np.frombuffer(recording.readframes(recording.getnframes()), np.int16) / 32768


def values(encoded: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(base64.b64decode(encoded), np.uint8)


@pytest.mark.parametrize(
    ("codec", "form"), [("pcm_mulaw", "wav"), ("pcm_alaw", "wav"), ("pcm_mulaw", "au"), ("pcm_alaw", "au")]
)
def test_telephone_codes_become_the_same_tone(codec: str, form: str) -> None:
    decoded = decode(encode(tones(1.0, 8_000, 440), codec, form, 8_000, "mono"))
    assert len(decoded.rows) == SAMPLE_RATE
    expected = tones(1.0, SAMPLE_RATE, 440) * 32768
    error = (decoded.rows - expected)[1_000:-1_000]
    assert 10 * np.log10((expected**2).mean() / (error**2).mean()) > 30


@pytest.mark.parametrize(
    ("codec", "form", "rate"),
    [
        ("pcm_s16le", "wav", 8_000),
        ("pcm_f32le", "wav", 44_100),
        ("flac", "flac", 48_000),
        ("libopus", "ogg", 48_000),
        ("aac", "mp4", 44_100),
    ],
)
def test_split_keeps_left_on_the_left(codec: str, form: str, rate: int) -> None:
    decoded = decode(encode(tones(1.0, rate, 300, 900), codec, form, rate, "stereo"), split=True)
    assert (decoded.reply.channels, decoded.reply.source_channels, decoded.reply.dual_mono) == (2, 2, False)
    assert abs(loudest(decoded.rows[:, 0]) - 300) < 2
    assert abs(loudest(decoded.rows[:, 1]) - 900) < 2


def test_unsplit_channels_are_mixed_to_their_mean() -> None:
    rows = tones(1.0, SAMPLE_RATE, 300, 900)
    decoded = decode(wav(rows, SAMPLE_RATE))
    assert (decoded.reply.channels, decoded.reply.source_channels) == (1, 2)
    np.testing.assert_allclose(decoded.rows[:, 0], rows.mean(axis=1) * 32767, atol=2)


def test_channels_of_opposite_polarity_do_not_cancel_each_other() -> None:
    sound = tones(1.0, SAMPLE_RATE, 300)
    decoded = decode(wav(np.hstack([sound, -sound]), SAMPLE_RATE))
    np.testing.assert_allclose(decoded.rows, sound * 32767, atol=2)


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("5.1", 6), ("7.1", 8)])
@pytest.mark.parametrize(("codec", "form"), [("aac", "mp4"), ("pcm_s24le", "wav"), ("flac", "flac")])
def test_split_mixes_what_has_not_two_channels(codec: str, form: str, layout: str, channels: int) -> None:
    rows = tones(1.0, 48_000, *[300] * channels)
    decoded = decode(encode(rows, codec, form, 48_000, layout), split=True)
    assert (decoded.reply.channels, decoded.reply.source_channels) == (1, channels)
    assert abs(loudest(decoded.rows[:, 0]) - 300) < 2


def test_sixteen_channels_are_mixed_too() -> None:
    decoded = decode(wav(tones(0.5, SAMPLE_RATE, *[300] * 16), SAMPLE_RATE))
    np.testing.assert_allclose(decoded.rows, tones(0.5, SAMPLE_RATE, 300) * 32767, atol=2)


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.2, -1.0, -0.5])
def test_one_sound_on_both_channels_is_dual_mono_also_when_one_is_quieter_or_inverted(audio: Path, gain: float) -> None:
    sound = speech(audio)
    decoded = decode(wav(np.stack([sound, gain * sound], axis=1), SAMPLE_RATE), split=True)
    assert decoded.reply.dual_mono
    assert decoded.reply.channels == 2


@pytest.mark.parametrize(
    ("codec", "form", "rate"),
    [("pcm_mulaw", "wav", 8_000), ("libmp3lame", "mp3", 16_000), ("aac", "mp4", 16_000), ("libopus", "ogg", 16_000)],
)
def test_dual_mono_is_recognised_through_a_codec(audio: Path, codec: str, form: str, rate: int) -> None:
    sound = speech(audio)[:: SAMPLE_RATE // rate]
    assert decode(encode(np.stack([sound, sound], axis=1), codec, form, rate, "stereo"), split=True).reply.dual_mono


def test_two_speakers_are_not_dual_mono(audio: Path) -> None:
    assert not decode((audio / "ko_call_two_channel_8k.wav").read_bytes(), split=True).reply.dual_mono


def test_a_silent_channel_is_not_dual_mono(audio: Path) -> None:
    sound = speech(audio)
    for pair in ([sound, 0 * sound], [0 * sound, sound], [0 * sound, 0 * sound]):
        assert not decode(wav(np.stack(pair, axis=1), SAMPLE_RATE), split=True).reply.dual_mono


def test_one_word_on_one_channel_alone_is_not_dual_mono(audio: Path) -> None:
    music = np.tile(tones(1.0, SAMPLE_RATE, 300)[:, 0], 60)
    left, word = music.copy(), 0.1 * speech(audio)[SAMPLE_RATE : 2 * SAMPLE_RATE]
    left[-2 * SAMPLE_RATE :] = 0
    right = left.copy()
    right[-SAMPLE_RATE:] += word
    assert np.square(word).sum() < 1e-3 * np.square(right).sum()
    assert not decode(wav(np.stack([left, right], axis=1), SAMPLE_RATE), split=True).reply.dual_mono


def test_speech_and_level_are_told_for_each_channel(audio: Path) -> None:
    sound = speech(audio)
    decoded = decode(wav(np.stack([sound, np.roll(sound, SAMPLE_RATE)], axis=1), SAMPLE_RATE), split=True)
    assert len(decoded.reply.activity) == 2
    for activity, samples in zip(decoded.reply.activity, decoded.rows.T, strict=True):
        frames = np.pad(samples, (0, -len(samples) % SPEECH_FRAME)).reshape(-1, SPEECH_FRAME).astype(np.float64)
        expected = get_vad_model()(frames.reshape(-1).astype(np.float32) / 32768).reshape(-1) * 255
        np.testing.assert_allclose(values(activity.speech)[:-1], expected[:-1], atol=0.6)
        level = -20 * np.log10(np.maximum(np.sqrt((frames**2).mean(axis=1)) / 32768, 1e-6))
        np.testing.assert_allclose(values(activity.level)[:-1], level[:-1], atol=0.51)


def test_silence_is_120_decibels_below_full_scale_and_no_speech() -> None:
    (activity,) = decode(wav(np.zeros((SAMPLE_RATE, 1)), SAMPLE_RATE)).reply.activity
    assert set(values(activity.level)) == {120}
    assert values(activity.speech).max() < 32


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 3e38])
def test_floats_that_are_no_samples_do_no_harm(number: float) -> None:
    rows = tones(1.0, 8_000, 300)
    content = bytearray(encode(rows, "pcm_f32le", "wav", 8_000, "mono"))
    content[-8_000:-7_996] = np.float32(number).tobytes()
    decoded = decode(bytes(content))
    assert abs(loudest(decoded.rows[:, 0]) - 300) < 2
    assert np.abs(decoded.rows[:10_000]).max() < 8_000


def test_a_change_of_format_on_the_way_is_followed() -> None:
    first = encode(tones(1.0, 16_000, 300), "libmp3lame", "mp3", 16_000, "mono")
    second = encode(tones(1.0, 24_000, 900, 900), "libmp3lame", "mp3", 24_000, "stereo")
    for split in (False, True):
        decoded = decode(first + second, split=split)
        assert decoded.reply.channels == 1
        assert abs(len(decoded.rows) - 2 * SAMPLE_RATE) < 0.3 * SAMPLE_RATE
        assert abs(loudest(decoded.rows[2_000:14_000, 0]) - 300) < 5
        assert abs(loudest(decoded.rows[-12_000:-2_000, 0]) - 900) < 5
    turned = decode(second + first, split=True)
    assert turned.reply.channels == 2
    assert abs(loudest(turned.rows[-12_000:-2_000, 1]) - 300) < 5


def test_a_rate_that_no_recording_has_is_unreadable() -> None:
    for rate in (7, 900, 1_000_000):
        reply = decode(wav(tones(0.1, 8_000, 300), rate)).reply
        assert reply.outcome is DecodeOutcome.UNREADABLE
        assert f"{rate} Hz" in reply.detail


def test_it_stops_at_the_limit() -> None:
    reply = decode(wav(tones(1.0, 8_000, 300), 8_000), max_samples=SAMPLE_RATE - 1).reply
    assert reply.outcome is DecodeOutcome.TOO_LONG
    assert decode(wav(tones(1.0, 8_000, 300), 8_000), max_samples=SAMPLE_RATE).reply.outcome is DecodeOutcome.OK


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="macOS has none")
def test_a_full_disk_is_told_as_such() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        reply = media.decode(io.BytesIO(wav(tones(9.0, 8_000, 300), 8_000)), full.fileno(), 1 << 30)
    assert reply.outcome is DecodeOutcome.STORAGE_FULL
