"""The page over the api itself: its store, its flow, its events; only speech-to-text is a stand-in."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from tests import sample_calls
from tests.web import samples
from tests.web.chromium import Page
from tests.web.serving import serve

RULES = Path(__file__).parents[2] / "rules"
NOWHERE = "http://127.0.0.1:9"


def speech_to_text() -> FastAPI:
    app, router = FastAPI(), APIRouter()

    @router.post("/v1/audio/transcriptions")
    async def transcribe(request: Request) -> Response:
        await request.body()
        spoken = samples.transcript()
        segments = [
            sample_calls.segment(at, one.text, one.speaker, start=one.start, end=one.end).model_dump()
            for at, one in enumerate(spoken.utterances)
        ]
        told: dict[str, Any] = {
            "language": "ko",
            "duration": spoken.duration,
            "text": " ".join(one.text for one in spoken.utterances),
            "segments": segments,
            "words": [word.model_dump() for word in spoken.words or []],
            "model": "whisper-base",
            "channels": "split",
        }
        event = json.dumps({"type": "transcript.text.done", "transcription": told})
        return Response(f"data: {event}\n\n", media_type="text/event-stream")

    app.include_router(router)
    return app


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def settings_for(folder: Path, stt_port: int) -> ApiSettings:
    """Nobody answers but speech-to-text, once it is there."""
    return ApiSettings(
        stt_url=f"http://127.0.0.1:{stt_port}",
        llm_url=NOWHERE,
        tts_url=NOWHERE,
        data_dir=folder / "data",
        rules_dir=RULES,
        breaker_open_seconds=0.5,
        heal_first_seconds=0.5,
        heal_longest_seconds=1,
    )


def choose(page: Page, where: str, name: str, value: str) -> None:
    field = f"document.querySelector('{where} [name={name}]')"
    page.run(f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('change'))")


def test_what_is_said_of_a_call_reaches_the_api_and_finds_it_again(
    page: Page, recording: Path, tmp_path: Path, free_port: int
) -> None:
    page.expected.append("status of 403")
    address, stop = serve(create(settings_for(tmp_path, free_port)))
    try:
        page.go(address)
        page.wait("document.querySelector('.fields [name=rule_set]')?.textContent.includes('(')")
        choose(page, ".fields", "webhook_url", "http://10.0.0.1/hook")
        page.choose_files("#files", [recording])
        page.shows("이 웹훅 주소는 쓸 수 없습니다. webhook_url: ", ".upload")
        choose(page, ".fields", "webhook_url", "")
        choose(page, ".fields", "hotwords", "서로인")
        choose(page, ".fields", "product_type", "대출성")
        page.choose_files("#files", [recording])
        page.shows(recording.name, ".calls a")
        page.shows("복구 대기", ".calls")
        choose(page, ".filters", "product_type", "예금성")
        page.shows("조건에 맞는 통화가 없습니다")
        choose(page, ".filters", "product_type", "대출성")
        choose(page, ".filters", "healing", "waiting")
        page.shows(recording.name, ".calls a")
        choose(page, ".filters", "needs_human", "true")
        page.shows("조건에 맞는 통화가 없습니다")
        choose(page, ".filters", "needs_human", "")
        page.click(".calls a")
        page.click(".facts summary")
        page.shows("서로인", ".facts")
    finally:
        page.send("Page.navigate", url="about:blank")
        stop()


def test_a_call_heals_before_the_users_eyes(page: Page, recording: Path, tmp_path: Path, free_port: int) -> None:
    address, stop = serve(create(settings_for(tmp_path, free_port)))
    try:
        page.go(address)
        page.wait("document.querySelector('.drop')")
        page.run("document.querySelector('[name=product_type]').value = '투자성'")
        page.choose_files("#files", [recording])
        page.shows("복구 대기", ".upload")
        page.click(".upload a")
        page.shows("녹음을 글로 옮기지 못했습니다", ".banners")
        page.shows("저절로 다시 합니다", ".banners")
        _, stop_stt = serve(speech_to_text(), free_port)
        try:
            page.shows("새 결과가 도착했습니다", ".banners")
            page.shows("핵심어 규칙만으로 본 결과", ".banners")
            page.click(".evidence button", "원금 보장")
            page.wait("document.querySelector('audio').currentTime >= 15")
            page.click(".back")
            page.shows("위반의심", ".calls")
            page.click(".filters [name=q]")
            page.type("글로벌 채권")
            page.shows("글로벌 채권", ".snippet")
        finally:
            page.send("Page.navigate", url="about:blank")
            stop_stt()
    finally:
        stop()
