"""A bench that took one recording for another would praise calls that were mixed up."""

import io
import wave

from bench.clips import PHRASES, Clips, is_of


def clips() -> Clips:
    return Clips(lambda phrase: phrase.encode() + b"\0" * (len(phrase.encode()) % 2))


def test_every_recording_is_another_file() -> None:
    made = clips()
    assert len({made.recording(number) for number in range(1000)}) == 1000


def test_a_recording_says_the_phrase_of_its_number_to_all_but_the_last_samples() -> None:
    with wave.open(io.BytesIO(clips().recording(len(PHRASES) + 2))) as recording:
        assert recording.readframes(recording.getnframes()).startswith(PHRASES[2].encode())


def test_a_transcript_with_a_wrong_word_is_still_of_its_phrase() -> None:
    assert is_of(1, " What is the interest right?")


def test_a_transcript_of_another_phrase_is_noticed() -> None:
    assert not any(is_of(number, PHRASES[0]) for number in range(1, len(PHRASES)))


def test_nothing_heard_is_of_no_phrase() -> None:
    assert not is_of(0, "")
