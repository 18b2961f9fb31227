import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem
from chammal_stt.decoder import Decoder
from chammal_stt.messages import SAMPLE_RATE, DecodeReply
from chammal_stt.patience import Patience
from chammal_stt.settings import SttSettings

pytestmark = pytest.mark.anyio

MIB = 1 << 20


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    decoder = Decoder(SttSettings(decoders=1, max_audio_seconds=600))
    yield decoder
    await decoder.pool.aclose()


async def decode(decoder: Decoder, content: bytes) -> np.ndarray:
    with tempfile.TemporaryFile() as upload, tempfile.TemporaryFile() as target:
        upload.write(content)
        upload.flush()
        reply = await decoder.decode(upload.fileno(), target.fileno())
        target.seek(0)
        samples = np.frombuffer(target.read(), np.int16)
        assert (len(samples), reply.channels) == (reply.samples, 1)
        return samples


def proc(pid: int, name: str) -> str:
    path = Path(f"/proc/{pid}/{name}")
    return path.read_text() if path.exists() else ""  # macOS has none


async def refusal(decoder: Decoder, content: bytes) -> ErrorCode:
    with pytest.raises(Problem) as caught:
        await decode(decoder, content)
    return caught.value.code


@pytest.mark.parametrize(
    ("codec", "container", "rate", "layout"),
    [
        ("pcm_s16le", "wav", 44_100, "mono"),
        ("pcm_s16le", "wav", 48_000, "stereo"),
        ("pcm_mulaw", "wav", 8_000, "mono"),
        ("pcm_alaw", "wav", 8_000, "mono"),
        ("adpcm_ms", "wav", 22_050, "mono"),
        ("pcm_s16be", "aiff", 44_100, "stereo"),
        ("flac", "flac", 16_000, "mono"),
        ("libmp3lame", "mp3", 44_100, "stereo"),
        ("aac", "mp4", 44_100, "stereo"),
        ("aac", "adts", 16_000, "mono"),
        ("alac", "ipod", 44_100, "mono"),
        ("libopus", "ogg", 48_000, "mono"),
        ("libopus", "webm", 48_000, "stereo"),
    ],
)
async def test_every_accepted_form_becomes_the_same_second(
    decoder: Decoder, recordings, codec: str, container: str, rate: int, layout: str
) -> None:
    content = recordings.encode(recordings.sound(1.0, rate), codec, container, rate, layout)
    samples = await decode(decoder, content)
    assert abs(len(samples) - SAMPLE_RATE) < 0.15 * SAMPLE_RATE
    assert 3_000 < np.abs(samples[4_000:12_000]).max() < 14_000


async def test_a_tenth_of_a_second_is_a_tenth_of_a_second(decoder: Decoder, recordings) -> None:
    assert len(await decode(decoder, recordings.wav(recordings.sound(0.1)))) == 1_600


@pytest.mark.parametrize("size", [0, 0xFFFFFFF0, 1 << 30])
async def test_a_header_that_lies_about_its_size_is_not_believed(decoder: Decoder, recordings, size: int) -> None:
    content = recordings.lying(recordings.wav(recordings.sound(1.0)), 40, size)
    assert len(await decode(decoder, content)) == SAMPLE_RATE


@pytest.mark.parametrize("rate", [0, 4_000_000_000])
async def test_a_header_that_lies_about_its_rate_is_unreadable(decoder: Decoder, recordings, rate: int) -> None:
    content = recordings.lying(recordings.wav(recordings.sound(1.0)), 24, rate)
    assert await refusal(decoder, content) is ErrorCode.AUDIO_UNREADABLE


