import pytest

from chammal_kit.subtitles import Cue, clock, to_srt, to_vtt

HOSTILE = Cue(1.0, 2.0, "a\n\n00:00:00.000 --> 00:00:09.000\n<script>", "R&D")


@pytest.mark.parametrize(("seconds", "written"), [(59.9996, "00:01:00.000"), (7200.0, "02:00:00.000")])
def test_the_clock_carries_over(seconds: float, written: str) -> None:
    assert clock(seconds, ".") == written


def test_what_was_said_can_neither_end_a_cue_nor_begin_markup() -> None:
    assert to_srt([HOSTILE]) == "1\n00:00:01,000 --> 00:00:02,000\nR&D: a 00:00:00.000 -> 00:00:09.000 <script>\n\n"
    assert to_vtt([HOSTILE]) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<v R&amp;D>a 00:00:00.000 -&gt; 00:00:09.000 &lt;script&gt;\n\n"
    )
