"""Broken media against real decoder processes: whatever comes in, samples or a 4xx come out.

    python fuzz/decoder.py --seconds 60 --seed 7

Recordings of every accepted kind are made, then cut, spliced, flipped and lied about. It fails, and keeps the input,
when one hangs, ends with anything but samples or the caller's mistake, or leaves a descriptor or memory behind.
`kills` are inputs that ended a decoder process: the service outlives them, but they are worth a look.
"""

import argparse
import asyncio
import base64
import io
import logging
import os
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem
from chammal_stt.decoder import Decoder
from chammal_stt.messages import SAMPLE_BYTES, SPEECH_FRAME
from chammal_stt.settings import SttSettings

SLOW_SECONDS = 5.0
"""What an input of a few hundred kilobytes may take."""
WARM_INPUTS = 100
GROWTH_BYTES = 48 << 20
"""What a decoder's memory may grow by after its first WARM_INPUTS."""
KINDS = [
    ("pcm_s16le", "wav", 16_000, "mono"),
    ("pcm_s16le", "wav", 8_000, "stereo"),
    ("pcm_s24le", "wav", 44_100, "5.1"),
    ("pcm_f32le", "wav", 48_000, "mono"),
    ("pcm_mulaw", "wav", 8_000, "stereo"),
    ("pcm_alaw", "wav", 8_000, "mono"),
    ("adpcm_ms", "wav", 22_050, "mono"),
    ("adpcm_ima_wav", "wav", 22_050, "stereo"),
    ("pcm_s16le", "w64", 16_000, "mono"),
    ("pcm_mulaw", "au", 8_000, "mono"),
    ("pcm_s16be", "aiff", 44_100, "stereo"),
    ("flac", "flac", 16_000, "stereo"),
    ("flac", "ogg", 16_000, "mono"),
    ("flac", "matroska", 16_000, "mono"),
    ("libmp3lame", "mp3", 44_100, "stereo"),
    ("libmp3lame", "mp3", 16_000, "mono"),
    ("mp2", "matroska", 48_000, "stereo"),
    ("libopus", "ogg", 48_000, "mono"),
    ("libopus", "webm", 48_000, "stereo"),
    ("aac", "mp4", 44_100, "stereo"),
    ("aac", "adts", 16_000, "mono"),
    ("aac", "3gp", 16_000, "mono"),
    ("alac", "ipod", 44_100, "stereo"),
    ("pcm_s16le", "mov", 16_000, "stereo"),
]
MARKS = [
    *(
        b"RIFF",
        b"fmt ",
        b"data",
        b"LIST",
        b"fact",
        b"FORM",
        b"COMM",
        b"SSND",
        b".snd",
        b"fLaC",
        b"OggS",
        b"ID3",
        b"Xing",
    ),
    *(b"Info", b"OpusHead", b"ftyp", b"moov", b"mvhd", b"trak", b"mdhd", b"stsd", b"esds", b"stts", b"stsc", b"stsz"),
    *(b"stco", b"mdat", b"alac", b"edts", b"\x1a\x45\xdf\xa3", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75", b"\xa3"),
]
INTEGERS = [
    0,
    1,
    2,
    3,
    7,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
]

Mutation = Callable[[random.Random, bytes, list[bytes]], bytes]


def recording(codec: str, form: str, rate: int, layout: str, seconds: float = 0.6) -> bytes:
    """A sweep with some noise."""
    channels = av.AudioLayout(layout).nb_channels
    places = np.arange(int(seconds * rate)) / rate
    sound = 0.3 * np.sin(2 * np.pi * (200 + 900 * places) * places)
    sound += np.random.default_rng(1).normal(0, 0.02, len(sound))
    packed = np.repeat(sound.astype(np.float32), channels).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    frame.sample_rate = rate
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate)
        queue = av.AudioFifo()
        for resampled in resampler.resample(frame) + resampler.resample(None):
            queue.write(resampled)
        while (piece := queue.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


def corpus() -> list[bytes]:
    made = []
    for kind in KINDS:
        try:
            made.append(recording(*kind))
        except (av.error.FFmpegError, ValueError) as error:
            print(f"left out {kind}: {error}")
    return made


def flip_bits(chance: random.Random, content: bytes, _: list[bytes]) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 4, 16, 256])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def lie_in_the_header(chance: random.Random, content: bytes, _: list[bytes]) -> bytes:
    return _overwritten(chance, content, chance.randrange(min(len(content), chance.choice([64, 256, 1024]))))


