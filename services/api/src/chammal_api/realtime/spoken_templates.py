"""What is said where no language model answers. Marked as such in `response.done`, and never made up as an answer."""

APOLOGY = {
    "ko": "죄송합니다. 지금은 대답을 만들 수 없습니다. 잠시 후에 다시 말씀해 주세요.",
    "en": "I am sorry, I cannot answer right now. Please try again in a moment.",
}


def apology(language: str | None) -> str:
    """In the person's language where tts speaks it, else in English."""
    return APOLOGY.get((language or "en")[:2].lower(), APOLOGY["en"])
