"""stt, tts and a language model that answer at once, in one process."""

import os

import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from chammal_contracts.asr import Transcription
from chammal_contracts.health import Readiness
from tests.faults.stand_in import app

SOUND = b"RIFF" + bytes(60_000)


@app.get("/ready")
async def ready() -> Readiness:
    return Readiness(ready=True)


@app.post("/v1/audio/transcriptions")
async def transcriptions(request: Request) -> Transcription:
    await request.body()
    return Transcription(language="ko", duration=3.5, text="안녕하세요. 참말증권입니다.", model="stand-in")


@app.post("/v1/audio/speech")
async def speech(request: Request) -> Response:
    await request.body()
    return Response(SOUND, media_type="audio/wav")


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["STAND_IN_PORT"]), log_level="warning")
