import pytest

from chammal_tts.english.phonemes import english_phonemes
from chammal_tts.english.reading import read_english
from chammal_tts.kokoro_letters import LETTERS


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("at 3:45 pm", "at 3 45 P.M."),
        ("at 15:00", "at 15 hundred hours"),
        ("at 9:00", "at 9 o'clock"),
        ("at 9:05", "at 9 oh 5"),
        ("5 p.m. today", "5 P.M. today"),
        ("on 2026-11-22", "on November 22nd, 2026"),
        ("Nov. 3, 2026", "November 3rd, 2026"),
        ("10-20 km", "10 to 20 kilometers"),
        ("25°C", "25 degrees Celsius"),
        ("1/2 cup", "one half cup"),
        ("$3.5M", "3.5 million dollars"),
        ("50%", "50 percent"),
        ("010-1234-5678", "oh 1 oh, 1 2 3 4, 5 6 7 8"),
        ("cats vs. dogs, e.g. mine", "cats versus dogs, for example mine"),
        ("and/or", "and slash or"),
        ("on 11/22/2026", "on November 22nd, 2026"),
        ("+1 (555) 123-4567", "plus 1, 5 5 5, 1 2 3, 4 5 6 7"),
        ("555-1234", "5 5 5, 1 2 3 4"),
        ("pages 100-1200, 2020-2024", "pages 100 to 1200, 2020 to 2024"),
        ("9:00-17:00", "9 o'clock to 17 hundred hours"),
        ("10am-5pm", "10 A.M. to 5 P.M."),
        ("the 1990s, '80s and 2000s", "the 19 nineties, eighties and two thousands"),
        ("5/8 of it, 24/7", "five eighths of it, 24 7"),
        ("Version 2.0.1", "Version 2 point 0 point 1"),
        ("~50 people", "about 50 people"),
        ("2x faster, 10 x 20", "2 times faster, 10 by 20"),
        ("₩12,000 or 50¢", "12,000 won or 50 cents"),
        ("1 kg, 2 kg", "1 kilogram, 2 kilograms"),
        ("100K users", "100 thousand users"),
        ("Chapter III", "Chapter 3"),
        ("No. 5", "number 5"),
        ("St. John on Main St.", "Saint John on Main Street"),
        ("at example.com", "at example dot com"),
    ],
)
def test_what_the_phonemiser_drops_is_written_out(written: str, read: str) -> None:
    assert read_english(written) == read


@pytest.mark.parametrize("text", ["$5.50", "1,234 users", "the 21st", "in 2026", "Kubernetes", "Dr. Smith"])
def test_numbers_money_and_unknown_words_have_sounds(text: str) -> None:
    sounds = english_phonemes(text)
    assert len(sounds) > 3
    assert not [s for s in sounds if s not in LETTERS]