def lie_at_a_mark(chance: random.Random, content: bytes, _: list[bytes]) -> bytes:
    """Sizes stand just before or just after the names of chunks, counts a little behind them."""
    marks = [mark for mark in MARKS if mark in content]
    if not marks:
        return lie_in_the_header(chance, content, [])
    mark = chance.choice(marks)
    place = content.index(mark) if chance.random() < 0.5 else content.rindex(mark)
    return _overwritten(chance, content, max(0, place + chance.choice([-4, len(mark), chance.randrange(-8, 48)])))


def cut(chance: random.Random, content: bytes, _: list[bytes]) -> bytes:
    return content[: chance.randrange(len(content))]


def behead(chance: random.Random, content: bytes, _: list[bytes]) -> bytes:
    return content[chance.randrange(len(content)) :]


def splice(chance: random.Random, content: bytes, others: list[bytes]) -> bytes:
    other = chance.choice(others)
    return content[: chance.randrange(len(content))] + other[chance.randrange(len(other)) :]


def join(chance: random.Random, content: bytes, others: list[bytes]) -> bytes:
    return b"".join([content, *(chance.choice(others) for _ in range(chance.randrange(1, 4)))])


def move_a_piece(chance: random.Random, content: bytes, _: list[bytes]) -> bytes:
    first, last = sorted(chance.randrange(len(content)) for _ in range(2))
    rest = content[:first] + content[last:]
    place = chance.randrange(len(rest) + 1)
    return rest[:place] + content[first:last] + rest[place:]


def repeat_a_piece(chance: random.Random, content: bytes, _: list[bytes]) -> bytes:
    first = chance.randrange(len(content))
    last = min(len(content), first + chance.choice([1, 16, 512, 4096]))
    return content[:first] + content[first:last] * chance.choice([2, 10, 100]) + content[last:]


def blot(chance: random.Random, content: bytes, _: list[bytes]) -> bytes:
    size = chance.choice([1, 8, 64, 1024, 65_536])
    stain = chance.choice([bytes(size), b"\xff" * size, chance.randbytes(size)])
    place = chance.randrange(len(content))
    return content[:place] + stain + content[place + chance.choice([0, size]) :]


def begin_like_media(chance: random.Random, content: bytes, _: list[bytes]) -> bytes:
    return content[: chance.choice([4, 12, 44, 200])] + chance.randbytes(chance.choice([0, 100, 20_000]))


MUTATIONS: list[Mutation] = [
    *(flip_bits, lie_in_the_header, lie_at_a_mark, lie_at_a_mark, lie_at_a_mark, cut, behead, splice, join),
    *(move_a_piece, repeat_a_piece, blot, begin_like_media),
]


def _overwritten(chance: random.Random, content: bytes, place: int) -> bytes:
    order = chance.choice("<>")
    size = chance.choice("BHI")
    number = chance.choice(INTEGERS) if chance.random() < 0.7 else chance.getrandbits(32)
    value = struct.pack(order + size, number & (1 << 8 * struct.calcsize(size)) - 1)
    return content[:place] + value + content[place + len(value) :]


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    content = chance.choice(seeds)
    for _ in range(chance.choice([1, 1, 2, 3, 8])):
        content = chance.choice(MUTATIONS)(chance, content or b"\0", seeds)[: 4 << 20]
    return content


@dataclass
class Summary:
    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)

    def table(self) -> str:
        lines = [f"decoder: {self.outcomes.total()} inputs, seed {self.seed}"]
        lines += [f"  {count:7d} {outcome}" for outcome, count in self.outcomes.most_common()]
        lines.append(f"  {self.kills:7d} kills; the slowest input took {self.slowest:.2f} s")
        return "\n".join(lines + [f"  FAULT {fault}" for fault in self.faults])


