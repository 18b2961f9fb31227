import asyncio
import json
import os
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from chammal_contracts.errors import ErrorCode
from chammal_contracts.live import (
    SERVER_EVENT,
    CloseCode,
    Committed,
    Done,
    EndReason,
    Final,
    LiveError,
    Partial,
    Ready,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
)
from chammal_contracts.voice import VoiceMissing
from chammal_kit.problems import Problem
from chammal_stt.batcher import Priority
from chammal_stt.live.dictation import Dictation
from chammal_stt.live.protocol import Ending
from chammal_stt.live.session import Disconnected, Session
from chammal_stt.messages import SAMPLE_RATE, Piece, RecognisedSegment, RecognisedWord, Recognition, VoiceMeasure
from chammal_stt.metrics import SessionOutcome
from chammal_stt.settings import SttSettings

pytestmark = pytest.mark.anyio

E = TypeVar("E")
Samples = npt.NDArray[np.int16]
PATIENCE = 30.0
FINISH = '{"type": "finish"}'


class Client:
    """A client of the test: what it sends is a list, what it receives another."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.events: list[ServerEvent] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self._arrived = asyncio.Condition()

    def say(self, *messages: str | bytes) -> None:
        for message in messages:
            self.sent.put_nowait(message)

    def start(self, **fields: object) -> None:
        self.say(json.dumps({"type": "start", "sample_rate": 16_000} | fields))

    def leave(self) -> None:
        self.sent.put_nowait(None)

    async def receive(self) -> str | bytes:
        message = await self.sent.get()
        if message is None:
            raise Disconnected
        return message

    async def send(self, text: str) -> None:
        await self.reads.wait()
        self.events.append(SERVER_EVENT.validate_json(text))
        async with self._arrived:
            self._arrived.notify_all()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[E], count: int = 1) -> E:
        async with asyncio.timeout(PATIENCE), self._arrived:
            await self._arrived.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[-1]


class Recogniser:
    """Writes one word for each second that it hears."""

    def __init__(self) -> None:
        self.calls: list[tuple[Piece, Priority]] = []
        self.cancelled: list[Piece] = []
        self.heard: list[Samples] = []
        self.failure: Problem | None = None
        self.voice: VoiceMeasure | None = None
        self.final_word = "word"
        self.held: set[Priority] = set()
        self._released = asyncio.Event()
        self._called = asyncio.Condition()

    def release(self, *priorities: Priority) -> None:
        self.held -= set(priorities)
        self._released.set()
        self._released = asyncio.Event()

    async def until_called(self, priority: Priority, count: int = 1) -> Piece:
        async with asyncio.timeout(PATIENCE), self._called:
            await self._called.wait_for(lambda: len(self.asked(priority)) >= count)
        return self.asked(priority)[count - 1]

    def asked(self, priority: Priority) -> list[Piece]:
        return [piece for piece, asked in self.calls if asked is priority]

    async def recognise(self, descriptor: int, piece: Piece, priority: Priority) -> Recognition:
        self.calls.append((piece, priority))
        async with self._called:
            self._called.notify_all()
        try:
            while priority in self.held:
                await self._released.wait()
        except asyncio.CancelledError:
            self.cancelled.append(piece)
            raise
        data = os.pread(descriptor, piece.samples * 2, piece.first * 2)
        assert len(data) == piece.samples * 2
        if priority is Priority.FINAL:
            self.heard.append(np.frombuffer(data, np.int16))
        if self.failure is not None:
            raise self.failure
        return self._write(piece)

    def _write(self, piece: Piece) -> Recognition:
        seconds = piece.samples / SAMPLE_RATE
        name = "word" if piece.quick else self.final_word
        words = [f" {name}{number}" for number in range(1 + int(seconds))]
        each = seconds / len(words)
        timed = [RecognisedWord(word, at * each, (at + 1) * each, 0.9) for at, word in enumerate(words)]
        segment = RecognisedSegment(
            start=0.0,
            end=seconds,
            text="".join(words),
            tokens=[1] * len(words),
            temperature=0.0,
            avg_logprob=-0.2,
            compression_ratio=1.0,
            no_speech_prob=0.0,
            words=timed if piece.words else None,
        )
        return Recognition(piece.language or "ko", [segment], voice=self.voice)


@pytest.fixture
def recogniser() -> Recogniser:
    return Recogniser()


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def settings() -> SttSettings:
    return SttSettings(live_partial_seconds=0.001, live_send_seconds=5)


@pytest.fixture
async def session(
    client: Client, recogniser: Recogniser, settings: SttSettings
) -> AsyncIterator[tuple[Session, asyncio.Task[Ending]]]:
    session = Session("test", client, Dictation(recogniser, workers=2), settings)
    running = asyncio.create_task(session.run())
    yield session, running
    running.cancel()
    await asyncio.wait((running,))


@pytest.fixture(scope="module")
def speech(audio: Path) -> Samples:
    """Narration in Korean, 33 s, 16 kHz, with a pause between sentences."""
    return read(audio / "ko_azure_1.wav")


def read(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def silence(seconds: float) -> bytes:
    return bytes(2 * int(seconds * SAMPLE_RATE))


def chunks(samples: Samples, seconds: float = 0.1) -> Iterator[bytes]:
    size = int(seconds * SAMPLE_RATE)
    for start in range(0, len(samples), size):
        yield samples[start : start + size].tobytes()


Running = tuple[Session, asyncio.Task[Ending]]


async def ending(running: Running) -> Ending:
    async with asyncio.timeout(PATIENCE):
        return await running[1]


async def test_an_utterance_comes_as_start_partials_stop_and_final(
    session: Running, client: Client, speech: Samples
) -> None:
    client.start(language="ko")
    client.say(silence(1), *chunks(speech[: 5 * SAMPLE_RATE]), silence(2), FINISH)
    assert await ending(session) == Ending(SessionOutcome.FINISHED, CloseCode.FINISHED)
    kinds = [event.type for event in client.events if not isinstance(event, Partial)]
    utterances = len(client.of(Final))
    assert utterances
    assert kinds[0] == "ready"
    assert kinds[-1] == "done"
    assert kinds.count("speech_started") == kinds.count("speech_stopped") == utterances
    for started, stopped, final in zip(
        client.of(SpeechStarted), client.of(SpeechStopped), client.of(Final), strict=True
    ):
        order = [client.events.index(event) for event in (started, stopped, final)]
        assert order == sorted(order)
        assert started.start == final.start < stopped.end == final.end
        assert all(started.start - 1 < word.start <= word.end < stopped.end + 1 for word in final.words)


async def test_a_voice_that_was_asked_for_comes_with_each_final(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    recogniser.voice = VoiceMeasure(f0_hz=195.0, f0_deviation_hz=26.0, rms=0.13, zcr=0.1, voiced_share=0.8, seconds=4.0)
    client.start(language="ko", voice=True)
    client.say(silence(1), *chunks(speech), FINISH)
    await ending(session)
    voices = [final.voice for final in client.of(Final)]
    assert [voice.baseline for voice in voices if voice is not None] == list(range(len(voices)))
    assert len(voices) > 1
    for piece, started in zip(recogniser.asked(Priority.FINAL), client.of(SpeechStarted), strict=False):
        assert piece.voice
        assert 0 < piece.voice_from < piece.samples
        assert started.start > 0
    assert not any(piece.voice for piece in recogniser.asked(Priority.PARTIAL))


async def test_a_final_says_why_it_has_no_voice(session: Running, client: Client, speech: Samples) -> None:
    client.start(language="ko", voice=True)
    client.say(*chunks(speech[: 4 * SAMPLE_RATE]), FINISH)
    await ending(session)
    assert {(final.voice, final.voice_missing) for final in client.of(Final)} == {(None, VoiceMissing.TOO_SHORT)}


async def test_a_voice_that_was_not_asked_for_is_not_measured(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    client.start(language="ko")
    client.say(*chunks(speech[: 4 * SAMPLE_RATE]), FINISH)
    await ending(session)
    assert {(final.voice, final.voice_missing) for final in client.of(Final)} == {(None, None)}
    assert not any(piece.voice for piece, _ in recogniser.calls)


async def test_partials_name_a_prefix_that_only_grows(session: Running, client: Client, speech: Samples) -> None:
    client.start()
    for chunk in chunks(speech[: 6 * SAMPLE_RATE]):
        client.say(chunk)
        await asyncio.sleep(0)
    client.say(FINISH)
    await ending(session)
    partials = client.of(Partial)
    assert partials
    for before, after in pairwise(partials):
        if before.utterance == after.utterance:
            assert after.stable.startswith(before.stable)
        assert after.text.startswith(after.stable)


async def test_a_final_keeps_what_was_stable_and_tells_what_it_would_have_written(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    recogniser.final_word = "ward"
    client.start()
    for chunk in chunks(speech[: 6 * SAMPLE_RATE]):
        client.say(chunk)
        await asyncio.sleep(0)
    client.say(FINISH)
    await ending(session)
    stable = {partial.utterance: partial.stable for partial in client.of(Partial)}
    assert any(stable.values())
    for final in client.of(Final):
        shown = stable.get(final.utterance, "")
        assert final.text.startswith(shown)
        assert final.text.endswith(f"ward{len(final.words) - 1}")
        assert final.text.split() == [word.word for word in final.words]
        assert (final.reread is not None) == bool(shown)
        assert final.reread is None or final.reread.startswith("ward0 ward1")


async def test_no_audio_is_lost_where_an_endless_utterance_is_cut(
    client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    settings = SttSettings(live_utterance_seconds=5, live_silence_ms=5000, live_early_ms=5000)
    session = Session("test", client, Dictation(recogniser, workers=2), settings)
    running = asyncio.create_task(session.run())
    client.start(partials=False)
    client.say(*chunks(speech[: 14 * SAMPLE_RATE]), FINISH)
    await ending((session, running))
    stops = client.of(SpeechStopped)
    assert [stop.reason for stop in stops[:-1]] == [EndReason.TOO_LONG] * (len(stops) - 1)
    assert len(stops) > 2
    heard = np.concatenate(recogniser.heard)
    offset = np.flatnonzero(speech[: 2 * SAMPLE_RATE] == heard[0])
    assert any(np.array_equal(speech[at : at + SAMPLE_RATE * 12], heard[: SAMPLE_RATE * 12]) for at in offset)


async def test_the_final_is_begun_in_the_silence_and_used_when_it_was_the_end(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    client.start(partials=False, silence_ms=1000)
    client.say(spoken(speech), silence(0.5))
    await recogniser.until_called(Priority.FINAL)
    assert not client.of(SpeechStopped)
    client.say(silence(1))
    final = await client.until(Final)
    assert len(recogniser.asked(Priority.FINAL)) == 1
    assert final.seconds.silence == pytest.approx(1.0, abs=0.1)


async def test_an_early_final_is_thrown_away_when_speech_goes_on(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    recogniser.held = {Priority.FINAL}
    client.start(partials=False, silence_ms=2000)
    client.say(spoken(speech), silence(0.7))
    first = await recogniser.until_called(Priority.FINAL)
    client.say(spoken(speech), silence(2.5))
    await client.until(SpeechStopped)
    recogniser.release(Priority.FINAL)
    await client.until(Final)
    assert recogniser.cancelled[0] == first
    assert len(client.of(Final)) == 1
    assert len(recogniser.heard[-1]) > 2 * len(spoken(speech)) / 2


async def test_a_partial_under_way_is_dropped_for_the_final(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    recogniser.held = {Priority.PARTIAL}
    client.start()
    client.say(spoken(speech))
    await recogniser.until_called(Priority.PARTIAL)
    client.say(silence(2))
    final = await client.until(Final)
    assert final.text
    assert len(recogniser.cancelled) == 1
    assert not client.of(Partial)


async def test_partials_due_while_a_final_waits_are_dropped_and_counted(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    recogniser.held = {Priority.FINAL}
    client.start()
    client.say(spoken(speech), silence(2))
    await client.until(SpeechStopped)
    asked = len(recogniser.asked(Priority.PARTIAL))
    for chunk in chunks(np.frombuffer(spoken(speech), np.int16), 0.1):
        client.say(chunk)
    client.say('{"type": "commit"}')
    await client.until(Committed)
    assert len(recogniser.asked(Priority.PARTIAL)) == asked
    recogniser.release(Priority.FINAL)
    assert (await client.until(Final, 2)).partials_dropped


async def test_an_utterance_that_cannot_be_recognised_is_an_error_and_the_session_goes_on(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    recogniser.failure = Problem(503, ErrorCode.MODEL_UNAVAILABLE, "No recogniser.")
    client.start(partials=False)
    client.say(spoken(speech), silence(2))
    error = await client.until(LiveError)
    assert (error.code, error.fatal, error.utterance) == (ErrorCode.MODEL_UNAVAILABLE, False, 1)
    recogniser.failure = None
    client.say(spoken(speech), silence(2))
    assert (await client.until(Final)).utterance == 2


async def test_commit_ends_an_utterance_without_waiting_for_silence(
    session: Running, client: Client, speech: Samples
) -> None:
    client.start(partials=False)
    client.say(spoken(speech), '{"type": "commit"}')
    assert (await client.until(Committed)).utterance == 1
    assert (await client.until(SpeechStopped)).reason is EndReason.COMMIT
    await client.until(Final)
    client.say(silence(1), '{"type": "commit"}')
    assert (await client.until(Committed, 2)).utterance is None


async def test_finish_flushes_what_is_being_said(session: Running, client: Client, speech: Samples) -> None:
    client.start(partials=False)
    client.say(spoken(speech), FINISH)
    await ending(session)
    assert client.of(SpeechStopped)[0].reason is EndReason.FINISH
    assert [event.type for event in client.events[-2:]] == ["final", "done"]
    assert client.of(Done)[0].utterances == 1


async def test_silence_and_a_click_make_no_utterance(session: Running, client: Client) -> None:
    click = np.zeros(SAMPLE_RATE, np.int16)
    click[8000:8200] = 20_000
    client.start()
    client.say(silence(3), click.tobytes(), silence(3), FINISH)
    await ending(session)
    assert [event.type for event in client.events] == ["ready", "done"]
    assert client.of(Done)[0].audio_seconds == pytest.approx(7, abs=0.05)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
async def test_every_rate_gives_the_same_utterances(
    session: Running, client: Client, speech: Samples, rate: int
) -> None:
    soxr = pytest.importorskip("soxr")
    client.start(sample_rate=rate, partials=False)
    resampled = soxr.resample(speech[: 6 * SAMPLE_RATE], SAMPLE_RATE, rate)
    client.say(resampled.tobytes(), bytes(4 * rate), FINISH)
    await ending(session)
    assert client.of(Ready)[0].sample_rate == rate
    assert client.of(Final)[0].start == pytest.approx(0.1, abs=0.1)


async def test_a_sample_may_be_cut_in_two_between_messages(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    data = spoken(speech)
    client.start(partials=False)
    client.say(*(data[at : at + 333] for at in range(0, len(data), 333)), silence(2), FINISH)
    await ending(session)
    heard = recogniser.heard[0].tobytes()
    assert heard[: len(data) // 2] in data + silence(2)
    assert not client.of(LiveError)


async def test_an_odd_byte_at_the_end_is_named(session: Running, client: Client) -> None:
    client.start()
    client.say(silence(1) + b"\1", FINISH)
    await ending(session)
    error = client.of(LiveError)[0]
    assert (error.code, error.fatal, error.stage) == (ErrorCode.MESSAGE_INVALID, False, "audio")
    assert client.of(Done)


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        (b"\0\0", ErrorCode.MESSAGE_UNEXPECTED, "start"),
        (FINISH, ErrorCode.MESSAGE_UNEXPECTED, "start"),
        ("garbage", ErrorCode.MESSAGE_INVALID, "start"),
        ("[]", ErrorCode.MESSAGE_INVALID, "start"),
        ('{"type": "start", "sample_rate": 44100}', ErrorCode.MESSAGE_INVALID, "8000"),
        ('{"type": "start", "sample_rate": 16000, "language": "xx"}', ErrorCode.LANGUAGE_UNKNOWN, "ko"),
        ('{"type": "start", "sample_rate": 16000, "pace": 1}', ErrorCode.MESSAGE_INVALID, "pace"),
        ('{"type": "start", "sample_rate": 16000, "silence_ms": 1}', ErrorCode.MESSAGE_INVALID, "200"),
        ("[" * 100_000, ErrorCode.MESSAGE_INVALID, "start"),
    ],
)
async def test_a_first_message_that_is_no_start_ends_the_session_and_says_what_was_expected(
    session: Running, client: Client, message: str | bytes, code: ErrorCode, said: str
) -> None:
    client.say(message)
    end = await ending(session)
    assert (end.outcome, end.code) == (SessionOutcome.INVALID, CloseCode.INVALID)
    error = client.of(LiveError)[0]
    assert (error.code, error.fatal) == (code, True)
    assert said in error.detail


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type": "start", "sample_rate": 16000}', ErrorCode.MESSAGE_UNEXPECTED),
        ('{"type": "begin"}', ErrorCode.MESSAGE_INVALID),
        ("\0", ErrorCode.MESSAGE_INVALID),
    ],
)
async def test_a_wrong_message_in_the_middle_ends_the_session_after_the_final_of_what_was_said(
    session: Running, client: Client, speech: Samples, message: str, code: ErrorCode
) -> None:
    client.start(partials=False)
    client.say(spoken(speech), message)
    end = await ending(session)
    assert end.code is CloseCode.INVALID
    assert [event.type for event in client.events[-2:]] == ["final", "error"]
    assert client.of(LiveError)[0].code is code
    assert client.of(SpeechStopped)[0].reason is EndReason.CLOSED


async def test_a_client_that_says_nothing_is_let_go(client: Client, recogniser: Recogniser) -> None:
    settings = SttSettings(live_idle_seconds=0.01)
    client.start()
    session = Session("test", client, Dictation(recogniser, workers=2), settings)
    end = await session.run()
    assert (end.outcome, end.code) == (SessionOutcome.IDLE, CloseCode.IDLE)
    assert client.of(LiveError)[0].code is ErrorCode.SESSION_IDLE


async def test_a_client_that_does_not_read_is_cut_off(client: Client, recogniser: Recogniser) -> None:
    settings = SttSettings(live_send_seconds=0.01)
    client.reads.clear()
    client.start()
    session = Session("test", client, Dictation(recogniser, workers=2), settings)
    end = await session.run()
    assert (end.outcome, end.code) == (SessionOutcome.TOO_SLOW, CloseCode.TOO_SLOW)


async def test_audio_is_not_taken_while_finals_pile_up(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    recogniser.held = {Priority.FINAL}
    client.start(partials=False)
    for _ in range(12):
        client.say(spoken(speech), '{"type": "commit"}')
    await recogniser.until_called(Priority.FINAL, 4)
    await client.until(Committed, 4)
    assert client.sent.qsize() > 12
    recogniser.release(Priority.FINAL)
    await client.until(Final, 12)


async def test_events_pile_up_no_further_than_the_client_reads(session: Running, client: Client) -> None:
    client.start()
    await client.until(Ready)
    client.reads.clear()
    client.say(*['{"type": "commit"}'] * 500)
    for _ in range(2000):
        await asyncio.sleep(0)
    assert client.sent.qsize() > 400
    client.reads.set()
    await client.until(Committed, 500)


async def test_a_client_that_goes_away_leaves_nothing_behind(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples, open_files: Callable[[], int]
) -> None:
    before = open_files()
    tasks = len(asyncio.all_tasks())
    recogniser.held = {Priority.FINAL, Priority.PARTIAL}
    client.start()
    client.say(spoken(speech), silence(2), spoken(speech))
    await client.until(SpeechStarted, 2)
    client.leave()
    assert (await ending(session)).outcome is SessionOutcome.DISCONNECTED
    assert open_files() == before
    assert len(asyncio.all_tasks()) <= tasks


async def test_shutting_down_recognises_what_was_said_and_says_why_it_ends(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    recogniser.held = {Priority.FINAL}
    client.start(partials=False)
    client.say(spoken(speech))
    await client.until(SpeechStarted)
    session[0].shut_down()
    await client.until(SpeechStopped)
    recogniser.release(Priority.FINAL)
    end = await ending(session)
    assert (end.outcome, end.code) == (SessionOutcome.SHUTDOWN, CloseCode.SHUTTING_DOWN)
    assert [event.type for event in client.events[-2:]] == ["final", "error"]
    assert client.of(LiveError)[0].code is ErrorCode.SERVER_SHUTTING_DOWN


@pytest.mark.parametrize("encoding", ["g711_ulaw", "g711_alaw"])
async def test_telephone_codes_are_understood(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples, encoding: str
) -> None:
    codes = encode_g711(speech[: 6 * SAMPLE_RATE], encoding)
    client.start(sample_rate=8_000, encoding=encoding, partials=False)
    client.say(codes, bytes([0xFF if encoding == "g711_ulaw" else 0xD5]) * 16_000, FINISH)
    await ending(session)
    assert client.of(Final)[0].start == pytest.approx(0.1, abs=0.1)


async def test_language_prompt_and_hotwords_reach_every_decode(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples
) -> None:
    client.start(language="ko", prompt="보험 상담", hotwords="참말")
    client.say(spoken(speech), silence(2), FINISH)
    await ending(session)
    assert {(piece.language, piece.prompt, piece.hotwords) for piece, _ in recogniser.calls} == {
        ("ko", "보험 상담", "참말")
    }
    assert not any(piece.quick for piece in recogniser.asked(Priority.FINAL))
    assert all(piece.quick for piece in recogniser.asked(Priority.PARTIAL))


def spoken(speech: Samples) -> bytes:
    """Two seconds of speech without a pause, after half a second of nothing."""
    return speech[: int(2.5 * SAMPLE_RATE)].tobytes()


def encode_g711(speech: Samples, encoding: str) -> bytes:
    av: Any = pytest.importorskip("av")
    frame = av.AudioFrame.from_ndarray(speech[np.newaxis], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    codec = av.CodecContext.create({"g711_ulaw": "pcm_mulaw", "g711_alaw": "pcm_alaw"}[encoding], "w")
    codec.sample_rate, codec.layout, codec.format = 8_000, "mono", "s16"
    resampler = av.AudioResampler("s16", "mono", 8_000)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(bytes(packet) for piece in frames for packet in codec.encode(piece))


@pytest.fixture
def open_files() -> Callable[[], int]:
    folder = Path("/dev/fd")
    return lambda: len(list(folder.iterdir()))


async def test_a_quarter_of_an_hour_takes_no_more_memory_than_its_first_minutes(
    session: Running, client: Client, recogniser: Recogniser, speech: Samples, open_files: Callable[[], int]
) -> None:
    sentence = np.concatenate((speech[: 6 * SAMPLE_RATE], np.zeros(2 * SAMPLE_RATE, np.int16)))
    client.start()
    sizes, files = [], open_files()
    for minute in range(15):
        for _ in range(8):
            client.say(*chunks(sentence, 0.5))
        client.say('{"type": "commit"}')
        await client.until(Committed, minute + 1)
        client.events[:] = client.of(Committed)
        recogniser.heard.clear()
        sizes.append(resident_bytes())
    assert sizes[-1] - sizes[4] < 4 << 20
    assert open_files() <= files + 5
    client.say(FINISH)
    await ending(session)
    assert client.of(Done)[0].audio_seconds == pytest.approx(15 * 64, abs=0.1)


def resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("only Linux tells")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
