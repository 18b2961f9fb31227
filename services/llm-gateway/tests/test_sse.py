import pytest

from chammal_llm_gateway.sse import SseParser

STREAM = b': ping\n\nevent: message\ndata: {"a": "\xea\xb0\x80"}\r\n\r\ndata:one\ndata: two\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_wherever_the_bytes_are_cut(size: int) -> None:
    parser = SseParser()
    events = [event for at in range(0, len(STREAM), size) for event in parser.feed(STREAM[at : at + size])]
    assert events == ['{"a": "가"}'.encode(), b"one\ntwo", b"[DONE]"]


def test_an_event_without_its_blank_line_has_not_happened() -> None:
    assert SseParser().feed(b"data: half") == []
