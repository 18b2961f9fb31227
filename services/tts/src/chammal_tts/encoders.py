"""Audio formats, encoded piece by piece while the next piece is still being made. The only module that imports av."""

import struct
from typing import Protocol, cast

import av
import numpy as np
from numpy.typing import NDArray

from chammal_contracts.speech import AudioFormat
from chammal_tts.engine import Samples

MEDIA_TYPES = {
    AudioFormat.WAV: "audio/wav",
    AudioFormat.PCM: "audio/pcm",
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.OPUS: "audio/ogg",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.AAC: "audio/aac",
    AudioFormat.G711_ULAW: "audio/PCMU",
    AudioFormat.G711_ALAW: "audio/PCMA",
}
# (container, codec, bits a second, options of the container)
_CODED = {
    AudioFormat.MP3: ("mp3", "libmp3lame", 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    AudioFormat.OPUS: ("ogg", "libopus", 32_000, {"page_duration": "100000"}),
    AudioFormat.FLAC: ("flac", "flac", None, {}),
    AudioFormat.AAC: ("adts", "aac", 64_000, {}),
    AudioFormat.G711_ULAW: ("mulaw", "pcm_mulaw", None, {}),
    AudioFormat.G711_ALAW: ("alaw", "pcm_alaw", None, {}),
}
_TELEPHONE = frozenset({AudioFormat.G711_ULAW, AudioFormat.G711_ALAW})
TELEPHONE_RATE = 8_000
_UNKNOWN_LENGTH = 0xFFFFFFFF


class Encoder(Protocol):
    media_type: str

    def encode(self, samples: Samples) -> bytes:
        """What can be sent already; may be empty."""
        ...

    def finish(self) -> bytes: ...

    def close(self) -> None:
        """Lets go of what it holds: threads, for coded formats. For one that is not finished."""
        ...


def make_encoder(audio_format: AudioFormat, sample_rate: int) -> Encoder:
    if audio_format in _CODED:
        return CodedEncoder(audio_format, sample_rate)
    return PcmEncoder(audio_format, sample_rate)


def _pcm16(samples: Samples) -> NDArray[np.int16]:
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")


class PcmEncoder:
    """16-bit mono, for wav behind a header whose length is unknown, as OpenAI streams it."""

    def __init__(self, audio_format: AudioFormat, sample_rate: int) -> None:
        self.media_type = MEDIA_TYPES[audio_format]
        self._header = _wav_header(sample_rate) if audio_format is AudioFormat.WAV else b""

    def encode(self, samples: Samples) -> bytes:
        header, self._header = self._header, b""
        return header + _pcm16(samples).tobytes()

    def finish(self) -> bytes:
        return b""

    def close(self) -> None:
        pass


def _wav_header(sample_rate: int) -> bytes:
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, sample_rate * 2, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", _UNKNOWN_LENGTH, b"WAVE")
        + layout
        + struct.pack("<4sI", b"data", _UNKNOWN_LENGTH)
    )


class _Sink:
    """A file that can only be written, so that no container tries to go back and fill in its header."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class CodedEncoder:
    def __init__(self, audio_format: AudioFormat, sample_rate: int) -> None:
        container, codec, bit_rate, options = _CODED[audio_format]
        self.media_type = MEDIA_TYPES[audio_format]
        self._sink = _Sink()
        self._container = av.open(
            self._sink, "w", format=container, container_options={"flush_packets": "1", **options}
        )
        rate = TELEPHONE_RATE if audio_format in _TELEPHONE else sample_rate  # the stream resamples what it is given
        self._stream = cast("av.AudioStream", self._container.add_stream(codec, rate=rate, layout="mono"))
        if bit_rate is not None:
            self._stream.bit_rate = bit_rate
        self._sample_rate = sample_rate
        self._sent = 0

    def encode(self, samples: Samples) -> bytes:
        if samples.size:
            frame = av.AudioFrame.from_ndarray(_pcm16(samples).reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = self._sample_rate
            frame.pts = self._sent
            self._sent += samples.size
            self._container.mux(self._stream.encode(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self.close()
        return self._sink.take()

    def close(self) -> None:
        """Its threads end with the stream; a container that is left open keeps it until the next full collection."""
        self._container.close()
        del self._stream
