"""The form, through an app that gives back what it read."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from chammal_contracts.asr import Channels
from chammal_kit.problems import install_problem_handlers
from chammal_stt.form import TranscriptionForm, read_form, schema
from chammal_stt.settings import SttSettings

pytestmark = pytest.mark.anyio


async def echo(request: Request) -> JSONResponse:
    fields, _, form = await read_form(request, SttSettings())
    await fields.close()
    return JSONResponse(form.model_dump(mode="json"))


async def read(**fields: str | list[str]) -> httpx2.Response:
    app = FastAPI(routes=[Route("/", echo, methods=["POST"])])
    install_problem_handlers(app)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://stt") as client:
        return await client.post("/", files={"file": ("a.wav", b"RIFF")}, data=fields)


async def fields(**sent: str) -> dict[str, Any]:
    answer = await read(**sent)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_form_without_chammals_fields_is_openais() -> None:
    form = await fields(model="whisper-1", response_format="srt")
    assert form["response_format"] == "srt"
    assert (form["channels"], form["hotwords"], form["normalise"], form["stream"]) == ("mix", None, False, False)


async def test_chammals_fields_are_read() -> None:
    form = await fields(channels="split", hotwords="참말 적금", normalise="true", stream="1")
    assert (form["channels"], form["hotwords"], form["normalise"], form["stream"]) == ("split", "참말 적금", True, True)


async def test_the_voice_is_asked_for_by_include_and_what_openai_has_beside_it_is_ignored() -> None:
    answer = await read(**{"include[]": ["logprobs", "voice"]})
    assert answer.json()["include"] == ["voice"]
    assert (await fields())["include"] == []


async def test_empty_fields_are_as_if_not_sent() -> None:
    form = await fields(hotwords="", prompt="", language="")
    assert (form["hotwords"], form["prompt"], form["language"]) == (None, None, None)


@pytest.mark.parametrize(
    "field", [{"channels": "both"}, {"hotwords": "가" * 1001}, {"normalise": "perhaps"}, {"stream": "later"}]
)
async def test_what_cannot_be_understood_is_told_by_name(field: dict[str, str]) -> None:
    answer = await read(**field)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid_request"
    assert next(iter(field)) in answer.text


def test_the_schema_lists_every_field() -> None:
    form = schema()["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"file"} | {f.alias or n for n, f in TranscriptionForm.model_fields.items()}
    assert "$ref" not in str(form)
    assert form["properties"]["channels"]["enum"] == list(Channels)