class Fuzzer:
    def __init__(self, seed: int, kept: Path) -> None:
        self._decoder = Decoder(SttSettings(decoders=1, max_audio_seconds=600, decode_seconds=10))
        self._kept = kept
        self._first_memory: dict[int, int] = {}
        self._served: Counter[int] = Counter()
        self.summary = Summary(seed)

    async def feed(self, content: bytes, *, split: bool) -> None:
        summary = self.summary
        before = {worker.pid for worker in self._decoder.pool.workers}
        started = time.monotonic()
        try:
            outcome = await self._outcome(content, split=split)
        except Problem as problem:
            outcome = problem.code.value
            if not 400 <= problem.status < 500:
                self._fault(f"status {problem.status}: {problem.detail}", content)
            if problem.code is ErrorCode.AUDIO_UNPROCESSABLE:
                self._keep("unprocessable", content)
                print(f"given up: {problem.detail}")
        except Exception as error:  # noqa: BLE001 - the boundary that is tested: nothing but a Problem may come out
            outcome = type(error).__name__
            self._fault(f"{outcome}: {error}", content)
        seconds = time.monotonic() - started
        summary.outcomes[outcome] += 1
        summary.slowest = max(summary.slowest, seconds)
        if seconds > SLOW_SECONDS:
            self._fault(f"it took {seconds:.1f} s", content)
        if before and not before & {worker.pid for worker in self._decoder.pool.workers}:
            summary.kills += 1
            self._keep("kill", content)
        self._inspect(content)

    async def _outcome(self, content: bytes, *, split: bool) -> str:
        with tempfile.TemporaryFile() as upload, tempfile.TemporaryFile() as target:
            upload.write(content)
            upload.flush()
            reply = await self._decoder.decode(upload.fileno(), target.fileno(), split=split)
            frames = -(-reply.samples // SPEECH_FRAME)
            told = [len(base64.b64decode(text)) for one in reply.activity for text in (one.speech, one.level)]
            if told != [frames] * 2 * reply.channels or reply.channels > 1 + split:
                self._fault(f"{told} frames told of {frames}, {reply.channels} channels", content)
            if os.fstat(target.fileno()).st_size != reply.samples * reply.channels * SAMPLE_BYTES:
                self._fault("the file has another size than was told", content)
        return "ok, damaged packets left out" if reply.damaged_packets else "ok"

    def _inspect(self, content: bytes) -> None:
        """Descriptors and memory of the worker that is left."""
        for worker in self._decoder.pool.workers:
            folder = Path(f"/proc/{worker.pid}")
            try:
                descriptors = len(list((folder / "fd").iterdir()))
                memory = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except OSError:  # it has just ended, or this is macOS
                continue
            self._served[worker.pid] += 1
            if descriptors > 6:
                self._fault(f"the decoder holds {descriptors} descriptors", content)
            if self._served[worker.pid] == WARM_INPUTS:
                self._first_memory[worker.pid] = memory
            elif memory > self._first_memory.get(worker.pid, memory) + GROWTH_BYTES:
                self._first_memory[worker.pid] = memory
                self._fault(f"the decoder has grown to {memory >> 20} MiB", content)

    def _fault(self, what: str, content: bytes) -> None:
        self.summary.faults.append(f"{what} ({self._keep('fault', content)})")

    def _keep(self, why: str, content: bytes) -> Path:
        self._kept.mkdir(parents=True, exist_ok=True)
        path = self._kept / f"{why}-{self.summary.seed}-{self.summary.outcomes.total()}"
        path.write_bytes(content)
        return path

    async def aclose(self) -> None:
        await self._decoder.pool.aclose()


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def fuzz(seconds: float, seed: int, kept: Path) -> Summary:
    chance = random.Random(seed)
    seeds = corpus()
    fuzzer = Fuzzer(seed, kept)
    end = time.monotonic() + seconds
    try:
        for content in seeds:
            await fuzzer.feed(content, split=True)
        if set(fuzzer.summary.outcomes) - {"ok"}:
            fuzzer.summary.faults.append("a sound recording was refused")
        held = open_descriptors()
        while time.monotonic() < end:
            await fuzzer.feed(mutated(chance, seeds), split=chance.random() < 0.5)
        if open_descriptors() > held + 2:
            fuzzer.summary.faults.append(f"{held} descriptors were open here at first, {open_descriptors()} at last")
    finally:
        await fuzzer.aclose()
    return fuzzer.summary


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kept", type=Path, default=Path(tempfile.gettempdir()) / "chammal-fuzz")
    arguments = parser.parse_args()
    av.logging.set_level(av.logging.PANIC)
    logging.disable(logging.CRITICAL)
    summary = asyncio.run(fuzz(arguments.seconds, arguments.seed, arguments.kept))
    print(summary.table())
    return bool(summary.faults)


if __name__ == "__main__":
    sys.exit(main())
