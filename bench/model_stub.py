"""A language model for the benches that load the mesh: so many answers at once, each after so many seconds, the rest
wait in line as they do in vLLM. It spends next to no processor time.

    python -m bench.model_stub PORT SLOTS SECONDS
"""

import asyncio
import json
import sys

from aiohttp import web

TOKENS = 40
ANALYSIS = json.dumps({"summary": "상담원이 상품을 안내했다.", "elements": {}}, ensure_ascii=False)


class Model:
    def __init__(self, slots: int, seconds: float) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._seconds = seconds

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "stub", "object": "model"}]})

    async def chat(self, request: web.Request) -> web.Response:
        asked = await request.json()
        async with self._slots:
            await asyncio.sleep(self._seconds)
        text = answer_to(asked)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 20, "completion_tokens": TOKENS, "total_tokens": 20 + TOKENS}
        return web.json_response({"id": "stub", "object": "chat.completion", "choices": [choice], "usage": usage})


def answer_to(asked: dict[str, object]) -> str:
    """Prose, or the least that fits the schema that is asked for."""
    wanted = asked.get("response_format")
    if not isinstance(wanted, dict) or "json_schema" not in wanted:
        return "네, 잘 들립니다. 무엇을 도와드릴까요?"
    return json.dumps(least(wanted["json_schema"]["schema"]), ensure_ascii=False)


def least(schema: dict[str, object]) -> object:
    """Something valid, for the schemas that our api sends."""
    if "enum" in schema:
        return schema["enum"][0]  # type: ignore[index]
    match schema.get("type"):
        case "object":
            properties: dict[str, dict[str, object]] = schema.get("properties", {})  # type: ignore[assignment]
            return {name: least(inner) for name, inner in properties.items()}
        case "array":
            return []
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case _:
            return "상담원이 상품을 안내했다."


def main() -> None:
    port, slots, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])

    async def app() -> web.Application:
        model = Model(slots, seconds)
        made = web.Application()
        made.add_routes([web.get("/v1/models", model.models), web.post("/v1/chat/completions", model.chat)])
        return made

    web.run_app(app(), host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main()
