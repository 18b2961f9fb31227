from dataclasses import replace

import pytest

from chammal_contracts.voice import Emotion, Voice, VoiceMissing
from chammal_stt.messages import Recognition, VoiceMeasure
from chammal_stt.voice.moods import Said, mood, moods
from chammal_stt.voice.rules import VoiceRules
from chammal_stt.voice.speaker import Speaker

RULES = VoiceRules()
USUAL = VoiceMeasure(f0_hz=145.0, f0_deviation_hz=32.0, rms=0.05, zcr=0.10, voiced_share=0.7, seconds=2.0)
WOMAN = replace(USUAL, f0_hz=230.0, f0_deviation_hz=55.0)
SENTENCE = "가나다라마바사아자차카타파"
"""13 syllables: 6.5 a second in 2 s, as Korean is usually spoken."""


def spoken(measure: VoiceMeasure | None, error: str | None = None) -> Recognition:
    return Recognition("ko", voice=measure, voice_error=error)


def hear(speaker: Speaker, measure: VoiceMeasure, text: str = SENTENCE) -> Voice:
    voice = mood(speaker, spoken(measure), text, "ko")
    assert isinstance(voice, Voice)
    return voice


def test_a_usual_voice_is_neutral_from_the_first_word() -> None:
    voice = hear(Speaker(RULES), USUAL)
    assert voice.emotion is Emotion.NEUTRAL
    assert voice.baseline == 0
    assert voice.measured.syllables_per_second == 6.5


@pytest.mark.parametrize("usual", [WOMAN, replace(USUAL, rms=0.012), replace(USUAL, rms=0.2, zcr=0.15)])
def test_a_voice_or_a_microphone_that_is_always_so_becomes_neutral(usual: VoiceMeasure) -> None:
    speaker = Speaker(RULES)
    heard = [hear(speaker, usual) for _ in range(8)]
    assert heard[0].emotion is not Emotion.NEUTRAL
    assert heard[-1].emotion is Emotion.NEUTRAL
    assert heard[-1].baseline == 7


@pytest.mark.parametrize(
    ("change", "text", "emotion"),
    [
        ({"rms": 0.04, "f0_hz": 320.0}, SENTENCE * 2, Emotion.EXCITED),
        ({"rms": 0.05, "zcr": 0.16}, SENTENCE, Emotion.ANGRY),
        ({"rms": 0.01, "f0_hz": 170.0}, SENTENCE[:6], Emotion.SAD),
        ({"f0_deviation_hz": 25.0, "rms": 0.016}, SENTENCE, Emotion.CALM),
    ],
)
def test_a_mood_is_heard_over_a_quiet_microphone(change: dict[str, float], text: str, emotion: Emotion) -> None:
    speaker, usual = Speaker(RULES), replace(WOMAN, rms=0.02)
    for _ in range(8):
        hear(speaker, usual)
    assert hear(speaker, replace(usual, **change), text).emotion is emotion


def test_one_outburst_does_not_become_the_usual() -> None:
    speaker = Speaker(RULES)
    for _ in range(5):
        hear(speaker, USUAL)
    hear(speaker, replace(USUAL, rms=0.3, f0_hz=300.0))
    after = hear(speaker, USUAL)
    assert after.emotion is Emotion.NEUTRAL
    assert after.adapted.f0_hz == pytest.approx(145, rel=0.01)


def test_where_no_pitch_was_measured_energy_decides_and_the_answer_says_so() -> None:
    speaker = Speaker(RULES)
    for _ in range(3):
        hear(speaker, USUAL)
    whisper = hear(speaker, replace(USUAL, f0_hz=0.0, f0_deviation_hz=0.0, rms=0.015))
    assert not whisper.f0_measured
    assert (whisper.measured.f0_hz, whisper.measured.f0_deviation_hz) == (150.0, 25.0)
    assert (whisper.adapted.f0_hz, whisper.adapted.f0_deviation_hz) == (150.0, 25.0)
    assert whisper.emotion is Emotion.CALM
    assert hear(speaker, USUAL).adapted.f0_hz == pytest.approx(145, rel=0.01)


def test_fifty_hertz_count_as_not_measured() -> None:
    assert not hear(Speaker(RULES), replace(USUAL, f0_hz=50.0)).f0_measured
    assert hear(Speaker(RULES), replace(USUAL, f0_hz=51.0)).f0_measured


def test_english_and_korean_have_rates_of_their_own() -> None:
    korean = mood(Speaker(RULES), spoken(USUAL), SENTENCE, "ko")
    english = mood(Speaker(RULES), spoken(USUAL), "one two three four five six ten ten ten ten", "en")
    assert isinstance(korean, Voice)
    assert isinstance(english, Voice)
    assert korean.adapted.syllables_per_second == english.adapted.syllables_per_second == 3.5
    assert english.measured.syllables_per_second == 5.0


def test_a_text_whose_syllables_cannot_be_told_leaves_the_rate_out() -> None:
    voice = mood(Speaker(RULES), spoken(USUAL), "привет", "ru")
    assert isinstance(voice, Voice)
    assert voice.measured.syllables_per_second is None


@pytest.mark.parametrize(
    ("recognition", "text", "why"),
    [
        (spoken(None, error="RuntimeError: no"), SENTENCE, VoiceMissing.FAILED),
        (spoken(None), SENTENCE, VoiceMissing.TOO_SHORT),
        (spoken(USUAL), "", VoiceMissing.NO_TEXT),
    ],
)
def test_why_there_is_no_voice_is_told_and_teaches_nothing(
    recognition: Recognition, text: str, why: VoiceMissing
) -> None:
    speaker = Speaker(RULES)
    assert mood(speaker, recognition, text, "ko") is why
    assert hear(speaker, USUAL).baseline == 0


def test_in_a_recording_each_speaker_is_their_own_measure() -> None:
    low, high = replace(USUAL, f0_hz=100.0), replace(USUAL, f0_hz=240.0)
    said = [Said(name, spoken(one), SENTENCE) for name, one in [("agent", low), ("customer", high)] * 8]
    said.append(Said("agent", spoken(replace(low, f0_hz=140.0)), SENTENCE))
    found = moods(said, "ko", RULES)
    assert [voice.emotion for voice in found if isinstance(voice, Voice)] == [Emotion.NEUTRAL] * 16 + [Emotion.HAPPY]
    assert [voice.baseline for voice in found[:2] if isinstance(voice, Voice)] == [9, 8]
