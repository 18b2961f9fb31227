"""Language models and an agent that answer at once, whatever is asked: behind the proxy that breaks them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import yaml
from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse, StreamingResponse

from tests.faults.exchange import recording
from tests.faults.service import ROOT

app = FastAPI()
WORDS = ("One ", "true ", "word.")
ELEMENTS = tuple(one["id"] for one in yaml.safe_load((ROOT / "rules" / "fcpa-kr.yaml").read_text())["elements"])
USAGE = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


@app.get("/v1/models")
async def models() -> dict[str, Any]:
    return {"object": "list", "data": [{"id": "stand-in", "object": "model", "created": 1, "owned_by": "tests"}]}


@app.post("/v1/chat/completions")
async def chat(request: Request) -> Response:
    body = await request.json()
    if body.get("stream"):
        return StreamingResponse(_openai_events(), media_type="text/event-stream")
    message = {"role": "assistant", "content": _content(body.get("response_format"))}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return JSONResponse(
        {"id": "x", "object": "chat.completion", "created": 1, "model": "stand-in", "choices": [choice], "usage": USAGE}
    )


@app.post("/v1/messages")
async def messages(request: Request) -> Response:
    """Anthropic's way."""
    body = await request.json()
    if body.get("stream"):
        return StreamingResponse(_anthropic_events(), media_type="text/event-stream")
    text = _content(body.get("output_config", {}).get("format"))
    return JSONResponse(
        {
            "id": "x", "type": "message", "role": "assistant", "model": "stand-in", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 3, "output_tokens": 3},
        }
    )  # fmt: skip


@app.post("/agent")
async def agent() -> dict[str, Any]:
    return {"summary": "An agent has read it.", "elements": dict.fromkeys(ELEMENTS, 0)}


@app.post("/hook", status_code=204)
async def hook() -> None:
    """Whoever is told of calls."""


@app.get("/call.wav")
async def call_in_store() -> Response:
    return Response(recording(), media_type="audio/wav")


def _content(wanted: dict[str, Any] | None) -> str:
    if wanted is None:
        return "".join(WORDS)
    schema = wanted.get("schema") or wanted.get("json_schema", {}).get("schema") or {}
    return json.dumps(_example(schema))


def _example(schema: dict[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            return {name: _example(part) for name, part in schema.get("properties", {}).items()}
        case "integer":
            return 0
        case _:
            return schema.get("enum", ["x"])[0]


async def _openai_events() -> AsyncIterator[str]:
    for word in WORDS:
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "stand-in"}
        yield f"data: {json.dumps({**chunk, 'choices': [{'index': 0, 'delta': {'content': word}}]})}\n\n"
    yield f"data: {json.dumps({**chunk, 'choices': [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}]})}\n\n"
    yield "data: [DONE]\n\n"


async def _anthropic_events() -> AsyncIterator[str]:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "x", "model": "stand-in", "usage": {"input_tokens": 3}}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in WORDS),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


if __name__ == "__main__":
    import os

    import uvicorn

    uvicorn.run(app, port=int(os.environ["STAND_IN_PORT"]), log_level="warning")
