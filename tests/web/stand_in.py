"""The page's own routes, beside canned answers of `/v1/calls`: what the page shows is decided by the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.datastructures import FormData
from starlette.responses import FileResponse, Response, StreamingResponse

from chammal_api.access import ACCESS
from chammal_api.routes import page
from chammal_contracts.calls import (
    Call,
    CallAccepted,
    CallEvent,
    CallMetadata,
    CallPage,
    CallRow,
    CallStatus,
    Recording,
)
from chammal_contracts.checks import Verdict
from chammal_contracts.errors import ErrorCode
from chammal_kit.app import create_app
from chammal_kit.door import Access, Door, path_of
from chammal_kit.keys import KeyScope
from chammal_kit.problems import Problem
from chammal_kit.settings import ServiceSettings
from tests import sample_calls
from tests.web.samples import now
from tests.web.serving import Stop, serve

PAGE_ROWS = 50
CALLS: Access = frozenset({KeyScope.CALLS})


@dataclass
class StandIn:
    recording: Path
    calls: dict[str, Call] = field(default_factory=dict)
    busy: int = 0
    """How often an upload is told to come again."""
    uploads: list[tuple[CallMetadata, str, int, str]] = field(default_factory=list)
    """Metadata, file name, bytes and Idempotency-Key of each."""
    queries: list[dict[str, str]] = field(default_factory=list)
    refusal: Problem | None = None
    """What uploads are answered with."""
    rules_held: bool = False
    """Whoever asks for the rules waits until they are told: `tell_rules`."""
    rules_told: asyncio.Event = field(default_factory=asyncio.Event)
    reanalysed: list[str] = field(default_factory=list)
    deaf: bool = False
    """Whoever wants events is sent away."""
    address: str = ""
    loop: asyncio.AbstractEventLoop | None = None
    listeners: list["asyncio.Queue[bytes]"] = field(default_factory=list)

    def put(self, call: Call) -> Call:
        """And tells everyone who listens."""
        self.calls[call.id] = call
        event = CallEvent(
            id=call.id,
            status=call.status,
            revision=call.revision,
            progress=call.progress,
            stages=call.stages,
            healing=call.healing.state,
        )
        line = f"event: call\ndata: {event.model_dump_json()}\n\n".encode()
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._tell, line)
        return call

    def tell_rules(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.rules_told.set)

    def hang_up(self) -> None:
        self.deaf = True
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self._tell, b"")

    def _tell(self, line: bytes) -> None:
        for listener in self.listeners:
            listener.put_nowait(line)

    def get(self, call_id: str) -> Call:
        if call_id not in self.calls:
            raise Problem(404, ErrorCode.CALL_NOT_FOUND, "There is no call of this id.")
        return self.calls[call_id]


def row(call: Call) -> CallRow:
    elements = call.check.elements if call.check else []
    by = {verdict: [one.id for one in elements if one.verdict is verdict] for verdict in Verdict}
    return CallRow(
        id=call.id,
        status=call.status,
        revision=call.revision,
        created_at=call.created_at,
        updated_at=call.updated_at,
        reference=call.metadata.reference,
        filename=call.recording.filename,
        agent_id=call.metadata.agent_id,
        product_type=call.metadata.product_type,
        started_at=call.metadata.started_at,
        duration=call.transcript.duration if call.transcript else None,
        stages=call.stages,
        healing=call.healing.state,
        score=call.check.score if call.check else None,
        suspected=by[Verdict.SUSPECTED],
        unmet=by[Verdict.UNMET],
        needs_human=any(one.needs_human for one in elements),
        sentence=call.summary.sentence if call.summary else None,
    )


def routes(stand_in: StandIn) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/calls/events")
    async def events() -> StreamingResponse:
        if stand_in.deaf:
            raise Problem(503, ErrorCode.OVERLOADED, "Too many listen.")
        listener: asyncio.Queue[bytes] = asyncio.Queue()

        async def stream() -> AsyncIterator[bytes]:
            stand_in.listeners.append(listener)
            try:
                yield b": here\n\n"
                while line := await listener.get():
                    yield line
            finally:
                stand_in.listeners.remove(listener)

        return StreamingResponse(stream(), media_type="text/event-stream")

    @router.get("/v1/calls")
    async def listed(request: Request) -> CallPage:
        query = dict(request.query_params)
        stand_in.queries.append(query)
        calls = [one for one in reversed(stand_in.calls.values()) if query.get("status") in (None, one.status)]
        if "q" in query:
            calls = [one for one in calls if query["q"] in one.model_dump_json()]
        start = int(query.get("cursor", "0"))
        shown = calls[start : start + PAGE_ROWS]
        following = start + PAGE_ROWS
        return CallPage(calls=[row(one) for one in shown], next=str(following) if following < len(calls) else None)

    @router.post("/v1/calls", status_code=202)
    async def accept(request: Request) -> CallAccepted:
        async with request.form() as form:
            return await accept_form(request, form)

    async def accept_form(request: Request, form: FormData) -> CallAccepted:
        if stand_in.busy:
            stand_in.busy -= 1
            raise Problem(429, ErrorCode.BACKLOG_FULL, "Too many calls wait.", headers={"Retry-After": "1"})
        if stand_in.refusal is not None:
            raise stand_in.refusal
        file: Any = form["file"]
        content = await file.read()
        if not content:
            raise Problem(400, ErrorCode.AUDIO_EMPTY, "The recording is empty (0 bytes).")
        metadata = CallMetadata.model_validate_json(str(form["metadata"]))
        stand_in.uploads.append((metadata, file.filename, len(content), request.headers["idempotency-key"]))
        call_id = f"{len(stand_in.calls) + 1:032x}"
        recording = Recording(sha256="0" * 64, bytes=len(content), filename=file.filename)
        stand_in.put(
            sample_calls.call(
                call_id,
                CallStatus.QUEUED,
                created_at=now(),
                updated_at=now(),
                metadata=metadata,
                recording=recording,
            )
        )
        return CallAccepted(id=call_id, status=CallStatus.QUEUED)

    @router.get("/v1/calls/{call_id}")
    async def get(call_id: str) -> Call:
        return stand_in.get(call_id)

    @router.delete("/v1/calls/{call_id}", status_code=204)
    async def delete(call_id: str) -> None:
        del stand_in.calls[stand_in.get(call_id).id]

    @router.post("/v1/calls/{call_id}/reanalyse", status_code=202)
    async def reanalyse(call_id: str) -> CallAccepted:
        stand_in.reanalysed.append(call_id)
        call = stand_in.put(stand_in.get(call_id).model_copy(update={"status": CallStatus.QUEUED}))
        return CallAccepted(id=call_id, status=call.status)

    @router.get("/v1/calls/{call_id}/audio")
    async def audio(call_id: str) -> Response:
        stand_in.get(call_id)
        return FileResponse(stand_in.recording, media_type="audio/wav")

    @router.get("/v1/calls/{call_id}/transcript.txt")
    async def transcript(call_id: str) -> Response:
        found = stand_in.get(call_id).transcript
        return Response("\n".join(one.text for one in found.utterances) if found else "", media_type="text/plain")

    @router.get("/v1/rules")
    async def rules() -> dict[str, Any]:
        elements = [
            {"id": "SOL-01", "name": "단정적 판단 제공", "name_en": "Certainty where there is none"},
            {"id": "EXP-02", "name": "원금손실 가능성과 위험등급", "name_en": "Loss of principal, risk grade"},
        ]
        if stand_in.rules_held:
            await stand_in.rules_told.wait()
        korea = {
            "name": "fcpa-kr",
            "title": "금융소비자보호법",
            "title_en": "Consumer protection",
            "elements": elements,
        }
        house = {"name": "house", "title": "사내 기준", "title_en": "House rules", "elements": []}
        return {"default": "fcpa-kr", "rule_sets": [korea, house], "problems": []}

    return router


def start(stand_in: StandIn, door: Door | None = None) -> Stop:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        stand_in.loop = asyncio.get_running_loop()
        yield

    canned = routes(stand_in)
    app = create_app(
        service="page",
        distribution="chammal-api",
        lifespan=lifespan,
        routers=[page.router, canned],
        settings=ServiceSettings(),
        door=door,
        access={
            path_of(one): ACCESS.get(path_of(one), CALLS) for router in (page.router, canned) for one in router.routes
        },
    )
    stand_in.address, stop = serve(app)
    return stop
