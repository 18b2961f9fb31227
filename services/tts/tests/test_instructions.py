import pytest

from chammal_contracts.voice import Emotion
from chammal_tts.instructions import mood_in, prosody_of
from chammal_tts.prosody import EMOTIONS, MAX_SEMITONES, NEUTRAL, Prosody


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("Speak in a cheerful and positive tone.", Emotion.HAPPY),
        ("Sound thrilled, as if your team had won.", Emotion.EXCITED),
        ("Angrily.", Emotion.ANGRY),
        ("A melancholic narrator", Emotion.SAD),
        ("soothing, like a nurse", Emotion.CALM),
        ("밝고 기쁜 목소리로", Emotion.HAPPY),
        ("차분하게 말해 주세요", Emotion.CALM),
        ("슬픈 목소리", Emotion.SAD),
        ("신나게 들리도록 신난 톤으로", Emotion.EXCITED),
        ("화난 것처럼", Emotion.ANGRY),
        ("calm, then happy", Emotion.CALM),
        ("Don't sound angry. Be calm.", Emotion.CALM),
        ("슬프지 않게, 행복하게", Emotion.HAPPY),
        ("Read this as an audiobook.", None),
        ("not too happy", None),
        ("unsaddled breakfasts", None),
        ("", None),
    ],
)
def test_a_mood_is_understood_where_it_is_named_and_not_where_it_is_denied(text: str, emotion: Emotion | None) -> None:
    assert mood_in(text) is emotion


@pytest.mark.parametrize(
    ("text", "prosody"),
    [
        ("Speak slowly.", Prosody(speed=0.85)),
        ("천천히 읽어 주세요.", Prosody(speed=0.85)),
        ("a bit faster", Prosody(speed=1.15)),
        ("빠르게", Prosody(speed=1.15)),
        ("너무 빠르지 않게", NEUTRAL),
        ("not too fast", NEUTRAL),
        ("please don't shout", NEUTRAL),
        ("with a deep voice", Prosody(pitch=-2.0)),
        ("높은 톤으로", Prosody(pitch=2.0)),
        ("Whisper.", Prosody(energy=0.6)),
        ("조용히, 천천히", Prosody(speed=0.85, energy=0.6)),
        ("크게 말하지 마세요", NEUTRAL),
        ("breakfast and slowdown", NEUTRAL),
    ],
)
def test_words_for_rate_pitch_and_loudness_are_understood(text: str, prosody: Prosody) -> None:
    assert prosody_of(text, None) == prosody


def test_an_emotion_outranks_a_mood_in_the_instructions_and_their_other_words_still_count() -> None:
    sad = EMOTIONS[Emotion.SAD]
    assert prosody_of("cheerful", Emotion.SAD) == sad
    assert prosody_of("cheerful and slow", Emotion.SAD) == sad.also(Prosody(speed=0.85))


@pytest.mark.parametrize("emotion", Emotion)
def test_every_emotion_has_a_prosody_of_its_own(emotion: Emotion) -> None:
    assert (EMOTIONS[emotion] == NEUTRAL) is (emotion is Emotion.NEUTRAL)


def test_what_is_added_up_stays_within_what_can_be_spoken() -> None:
    most = Prosody(4.0, 3.0, 4.0)
    assert most.also(EMOTIONS[Emotion.EXCITED]) == most
    assert Prosody(pitch=-2.5).also(EMOTIONS[Emotion.SAD]).pitch == -MAX_SEMITONES
