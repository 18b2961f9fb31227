import io

import av
import numpy as np
import pytest

from chammal_contracts.speech import AudioFormat
from chammal_tts.encoders import MEDIA_TYPES, make_encoder

RATE = 24_000
RAW = {
    AudioFormat.PCM: ("s16le", RATE),
    AudioFormat.G711_ULAW: ("mulaw", 8_000),
    AudioFormat.G711_ALAW: ("alaw", 8_000),
}
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)


def decoded_seconds(data: bytes, audio_format: AudioFormat) -> float:
    name, rate = RAW.get(audio_format, (None, 0))
    options = {"sample_rate": str(rate)} if name else {}
    with av.open(io.BytesIO(data), format=name, options=options) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_pieces_decode_back_to_their_whole_duration(audio_format: AudioFormat) -> None:
    encoder = make_encoder(audio_format, RATE)
    data = b"".join([encoder.encode(TONE), encoder.encode(TONE[:0]), encoder.encode(TONE[:7777]), encoder.finish()])
    assert decoded_seconds(data, audio_format) == pytest.approx(2 + 7777 / RATE, abs=0.1)
    assert encoder.media_type == MEDIA_TYPES[audio_format]


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_most_of_a_piece_leaves_before_the_next_is_there(audio_format: AudioFormat) -> None:
    first = make_encoder(audio_format, RATE).encode(TONE)
    assert decoded_seconds(first, audio_format) > 1.5


def test_wav_is_streamed_with_an_unknown_length() -> None:
    data = make_encoder(AudioFormat.WAV, RATE).encode(TONE)
    assert data[:4] == b"RIFF"
    assert data[4:8] == data[40:44] == b"\xff\xff\xff\xff"
    assert len(data) == 44 + 2 * TONE.size


def test_samples_beyond_full_scale_are_clipped() -> None:
    loud = np.array([5.0, -5.0], np.float32)
    assert make_encoder(AudioFormat.PCM, RATE).encode(loud) == np.array([32767, -32767], "<i2").tobytes()


@pytest.mark.parametrize("audio_format", [AudioFormat.G711_ULAW, AudioFormat.G711_ALAW])
def test_telephone_audio_is_a_byte_a_sample_and_keeps_its_tone_but_nothing_above_4_khz(
    audio_format: AudioFormat,
) -> None:
    hiss = (0.3 * np.sin(2 * np.pi * 7_000 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    encoder = make_encoder(audio_format, RATE)
    data = encoder.encode(TONE + hiss) + encoder.finish()
    assert len(data) == 2 * 8_000
    with av.open(io.BytesIO(data), format=RAW[audio_format][0], options={"sample_rate": "8000"}) as container:
        samples = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)]) / 32768
    loudness = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) / samples.size * 4
    assert loudness.argmax() * 8_000 / samples.size == pytest.approx(440, abs=1)
    assert loudness.max() == pytest.approx(0.3, abs=0.03)
    assert loudness[int(990 * samples.size / 8_000) :].max() < 0.01
