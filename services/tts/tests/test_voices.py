from chammal_tts.script import Language
from chammal_tts.voices import ALIASES, find_voice

ALL = frozenset(name for pair in ALIASES.values() for name in pair)


def test_every_openai_name_is_a_voice_for_each_language() -> None:
    for alias, (english, korean) in ALIASES.items():
        voice = find_voice(alias, ALL)
        assert voice is not None
        assert (voice.speaking(Language.EN), voice.speaking(Language.KO)) == (english, korean)


def test_an_engines_voice_speaks_every_language() -> None:
    voice = find_voice("af_heart", ALL)
    assert voice is not None
    assert voice.speaking(Language.KO) == voice.speaking(Language.EN) == "af_heart"


def test_an_alias_whose_voices_are_not_here_is_not_there() -> None:
    assert find_voice("echo", frozenset({"am_echo"})) is None
