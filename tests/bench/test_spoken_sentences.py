from bench.spoken.sentences import Sentence, read


def test_thirty_sentences_of_each_language_are_held_back() -> None:
    assert [len(read("held", language)) for language in ("ko", "en")] == [30, 30]


def test_what_is_held_back_is_not_tuned_on() -> None:
    held, tuning = (
        {one.text for language in ("ko", "en") for one in read(name, language)} for name in ("held", "tuning")
    )
    assert not held & tuning


def test_a_number_may_be_heard_in_digits_or_in_words() -> None:
    sentence = next(one for one in read("held", "ko") if "25명" in one.text)
    assert sentence.score("직원 25명이 사과 서른 개와 물 2병을 나누었습니다").wrong == 0
    assert sentence.score("직원 이십오 명이 사과 서른 개와 물 2병을 나누었습니다").wrong > 0


def test_a_transcript_is_held_against_the_nearest_spelling() -> None:
    sentence = Sentence("3", "en", ("three", "number three"))
    assert (sentence.score("tree").wrong, sentence.score("tree").length) == (1, 1)
    assert sentence.score("number tree").length == 2