async def test_a_truncated_webm_gives_what_came_before_the_cut(decoder: Decoder, recordings) -> None:
    content = recordings.encode(recordings.sound(4.0, 48_000), "libopus", "webm", 48_000)
    samples = await decode(decoder, content[: len(content) // 2])
    assert SAMPLE_RATE < len(samples) < 3 * SAMPLE_RATE


async def test_a_webm_cut_within_its_header_is_unreadable(decoder: Decoder, recordings) -> None:
    content = recordings.encode(recordings.sound(1.0, 48_000), "libopus", "webm", 48_000)
    assert await refusal(decoder, content[:100]) is ErrorCode.AUDIO_UNREADABLE


async def test_a_chunk_that_ends_beyond_any_file_costs_nothing_of_what_came_before_it(
    decoder: Decoder, recordings
) -> None:
    """Found by fuzz/decoder.py: the seek there failed, and with it the recording."""
    content = recordings.encode(recordings.sound(1.0), "pcm_s16le", "w64")
    chunk = bytes(range(16)) + (1 << 62).to_bytes(8, "little")
    assert len(await decode(decoder, content + chunk)) == SAMPLE_RATE


async def test_a_codec_without_a_name_is_unreadable_and_ends_no_decoder(decoder: Decoder, recordings) -> None:
    """Found by fuzz/decoder.py."""
    content = bytearray(recordings.wav(recordings.sound(1.0)))
    content[20:22] = b"\x21\x43"
    await decode(decoder, recordings.wav(recordings.sound(0.1)))
    workers = decoder.pool.workers
    assert await refusal(decoder, bytes(content)) is ErrorCode.AUDIO_UNREADABLE
    assert decoder.pool.workers == workers


async def test_text_named_wav_is_unreadable(decoder: Decoder) -> None:
    assert await refusal(decoder, b"this is a letter, not a recording\n" * 99) is ErrorCode.AUDIO_UNREADABLE


async def test_a_picture_is_unreadable(decoder: Decoder) -> None:
    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301"
        "0100c9fe92ef0000000049454e44ae426082"
    )
    assert await refusal(decoder, png) is ErrorCode.AUDIO_UNREADABLE


async def test_noise_named_mp3_is_unreadable(decoder: Decoder) -> None:
    assert await refusal(decoder, np.random.default_rng(1).bytes(100_000)) is ErrorCode.AUDIO_UNREADABLE


async def test_a_header_without_samples_is_empty(decoder: Decoder, recordings) -> None:
    assert await refusal(decoder, recordings.wav(recordings.sound(0.0))) is ErrorCode.AUDIO_EMPTY


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        "<?xml version='1.0'?><MPD><Period><AdaptationSet><BaseURL>{}</BaseURL></AdaptationSet></Period></MPD>",
    ],
)
async def test_a_playlist_does_not_bring_another_file_in(
    decoder: Decoder, recordings, tmp_path: Path, playlist: str
) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(recordings.wav(recordings.sound(1.0)))
    assert await refusal(decoder, playlist.format(other).encode()) is ErrorCode.AUDIO_UNREADABLE


async def test_hours_of_silence_in_a_small_file_stop_at_the_limit_within_bounded_memory(
    decoder: Decoder, recordings
) -> None:
    bomb = recordings.silent_flac(1)
    assert len(bomb) < MIB
    assert await refusal(decoder, bomb) is ErrorCode.AUDIO_TOO_LONG
    (worker,) = decoder.pool.workers
    status = proc(worker.pid, "status")
    if status:
        assert int(status.partition("VmHWM:")[2].split()[0]) * 1024 < 160 * MIB


async def test_a_recording_that_takes_too_long_to_decode_is_given_up_and_the_next_is_served(recordings) -> None:
    decoder = Decoder(SttSettings(decoders=1, decode_seconds=1))
    worker = await decoder.pool._start_one()
    os.kill(worker.pid, signal.SIGSTOP)
    decoder.pool._idle.append(worker)
    try:
        content = recordings.wav(recordings.sound(1.0))
        assert await refusal(decoder, content) is ErrorCode.AUDIO_UNPROCESSABLE
        assert len(await decode(decoder, content)) == SAMPLE_RATE
    finally:
        await decoder.pool.aclose()


