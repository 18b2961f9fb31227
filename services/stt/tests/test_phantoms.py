import pytest

from chammal_stt.phantoms import Phantom, phantom


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (" 시청해 주셔서 감사합니다.", "ko"),
        (" 구독과 좋아요 부탁드립니다! 다음 영상에서 만나요.", "ko"),
        (" MBC 뉴스 이덕영입니다.", "ko"),
        (" 한글자막 by 박진희", "ko"),
        (" Thank you for watching!", "ko"),
        (" 시청해주셔서 감사합니다", "en"),
        (" Subtitles by the Amara.org community", "en"),
        ("ご視聴ありがとうございました", "ja"),
        ("请不吝点赞 订阅 转发 打赏支持明镜与点点栏目", "zh"),
        ("Thanks for watching.", None),
    ],
)
def test_phrases_of_subtitles_are_known(text: str, language: str | None) -> None:
    assert phantom(text, language) is Phantom.NEVER


@pytest.mark.parametrize(
    ("text", "language"),
    [(" You", "en"), (" Bye.", "en"), (" 감사합니다.", "ko"), (" 네. 감사합니다.", "ko"), ("Bye.", None)],
)
def test_phrases_that_people_say_too_are_told_apart(text: str, language: str | None) -> None:
    assert phantom(text, language) is Phantom.OFTEN


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (" 시청해 주셔서 감사합니다. 적금 문의드립니다.", "ko"),
        (" 좋아요", "ko"),
        (" Thank you for watching my house while I was away.", "en"),
        (" you", "ko"),
        (" 네", "xx"),
        ("", "ko"),
        ("...", "ko"),
    ],
)
def test_only_whole_segments_are_phantoms(text: str, language: str) -> None:
    assert phantom(text, language) is None
