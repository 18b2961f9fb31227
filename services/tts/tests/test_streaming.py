"""Against a real server on loopback."""

import gc
import sys
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from chammal_tts.app import create
from chammal_tts.settings import TtsSettings

THREE = {"input": "첫 문장입니다. 둘째 문장입니다. 셋째 문장입니다.", "response_format": "pcm"}


@pytest.fixture
def url(serve: Callable[[FastAPI], str], engine: Any, settings: TtsSettings) -> str:
    base = serve(create(settings, lambda _: engine))
    assert any(httpx2.get(f"{base}/ready").status_code == 200 for _ in range(2000))
    engine.begun.clear()
    engine.made.clear()
    engine.gated = True
    return f"{base}/v1/audio/speech"


@pytest.mark.parametrize(
    "extra", [{}, {"response_format": "mp3"}, {"response_format": "opus"}, {"stream_format": "sse"}]
)
def test_the_first_audio_arrives_before_the_last_sentence_is_made(url: str, engine: Any, extra: dict[str, str]) -> None:
    engine.allow(1)
    with httpx2.stream("POST", url, json={**THREE, **extra}, timeout=20) as answer:
        chunks = answer.iter_raw()
        first = next(chunks)
        assert first
        assert [u.text for u in engine.made] == ["첫 문장입니다."]
        engine.allow(2)
        rest = b"".join(chunks)
    assert rest
    assert len(engine.made) == 3


def begun(engine: Any, sentences: int) -> None:
    """Returns when the engine has so many before it."""
    give_up = time.monotonic() + 20
    while len(engine.begun) < sentences:
        assert time.monotonic() < give_up
        time.sleep(0.005)


def spoken_again(url: str) -> bool:
    """The slot is free and the engine's one thread no longer holds the sentence that nobody wants."""
    return any(httpx2.post(url, json={"input": "다시."}, timeout=15).status_code == 200 for _ in range(200))


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_a_caller_that_goes_away_leaves_no_thread_of_its_encoder_behind(url: str, engine: Any) -> None:
    gc.disable()
    try:
        before = threads()
        for _ in range(3):
            engine.allow(1)
            with httpx2.stream("POST", url, json={**THREE, "response_format": "mp3"}, timeout=20) as answer:
                next(answer.iter_raw())
            engine.gated = False
            assert spoken_again(url)
            engine.gated = True
        assert threads() - before < 2 * 3
    finally:
        gc.enable()


def threads() -> int:
    """Of the process, those included that Python did not start."""
    return len(list(Path("/proc/self/task").iterdir()))


def test_a_caller_that_goes_away_stops_the_synthesis(url: str, engine: Any) -> None:
    engine.allow(1)
    with httpx2.stream("POST", url, json=THREE, timeout=20) as answer:
        chunks = answer.iter_raw()  # whose end would be the caller's leaving
        assert next(chunks)
        begun(engine, 2)
    engine.gated = False
    assert spoken_again(url)
    assert [u.text for u in engine.made] == ["첫 문장입니다.", "다시."]


def test_a_caller_that_goes_away_before_any_audio_frees_its_slot(url: str, engine: Any) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(url, json=THREE, timeout=0.3)
    engine.gated = False
    assert spoken_again(url)
    assert [u.text for u in engine.made] == ["다시."]


def test_who_finds_every_slot_taken_is_told_when_to_come_back(url: str, engine: Any) -> None:
    engine.allow(1)
    with httpx2.stream("POST", url, json=THREE, timeout=20) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        refused = httpx2.post(url, json=THREE, timeout=20)
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
        engine.allow(2)
        list(chunks)


def test_who_is_refused_is_answered_before_the_text_is_read_and_on_a_connection_that_stays_open(
    url: str, engine: Any
) -> None:
    engine.allow(1)
    address = urlsplit(url)
    with httpx2.stream("POST", url, json=THREE, timeout=20) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        with closing(HTTPConnection(str(address.hostname), address.port, timeout=20)) as sender:
            sender.putrequest("POST", address.path)
            sender.putheader("Content-Length", "1000")
            sender.endheaders(b"{")
            refused = sender.getresponse()
            assert (refused.status, refused.will_close) == (503, False)
            assert b"overloaded" in refused.read()
            sender.send(b" " * 999)
            sender.request("GET", "/health")
            assert sender.getresponse().status == 200
        engine.allow(2)
        list(chunks)


def test_the_callers_deadline_bounds_the_synthesis(url: str, engine: Any) -> None:
    late = httpx2.post(url, json=THREE, timeout=20, headers={"Chammal-Deadline": "0.2"})
    assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
    engine.gated = False
    assert spoken_again(url)
    assert [u.text for u in engine.made] == ["다시."]
