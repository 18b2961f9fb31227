"""Stand-ins of stt and of the llm-gateway for a storm of calls: right in form, and quick.

python -m bench.calls_stand_ins PORT SECONDS HEARD     HEARD: a line for each recording that was transcribed whole
"""

import asyncio
import hashlib
import json
import sys
from pathlib import Path

from aiohttp import web
from bench.model_stub import answer_to

SAID = (("agent", "안녕하세요. 이 상품은 원금 손실이 날 수 있습니다."), ("customer", "네, 이해했습니다."))
_REAL = {"temperature": 0.0, "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0, "confidence": 0.9}
READY = {"ready": True, "degraded": [], "checks": []}


def transcription() -> dict[str, object]:
    segments = [
        {"id": number, "start": 2.0 * number, "end": 2.0 * number + 1.8, "text": text, "speaker": speaker, **_REAL}
        for number, (speaker, text) in enumerate(SAID)
    ]
    text = " ".join(text for _, text in SAID)
    return {
        "language": "ko", "duration": 4.0, "text": text, "segments": segments, "model": "stand-in", "channels": "split",
    }  # fmt: skip


async def ready(_: web.Request) -> web.Response:
    return web.json_response(READY)


class StandIns:
    def __init__(self, seconds: float, heard: Path) -> None:
        self._seconds = seconds
        self._heard = heard

    async def transcribe(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        digest = hashlib.sha256(file.file.read()).hexdigest()
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(_event({"type": "transcript.progress", "seconds_done": 2.0, "seconds_total": 4.0}))
        await asyncio.sleep(self._seconds)
        whole = transcription()
        with self._heard.open("a") as log:
            log.write(digest + "\n")
        await answer.write(_event({"type": "transcript.text.done", "text": whole["text"], "transcription": whole}))
        await answer.write_eof()
        return answer

    async def chat(self, request: web.Request) -> web.Response:
        asked = await request.json()
        await asyncio.sleep(self._seconds)
        choice = {"index": 0, "message": {"role": "assistant", "content": answer_to(asked)}, "finish_reason": "stop"}
        attempt = {"backend": "vllm", "outcome": "ok", "http_status": 200, "seconds": self._seconds}
        provenance = {"backend": "vllm", "model": "stand-in", "attempts": [attempt]}
        return web.json_response({"id": "s", "object": "chat.completion", "choices": [choice], "chammal": provenance})


def _event(told: dict[str, object]) -> bytes:
    return f"event: {told['type']}\ndata: {json.dumps(told, ensure_ascii=False)}\n\n".encode()


def main() -> None:
    port, seconds, heard = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])

    async def app() -> web.Application:
        stand_ins = StandIns(seconds, heard)
        made = web.Application(client_max_size=1 << 26)
        made.add_routes(
            [
                web.get("/ready", ready),
                web.post("/v1/audio/transcriptions", stand_ins.transcribe),
                web.post("/v1/chat/completions", stand_ins.chat),
            ]
        )
        return made

    web.run_app(app(), host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main()
