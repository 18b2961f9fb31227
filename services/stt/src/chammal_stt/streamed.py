"""A transcript as server-sent events: how far it is, and at the end all of it.

transcript.progress     seconds_done, seconds_total and the text so far, which may still change
transcript.text.delta   what the text has grown by, as OpenAI's clients read it
transcript.text.done    the whole text; with `verbose_json` all of the transcription
error                   the problem that ended it
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chammal_contracts.asr import Transcription
from chammal_contracts.headers import BACKEND
from chammal_kit.disconnect import unless_disconnected
from chammal_kit.problems import Problem
from chammal_stt.metrics import REQUESTS, Outcome, outcome_of
from chammal_stt.transcriber import Progress

KEEP_ALIVE_SECONDS = 15.0

Transcribe = Callable[[Callable[[Progress], None]], Awaitable[Transcription]]


class StreamedTranscript(Response):
    """The answer begins with the first progress: what fails before that has a status of its own."""

    def __init__(
        self, transcribe: Transcribe, verbose: bool, finish: Callable[[], Awaitable[None]], backend: str
    ) -> None:
        """`finish` is called at the end, whatever the end is."""
        super().__init__(headers={"Cache-Control": "no-store", BACKEND: backend}, media_type="text/event-stream")
        del self.headers["content-length"]
        self._transcribe = transcribe
        self._verbose = verbose
        self._finish = finish
        self._started = False
        self._text = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outcome = Outcome.ERROR
        try:
            await unless_disconnected(receive, self._run(send))
            outcome = Outcome.OK
        except Problem as problem:
            outcome = outcome_of(problem)
            await self._fail(problem, scope, receive, send)
        except ClientDisconnect:
            outcome = Outcome.ABANDONED
        finally:
            REQUESTS.labels(outcome).inc()
            await self._finish()

    async def _run(self, send: Send) -> None:
        reports: asyncio.Queue[Progress | None] = asyncio.Queue()
        work = asyncio.ensure_future(self._transcribe(reports.put_nowait))
        work.add_done_callback(lambda _: reports.put_nowait(None))
        try:
            await self._pass_on(send, reports)
            transcription = await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        await self._delta(send, transcription.text)
        done: dict[str, object] = {"type": "transcript.text.done", "text": transcription.text}
        if self._verbose:
            done["transcription"] = transcription.model_dump(mode="json")
        await self._event(send, done)
        await send({"type": "http.response.body", "body": b""})

    async def _pass_on(self, send: Send, reports: "asyncio.Queue[Progress | None]") -> None:
        while True:
            try:
                report = await asyncio.wait_for(reports.get(), KEEP_ALIVE_SECONDS)
            except TimeoutError:
                if self._started:  # else the answer's status is still open
                    await self._write(send, b": still at work\n\n")
                continue
            if report is None:
                return
            progress = {"seconds_done": round(report.done, 3), "seconds_total": round(report.total, 3)}
            await self._event(send, {"type": "transcript.progress", **progress, "text": report.text})
            await self._delta(send, report.text)

    async def _delta(self, send: Send, text: str) -> None:
        """Only what follows the text that was sent: the end brings all of it, whatever has changed."""
        if text.startswith(self._text) and text != self._text:
            await self._event(send, {"type": "transcript.text.delta", "delta": text[len(self._text) :]})
            self._text = text

    async def _fail(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        response = problem.response()
        if not self._started:
            await response(scope, receive, send)
            return
        body = json.loads(bytes(response.body))
        await self._event(send, {"type": "error", "error": body.pop("error"), "problem": body})
        await send({"type": "http.response.body", "body": b""})

    async def _event(self, send: Send, event: dict[str, object]) -> None:
        data = json.dumps(event, ensure_ascii=False)
        await self._write(send, f"event: {event['type']}\ndata: {data}\n\n".encode())

    async def _write(self, send: Send, body: bytes) -> None:
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
