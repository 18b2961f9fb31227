"""The model itself, in this process."""

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from chammal_stt.messages import SAMPLE_RATE, Piece, Recognition
from chammal_stt.whisper import FULL_WINDOW, Whisper, WhisperOptions

pytestmark = pytest.mark.model

Audio = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def whisper(models_dir: Path) -> Whisper:
    return Whisper(models_dir / "whisper-base", WhisperOptions())


@pytest.fixture(scope="module")
def clips(audio: Path) -> list[Audio]:
    return [read(path) for path in sorted(audio.glob("ko_naver_*.wav"))[:5]]


def read(path: Path) -> Audio:
    with wave.open(str(path)) as recording:
        return np.frombuffer(recording.readframes(recording.getnframes()), "<i2").astype(np.float32) / 32_768


def text(recognition: Recognition) -> str:
    return "".join(segment.text for segment in recognition.segments)


def pieces(clips: list[Audio], **options: object) -> list[Piece]:
    return [Piece(0, len(clip), **{"language": "ko"} | options) for clip in clips]  # type: ignore[arg-type]


def likeness(one: str, other: str) -> float:
    """Share of letters in place, of the shorter."""
    return sum(a == b for a, b in zip(one, other, strict=False)) / max(1, min(len(one), len(other)))


def test_a_batch_says_what_each_piece_says_alone(whisper: Whisper, clips: list[Audio]) -> None:
    together = [text(found) for found in whisper.recognise(clips, pieces(clips))]
    alone = [text(whisper.recognise([clip], pieces([clip]))[0]) for clip in clips]
    assert np.mean([likeness(a, b) for a, b in zip(together, alone, strict=True)]) > 0.8
    assert all(together)


def test_times_lie_within_the_piece(whisper: Whisper, clips: list[Audio]) -> None:
    for clip, found in zip(clips, whisper.recognise(clips, pieces(clips, words=True)), strict=True):
        for segment in found.segments:
            assert 0 <= segment.start <= segment.end <= len(clip) / SAMPLE_RATE
            assert segment.words
            assert "".join(word.word for word in segment.words).strip() == segment.text.strip()
            assert all(word.start <= word.end for word in segment.words)


def test_a_short_piece_is_encoded_in_a_short_window(
    whisper: Whisper, clips: list[Audio], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = []
    encode = whisper._encode
    monkeypatch.setattr(whisper, "_encode", lambda audios, window: windows.append(window) or encode(audios, window))
    whisper.recognise([clips[0]], pieces([clips[0]]))
    assert windows == [pytest.approx(max(1000, len(clips[0]) / 160 + 250), abs=50)]


def test_what_repeats_itself_is_tried_again_in_the_full_window(
    whisper: Whisper, clips: list[Audio], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = []
    encode = whisper._encode
    monkeypatch.setattr(whisper, "_encode", lambda audios, window: windows.append(window) or encode(audios, window))
    monkeypatch.setattr("chammal_stt.whisper.MAX_COMPRESSION", 0.1)
    found = whisper.recognise([clips[0]], pieces([clips[0]]))
    assert windows[1:] == [FULL_WINDOW]
    assert text(found[0])
    monkeypatch.undo()


def test_partials_are_not_tried_again(whisper: Whisper, clips: list[Audio], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chammal_stt.whisper.MAX_COMPRESSION", 0.1)
    monkeypatch.setattr(whisper, "_second_try", lambda *_: pytest.fail("a second try"))
    assert text(whisper.recognise([clips[0]], pieces([clips[0]], quick=True))[0])


def test_languages_are_told_piece_by_piece(whisper: Whisper, clips: list[Audio], audio: Path) -> None:
    english = read(audio / "en_katiesteve_mono.wav")[: 5 * SAMPLE_RATE]
    found = whisper.recognise([clips[0], english], pieces([clips[0], english], language=None))
    assert [recognition.language for recognition in found] == ["ko", "en"]


def test_a_loop_ends_at_what_can_be_said_in_that_time(whisper: Whisper) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    (found,) = whisper.recognise([noise], pieces([noise], quick=True))
    assert sum(len(segment.tokens) for segment in found.segments) <= 40