async def test_a_killed_decoder_is_replaced(decoder: Decoder, recordings) -> None:
    content = recordings.wav(recordings.sound(1.0))
    await decode(decoder, content)
    (worker,) = decoder.pool.workers
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()
    assert len(await decode(decoder, content)) == SAMPLE_RATE


class Fragile(Decoder):
    """Its first `deaths` workers are killed in the middle of their job."""

    def __init__(self, deaths: int, code: int = signal.SIGKILL) -> None:
        super().__init__(SttSettings(decoders=1))
        self.deaths, self.code = deaths, code
        self.attempts = 0

    async def _attempt(self, *arguments) -> DecodeReply:
        self.attempts += 1
        if self.attempts <= self.deaths:
            async with self.pool.lease() as worker:
                os.kill(worker.pid, signal.SIGSTOP)
                asyncio.get_running_loop().call_soon(self._strike, worker.pid)
                self.pool._idle.append(worker)
                return await worker.call(self._job, arguments[1:], TypeAdapter(DecodeReply), Patience(100, 100))
        return await super()._attempt(*arguments)

    def _strike(self, pid: int) -> None:
        os.kill(pid, self.code)
        os.kill(pid, signal.SIGCONT)


async def test_the_recording_of_a_decoder_that_was_killed_is_decoded_by_the_next(recordings) -> None:
    decoder = Fragile(1)
    try:
        samples = await decode(decoder, recordings.wav(recordings.sound(1.0)))
        assert (len(samples), decoder.attempts) == (SAMPLE_RATE, 2)
    finally:
        await decoder.pool.aclose()


@pytest.mark.parametrize("code", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
async def test_what_ends_two_decoders_is_given_up_and_the_next_recording_is_served(recordings, code: int) -> None:
    decoder = Fragile(2, code)
    try:
        content = recordings.wav(recordings.sound(1.0))
        assert await refusal(decoder, content) is ErrorCode.AUDIO_UNPROCESSABLE
        assert decoder.attempts == 2
        assert len(await decode(decoder, content)) == SAMPLE_RATE
    finally:
        await decoder.pool.aclose()


async def test_what_takes_too_much_processor_time_is_not_tried_again(recordings) -> None:
    decoder = Fragile(1, signal.SIGXCPU)
    try:
        content = recordings.wav(recordings.sound(1.0))
        assert await refusal(decoder, content) is ErrorCode.AUDIO_UNPROCESSABLE
        assert decoder.attempts == 1
    finally:
        await decoder.pool.aclose()


async def test_a_half_written_attempt_leaves_nothing_behind(decoder: Decoder, recordings) -> None:
    with tempfile.TemporaryFile() as upload, tempfile.TemporaryFile() as target:
        upload.write(recordings.wav(recordings.sound(1.0)))
        upload.flush()
        target.write(b"left by one that died" * 9_999)
        target.flush()
        reply = await decoder.decode(upload.fileno(), target.fileno())
        assert os.fstat(target.fileno()).st_size == 2 * reply.samples == 2 * SAMPLE_RATE


async def test_a_decoder_asked_to_split_keeps_both_channels(decoder: Decoder, recordings) -> None:
    content = recordings.encode(recordings.sound(1.0), "pcm_s16le", "wav", layout="stereo")
    with tempfile.TemporaryFile() as upload, tempfile.TemporaryFile() as target:
        upload.write(content)
        upload.flush()
        reply = await decoder.decode(upload.fileno(), target.fileno(), split=True)
        assert (reply.samples, reply.channels, reply.dual_mono) == (SAMPLE_RATE, 2, True)
        assert len(reply.activity) == 2
        assert os.fstat(target.fileno()).st_size == 4 * SAMPLE_RATE


async def test_a_decoder_inherits_no_secret(decoder: Decoder, recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STT_TEST_SECRET", "do not inherit")
    await decode(decoder, recordings.wav(recordings.sound(0.1)))
    (worker,) = decoder.pool.workers
    assert "STT_TEST_SECRET" not in proc(worker.pid, "environ")
