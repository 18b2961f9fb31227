import random

import numpy as np
import pytest

from chammal_stt.hearing import Span, heard, touching, without
from chammal_stt.pieces import FRAMES_A_SECOND


def test_stretches_of_speech_are_heard_in_seconds() -> None:
    speech = np.zeros(200, np.uint8)
    speech[10:50] = 200
    speech[100:120] = 150
    assert heard(speech) == [Span(10 / FRAMES_A_SECOND, 50 / FRAMES_A_SECOND), Span(3.2, 3.84)]


@pytest.mark.parametrize(("frames", "value"), [(2, 250), (30, 110)])
def test_clicks_and_noise_are_not_heard(frames: int, value: int) -> None:
    speech = np.zeros(200, np.uint8)
    speech[50 : 50 + frames] = value
    assert heard(speech) == []


def test_spans_that_touch_a_place_are_found() -> None:
    spans = [Span(0, 1), Span(2, 3), Span(4, 5), Span(6, 7)]
    assert touching(spans, Span(2.5, 4.5)) == spans[1:3]
    assert touching(spans, Span(1, 2)) == []
    assert touching(spans, Span(8, 9)) == []


def test_what_is_taken_is_taken_out() -> None:
    taken = [Span(-1, 1), Span(2, 3), Span(2.5, 2.7), Span(4.5, 9)]
    assert list(without([Span(0, 4), Span(4, 5), Span(8, 10)], taken)) == [
        Span(1, 2),
        Span(3, 4),
        Span(4, 4.5),
        Span(9, 10),
    ]


def test_any_spans_are_taken_out_moment_by_moment() -> None:
    chance = random.Random(5)
    for _ in range(300):
        edges = sorted(chance.sample(range(40), 8))
        spans = [Span(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True)]
        starts = sorted(chance.sample(range(-3, 40), 6))
        taken = [Span(start, start + chance.randint(1, 9)) for start in starts]
        left = list(without(spans, taken))
        for moment in np.arange(0.5, 50):
            here = [span.start < moment < span.end for span in spans]
            gone = any(span.start < moment < span.end for span in taken)
            assert any(span.start < moment < span.end for span in left) == (any(here) and not gone)
