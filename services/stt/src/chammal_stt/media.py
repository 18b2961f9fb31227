"""Untrusted media to samples. The only module that imports av; it runs in the sandboxed decoder process alone."""

import errno
import os
from collections.abc import Iterator
from typing import BinaryIO

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.plane import AudioPlane
from av.audio.stream import AudioStream

from chammal_stt.messages import DecodeOutcome, DecodeReply
from chammal_stt.mixing import floats, mixed
from chammal_stt.resample import RATES, Resampler
from chammal_stt.sink import Sink, TooLong, WriteFailed

FORMATS = "wav,w64,flac,mp3,ogg,matroska,webm,mov,mp4,m4a,3gp,aac,aiff,amr,au"
CODECS = (
    "pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_u8,pcm_s8,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,"
    "pcm_mulaw,pcm_alaw,adpcm_ms,adpcm_ima_wav,gsm_ms,g722,flac,alac,mp3,mp3float,mp2,mp2float,aac,opus,vorbis,"
    "amrnb,amrwb"
)
# format_whitelist keeps playlists out, codec_whitelist the video decoders, protocol_whitelist every address in a file.
_OPTIONS = {"format_whitelist": FORMATS, "codec_whitelist": CODECS, "protocol_whitelist": "none", "max_streams": "32"}
_GATHERED_SAMPLES = 16_384
_MAX_DETAIL = 200


_TYPES: dict[str, np.dtype[np.generic]] = {
    "u8": np.dtype(np.uint8),
    "s16": np.dtype(np.int16),
    "s32": np.dtype(np.int32),
    "s64": np.dtype(np.int64),
    "flt": np.dtype(np.float32),
    "dbl": np.dtype(np.float64),
}


class _UnusableFrame(ValueError):
    pass


class _Upload:
    """Answers a seek to nowhere as FFmpeg expects it, where a file of Python's would raise."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -errno.EINVAL


def decode(source: BinaryIO, target: int, max_samples: int, *, split: bool = False) -> DecodeReply:
    """Writes samples to the descriptor `target`. Whatever the media does, the answer is a DecodeReply."""
    sink = Sink(target, max_samples)
    converter = _Converter(sink, split=split)
    damaged = 0
    try:
        with av.open(_Upload(source), mode="r", options=_OPTIONS, metadata_errors="ignore") as container:
            if not container.streams.audio:
                return DecodeReply(DecodeOutcome.UNREADABLE, detail="it holds no audio stream")
            stream = container.streams.audio[0]
            codec = getattr(stream.codec_context, "name", "unknown")  # there is no context for what FFmpeg cannot name
            if codec not in CODECS.split(","):
                return DecodeReply(DecodeOutcome.UNREADABLE, detail=f"codec {codec}")
            damaged = _decode_stream(stream, container.demux(stream), converter)
            sink.close()
    except TooLong:
        return DecodeReply(DecodeOutcome.TOO_LONG, max_samples)
    except MemoryError:
        return DecodeReply(DecodeOutcome.TOO_COSTLY, detail="it needs more memory to decode than a recording may")
    except WriteFailed as error:
        return DecodeReply(DecodeOutcome.STORAGE_FULL if error.full else DecodeOutcome.TOO_COSTLY, detail=str(error))
    except (av.error.FFmpegError, OSError, EOFError, IndexError, ValueError, OverflowError) as error:
        return DecodeReply(DecodeOutcome.UNREADABLE, detail=_detail(error))
    if sink.samples:
        return DecodeReply(
            DecodeOutcome.OK,
            sink.samples,
            channels=sink.channels,
            dual_mono=sink.dual_mono(),
            source_channels=converter.source_channels,
            activity=sink.activity(),
            damaged_packets=damaged,
        )
    if damaged:
        return DecodeReply(DecodeOutcome.UNREADABLE, detail="none of its packets can be decoded")
    return DecodeReply(DecodeOutcome.EMPTY, detail="it holds no samples")


def _detail(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:_MAX_DETAIL]


def _decode_stream(stream: AudioStream, packets: "Iterator[av.Packet[AudioStream]]", converter: "_Converter") -> int:
    """Returns how many packets were damaged; they are left out, as a player would."""
    stream.codec_context.thread_count = 1
    damaged = 0
    try:
        for packet in packets:
            try:
                for frame in packet.decode():
                    converter.feed(frame)
            except (av.error.InvalidDataError, av.error.ArgumentError):
                damaged += 1
            except _UnusableFrame:
                if not converter.fed:
                    raise
                damaged += 1
    except (av.error.InvalidDataError, EOFError, av.error.ArgumentError):
        if not converter.fed:
            raise
        damaged += 1  # cut off in the middle: what came before it stands
    converter.finish()
    return damaged


class _Converter:
    """Gathers small frames, which cost more to convert than their samples do, and survives a change of format."""

    def __init__(self, sink: Sink, *, split: bool) -> None:
        self._sink = sink
        self._split = split
        self._shape: tuple[str, int, int] | None = None
        self._gathered: list[npt.NDArray[np.generic]] = []
        self._waiting = 0
        self._resampler: Resampler | None = None
        self.source_channels = 1
        self.fed = False

    def feed(self, frame: AudioFrame) -> None:
        """Gaps in time stamps are no reason to refuse a recording. Raises _UnusableFrame."""
        samples = _rows(frame)
        shape = (frame.format.name, samples.shape[1], frame.sample_rate)
        if shape != self._shape:
            self._change(shape)
        self.fed = True
        self._gathered.append(samples)
        self._waiting += len(samples)
        if self._waiting >= _GATHERED_SAMPLES:
            self._convert()

    def finish(self) -> None:
        if self._resampler is not None:
            self._convert()
            self._sink.write(self._resampler.finish())
            self._resampler = None

    def _change(self, shape: tuple[str, int, int]) -> None:
        _, channels, rate = shape
        if rate not in RATES:
            raise _UnusableFrame(f"a sample rate of {rate} Hz")
        self.finish()
        if not self._sink.channels:
            self.source_channels = channels
            self._sink.open(2 if self._split and channels == 2 else 1)
        self._resampler = Resampler(rate, self._sink.channels)
        self._shape = shape

    def _convert(self) -> None:
        gathered, self._gathered, self._waiting = self._gathered, [], 0
        samples = gathered[0] if len(gathered) == 1 else np.concatenate(gathered) if gathered else None
        if samples is None or self._resampler is None:
            return
        for at in range(0, len(samples), 2 * _GATHERED_SAMPLES):
            block = floats(samples[at : at + 2 * _GATHERED_SAMPLES])
            self._sink.write(self._resampler.feed(mixed(block, self._sink.channels)))


def _rows(frame: AudioFrame) -> npt.NDArray[np.generic]:
    """A view of the frame's samples, one column a channel, in the frame's own type. Raises _UnusableFrame."""
    kind = _TYPES.get(frame.format.name.removesuffix("p"))
    channels = frame.layout.nb_channels
    if kind is None or not channels:
        raise _UnusableFrame(f"{channels} channels of samples of the form {frame.format.name}")
    if frame.format.is_planar:  # frame.planes reads past the end of 8 channels and more
        return np.stack([_plane(frame, index, kind, frame.samples) for index in range(channels)], axis=1)
    return _plane(frame, 0, kind, frame.samples * channels).reshape(-1, channels)


def _plane(frame: AudioFrame, index: int, kind: np.dtype[np.generic], count: int) -> npt.NDArray[np.generic]:
    return np.frombuffer(memoryview(AudioPlane(frame, index)), kind, count)
