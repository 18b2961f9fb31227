"""What the paced language model answers: three sentences or more, by the language it is spoken to in."""

KOREAN = (
    "네, 예약을 도와드리겠습니다. 오늘 저녁 일곱 시에는 네 분 자리가 아직 남아 있습니다. "
    "창가 자리를 원하시면 미리 말씀해 주세요. 성함과 연락처를 알려 주시면 바로 예약해 드리겠습니다.",
    "그 메뉴는 오늘도 주문하실 수 있습니다. 가격은 이만 오천 원이고, 밥과 반찬이 함께 나옵니다. "
    "매운 음식을 못 드시면 덜 맵게 해 드립니다.",
    "주차장은 건물 뒤편에 있습니다. 식사하시는 손님은 두 시간까지 무료로 이용하실 수 있습니다. "
    "주말에는 자리가 금방 차니 조금 일찍 오시는 것이 좋습니다.",
    "죄송하지만 그 날은 저희가 쉽니다. 다음 날 점심부터 다시 문을 엽니다. "
    "다른 날짜를 말씀해 주시면 가능한 시간을 찾아보겠습니다.",
)
ENGLISH = (
    "I would be glad to help you with that. There is a table for four at seven this evening. Shall I book it for you? "
    "I only need a name and a phone number.",
    "That is a well known speech. It was given at an inauguration in Washington. "
    "Many people still quote that sentence today.",
)


def reply_to(text: str) -> str:
    """The same to the same words, so that all sides say as much."""
    replies = KOREAN if any("가" <= letter <= "힣" for letter in text) else ENGLISH
    return replies[len(text) // 4 % len(replies)]


def pieces(reply: str) -> list[str]:
    """As a model's tokens come: two Korean syllables, or an English word, with the space before it."""
    made: list[str] = []
    for number, word in enumerate(reply.split(" ")):
        spaced = word if number == 0 else f" {word}"
        if word.isascii():
            made.append(spaced)
        else:
            made += [spaced[place : place + 2] for place in range(0, len(spaced), 2)]
    return made
