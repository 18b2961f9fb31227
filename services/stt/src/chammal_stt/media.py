"""Untrusted media to samples. The only module that imports av; it runs in the sandboxed decoder process alone."""

import errno
import os
from collections.abc import Iterator
from typing import BinaryIO

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from chammal_stt.messages import SAMPLE_BYTES, SAMPLE_RATE, DecodeOutcome, DecodeReply

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


class _TooLong(Exception):
    pass


class _Sink:
    """Counts while it writes."""

    def __init__(self, descriptor: int, max_samples: int) -> None:
        self._descriptor = descriptor
        self._max_samples = max_samples
        self._pending = bytearray()
        self.samples = 0

    def write(self, frame: AudioFrame) -> None:
        self.samples += frame.samples
        if self.samples > self._max_samples:
            raise _TooLong
        self._pending += memoryview(frame.planes[0])[: frame.samples * SAMPLE_BYTES]
        if len(self._pending) >= 1 << 20:
            self.flush()

    def flush(self) -> None:
        view = memoryview(self._pending)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._pending = bytearray()


def decode(source: BinaryIO, target: int, max_samples: int) -> DecodeReply:
    """Writes mono samples to the descriptor `target`. Whatever the media does, the answer is a DecodeReply."""
    sink = _Sink(target, max_samples)
    damaged = 0
    try:
        with av.open(source, mode="r", options=_OPTIONS, metadata_errors="ignore") as container:
            if not container.streams.audio:
                return DecodeReply(DecodeOutcome.UNREADABLE, detail="it holds no audio stream")
            stream = container.streams.audio[0]
            if stream.codec_context.name not in CODECS.split(","):
                return DecodeReply(DecodeOutcome.UNREADABLE, detail=f"codec {stream.codec_context.name}")
            damaged = _decode_stream(stream, container.demux(stream), sink)
            sink.flush()
    except _TooLong:
        return DecodeReply(DecodeOutcome.TOO_LONG, max_samples)
    except MemoryError:
        return DecodeReply(DecodeOutcome.TOO_COSTLY, detail="it needs more memory to decode than a recording may")
    except (av.error.FFmpegError, EOFError, IndexError, ValueError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DecodeReply(DecodeOutcome.STORAGE_FULL)
        return DecodeReply(DecodeOutcome.UNREADABLE, detail=_detail(error))
    except OSError as error:  # from writing the samples
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return DecodeReply(DecodeOutcome.STORAGE_FULL if full else DecodeOutcome.TOO_COSTLY, detail=_detail(error))
    if sink.samples:
        return DecodeReply(DecodeOutcome.OK, sink.samples, damaged_packets=damaged)
    if damaged:
        return DecodeReply(DecodeOutcome.UNREADABLE, detail="none of its packets can be decoded")
    return DecodeReply(DecodeOutcome.EMPTY, detail="it holds no samples")


def _detail(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:_MAX_DETAIL]


def _decode_stream(stream: AudioStream, packets: "Iterator[av.Packet[AudioStream]]", sink: _Sink) -> int:
    """Returns how many packets were damaged; they are left out, as a player would."""
    stream.codec_context.thread_count = 1
    resampler = _Resampler(sink)
    damaged = 0
    try:
        for packet in packets:
            try:
                frames = packet.decode()
            except (av.error.InvalidDataError, av.error.ArgumentError):
                damaged += 1
                continue
            for frame in frames:
                resampler.feed(frame)
    except (av.error.InvalidDataError, EOFError, av.error.ArgumentError):
        if not sink.samples and not resampler.fed:
            raise
        damaged += 1  # cut off in the middle: what came before it stands
    resampler.finish()
    return damaged


class _Resampler:
    """Gathers small frames, which cost more to resample than their samples do, and survives a change of format."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self._shape: tuple[str, str, int] | None = None
        self._fifo = av.AudioFifo()
        self._resampler = AudioResampler("s16", "mono", SAMPLE_RATE)
        self.fed = False

    def feed(self, frame: AudioFrame) -> None:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._shape is not None and shape != self._shape:
            self.finish()
            self._fifo = av.AudioFifo()
            self._resampler = AudioResampler("s16", "mono", SAMPLE_RATE)
        self._shape = shape
        self.fed = True
        frame.pts = None  # gaps in time stamps are no reason to refuse a recording
        self._fifo.write(frame)
        if self._fifo.samples >= _GATHERED_SAMPLES:
            self._resample(self._fifo.read())

    def finish(self) -> None:
        self._resample(self._fifo.read())
        self._resample(None)

    def _resample(self, frame: AudioFrame | None) -> None:
        if frame is None and not self.fed:
            return
        for resampled in self._resampler.resample(frame):
            self._sink.write(resampled)
