from faster_whisper.tokenizer import _LANGUAGE_CODES  # type: ignore[import-untyped]

from chammal_contracts.languages import LANGUAGES


def test_the_languages_are_those_of_the_library() -> None:
    assert set(_LANGUAGE_CODES) == LANGUAGES
