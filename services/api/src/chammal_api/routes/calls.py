"""Recorded calls: sent once, analysed durably, read as often as needed."""

import datetime as dt
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from chammal_api.calls import events
from chammal_api.calls.accepting import accept_call
from chammal_api.calls.audio import AUDIO_TYPES, audio_response
from chammal_api.calls.call_metrics import ACCEPTED
from chammal_api.calls.database import NOT_ANSWERING
from chammal_api.calls.desk import CallDesk
from chammal_api.calls.formats import TranscriptFormat, render
from chammal_api.calls.intake import KOREA, MAX_KEY_CHARACTERS, read_call
from chammal_api.calls.records import CallGone, CallQuery
from chammal_api.calls.report import report_response
from chammal_api.calls.report_words import words_for
from chammal_api.calls.retention import erase
from chammal_api.result import degraded_header
from chammal_api.state import state_of
from chammal_contracts import headers as wire
from chammal_contracts.calls import (
    Call,
    CallAccepted,
    CallEvent,
    CallMetadata,
    CallPage,
    CallStatus,
    HealingState,
    Priority,
)
from chammal_contracts.checks import ProductType, Verdict
from chammal_contracts.errors import ErrorCode, ProblemBody
from chammal_kit.disconnect import unless_disconnected
from chammal_kit.door import CALLER
from chammal_kit.logs import component_logger
from chammal_kit.openapi import inlined
from chammal_kit.problems import Problem
from chammal_kit.subtitles import SRT_MEDIA_TYPE, VTT_MEDIA_TYPE

log = component_logger("Calls")


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_database(request: Request) -> Response:
            try:
                return await handle(request)
            except NOT_ANSWERING as error:
                state_of(request)["desk"].backlog.forget()
                log.error("the database of calls does not answer: %s", getattr(error, "orig", error))
                detail = "The database of calls does not answer. Nothing is lost or half done: send it again."
                raise Problem(503, ErrorCode.DATABASE_UNAVAILABLE, detail, headers={"Retry-After": "5"}) from error

        return handle_with_database


router = APIRouter(prefix="/v1/calls", tags=["calls"], route_class=_Route)

_ID = re.compile("[0-9a-f]{32}", re.ASCII)
_DAY = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NOT_KEPT = {"Cache-Control": "private, no-store"}
_MOMENT = "When the call began; without an offset Korean time."
_YEARS = range(1970, 2200)
_PROBLEMS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ProblemBody}, "5XX": {"model": ProblemBody}}


def _binary(*media_types: str) -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in media_types}


def _text(*media_types: str) -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string"}} for media_type in media_types}


def _fields() -> dict[str, Any]:
    """Of the metadata. A form has no null: what is not known is left out."""
    fields: dict[str, Any] = {}
    for name, schema in inlined(CallMetadata)["properties"].items():
        kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
        fields[name] = {
            key: value for key, value in {**schema, **(kinds[0] if kinds else {})}.items() if value is not None
        }
    fields["started_at"] = {"type": "string", "examples": ["2026-11-22T14:30:00+09:00"], "description": _MOMENT}
    return fields


_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The recording."},
                        "file_url": {"type": "string", "description": "Instead: an address in a store on the list."},
                        "file_path": {"type": "string", "description": "Instead: a path below the audio root."},
                        "metadata": {
                            "type": "string",
                            "description": "All of the fields below as one JSON object, instead of a field for each.",
                        },
                        **_fields(),
                    },
                }
            }
        },
    },
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS},
            "description": "Makes a repetition safe: the same key and call bring the same answer.",
        }
    ],
}


def _written_out(told: object) -> object:
    """A bare number would be taken for seconds since 1970, and 20261122 is none."""
    if not (isinstance(told, str) and _DAY.match(told)):
        raise ValueError("a moment such as 2026-11-22 or 2026-11-22T14:30:00+09:00")
    return told


def _in_calendar(moment: dt.datetime) -> dt.datetime:
    """One without an offset is Korean time."""
    if moment.year not in _YEARS:
        raise ValueError("a year from 1970 to 2199")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=KOREA)


CallId = Annotated[str, Path(description="As `POST /v1/calls` answered it.")]
Moment = Annotated[
    dt.datetime,
    BeforeValidator(_written_out),
    AfterValidator(_in_calendar),
    WithJsonSchema({"type": "string", "pattern": _DAY.pattern, "examples": ["2026-11-22T14:30:00+09:00"]}),
]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="`id` of the last event that came.")]


@router.post("", status_code=202, openapi_extra=_FORM, response_model=CallAccepted, responses=_PROBLEMS)
async def send_call(request: Request) -> Response:
    """Takes a recorded call. It is on disk when this answers; its analysis is begun when its turn comes."""
    state = state_of(request)
    desk = state["desk"]
    await desk.backlog.admit()
    async with read_call(request, state["settings"], desk.recordings, desk.allowed) as call:
        most = state["settings"].max_upload_bytes
        accepted = await unless_disconnected(request.receive, accept_call(desk, call, _caller(request), most))
    if not accepted.repeated:
        ACCEPTED.labels(call.metadata.priority).inc()
        desk.news.notify()
    return _accepted(accepted)


@router.get("", response_model=CallPage, responses=_PROBLEMS)
async def list_calls(
    request: Request,
    status: CallStatus | None = None,
    healing: HealingState | None = None,
    verdict: Annotated[Verdict | None, Query(description="Of `element`, or of any.")] = None,
    element: Annotated[
        str | None, Query(max_length=64, description="Id of an element; without `verdict` 위반의심 or 미충족.")
    ] = None,
    product_type: ProductType | None = None,
    agent_id: Annotated[str | None, Query(max_length=128)] = None,
    reference: Annotated[str | None, Query(max_length=256)] = None,
    needs_human: bool | None = None,
    since: Annotated[
        Moment | None, Query(alias="from", description="Inclusive; Korean time without an offset.")
    ] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Exclusive.")] = None,
    q: Annotated[str | None, Query(max_length=200, description="Words of the transcript, as they stand.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=128, description="`next` of the page before.")] = None,
) -> Response:
    """Calls, newest first, without their transcripts."""
    query = CallQuery(
        status=status,
        healing=healing,
        product_type=product_type,
        agent_id=agent_id or None,
        reference=reference or None,
        element=element or None,
        verdict=verdict,
        needs_human=needs_human,
        since=since,
        until=until,
        text=q or None,
    )
    try:
        page = await _desk(request).store.page(query, cursor or None, limit)
    except ValueError:
        detail = "The cursor is not of this list: take `next` of the page before, with the same filters."
        raise Problem(400, ErrorCode.CURSOR_INVALID, detail) from None
    return _json(page)


@router.get(
    "/events",
    response_class=Response,
    responses={200: {"content": _text(events.MEDIA_TYPE), "description": "Server-sent events."}, **_PROBLEMS},
)
async def all_events(request: Request, last_event_id: LastEventId = None) -> Response:
    """An event for each change of any call, from now on or after `Last-Event-ID`. Each holds a `CallEvent`."""
    desk = _desk(request)
    desk.news.check_room()
    latest = await desk.store.last_change()
    told = events.read_last_event_id(last_event_id)
    return _stream(desk.news.of_all(latest if told is None else min(told, latest)))


@router.get("/{call_id}", response_model=Call, responses=_PROBLEMS)
async def get_call(request: Request, call_id: CallId) -> Response:
    """All that is known of one call."""
    call = await _call(request, call_id)
    degraded = degraded_header(call.stages)
    return _json(call, {wire.DEGRADED: degraded} if degraded else {})


@router.delete("/{call_id}", status_code=204, response_class=Response, responses=_PROBLEMS)
async def delete_call(request: Request, call_id: CallId) -> Response:
    """Deletes it: its row, its answers, its words in the index, its recording; and ends what works on it."""
    desk = _desk(request)
    await _event(request, call_id)
    try:
        await erase(desk.store, desk.recordings, call_id)
    except OSError as error:
        log.error("%s: its recording could not be deleted, and will be later: %s", call_id, error)
    await desk.flow.cancel(call_id)  # not before: a call that could not be deleted would be left without its run
    log.info("%s: deleted", call_id)
    desk.news.notify()
    return Response(status_code=204)


@router.post("/{call_id}/reanalyse", status_code=202, response_model=CallAccepted, responses=_PROBLEMS)
async def reanalyse_call(request: Request, call_id: CallId) -> Response:
    """Runs all stages anew, with the models and rules of now. What the call has stands until then."""
    desk = _desk(request)
    await _event(request, call_id)
    await desk.backlog.admit()
    try:
        run = await desk.store.rerun(call_id)
    except CallGone:
        raise _unknown() from None
    if run is None:
        detail = f"The call is still being analysed. Wait for its end: GET /v1/calls/{call_id}/events"
        raise Problem(409, ErrorCode.CALL_UNFINISHED, detail)
    await desk.flow.submit(call_id, run, Priority.INTERACTIVE)
    desk.news.notify()
    return _accepted(CallAccepted(id=call_id, status=CallStatus.QUEUED))


@router.get(
    "/{call_id}/events",
    response_class=Response,
    responses={
        200: {"content": _text(events.MEDIA_TYPE), "description": "Server-sent events."},
        204: {"description": "Nothing more comes after `Last-Event-ID`."},
        **_PROBLEMS,
    },
)
async def call_events(request: Request, call_id: CallId, last_event_id: LastEventId = None) -> Response:
    """The state of one call now and at each change, until it has ended. A call that waits to heal has not."""
    desk = _desk(request)
    desk.news.check_room()
    event = await _event(request, call_id)
    told = events.read_last_event_id(last_event_id)
    if told is not None and events.has_ended(event) and told == await desk.store.changed(call_id):
        return Response(status_code=204)
    return _stream(desk.news.of_call(call_id, -1 if told is None else told))


@router.get(
    "/{call_id}/transcript.{form}",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/CallTranscript"}},
                **_text("text/plain", SRT_MEDIA_TYPE, VTT_MEDIA_TYPE),
            },
            "description": "The transcript.",
        },
        **_PROBLEMS,
    },
)
async def get_transcript(request: Request, call_id: CallId, form: TranscriptFormat) -> Response:
    """Who said what, and when."""
    call = await _call(request, call_id)
    if call.transcript is None:
        why = next((f"{one.stage}: {one.status}: {one.error}" for one in call.stages if one.error), call.status)
        raise Problem(404, ErrorCode.TRANSCRIPT_MISSING, f"The call has no transcript ({why}).")
    return render(call.transcript, form, f"call-{call_id}")


_AUDIO: dict[int | str, dict[str, Any]] = {
    200: {"content": _binary(*AUDIO_TYPES), "description": "The whole recording."},
    206: {"content": _binary(*AUDIO_TYPES), "description": "The part that `Range` asked for."},
    **_PROBLEMS,
}


@router.head("/{call_id}/audio", response_class=Response, responses=_AUDIO)
@router.get("/{call_id}/audio", response_class=Response, responses=_AUDIO)
async def get_audio(request: Request, call_id: CallId) -> Response:
    """The recording as it was sent; `Range` asks for a part."""
    desk = _desk(request)
    recording = await desk.store.recording(call_id) if _ID.fullmatch(call_id) else None
    if recording is None:
        raise _unknown()
    try:
        file = await to_thread.run_sync(desk.recordings.open, recording)
    except FileNotFoundError:
        detail = "The recording is not kept any more; the call's other parts are."
        raise Problem(404, ErrorCode.RECORDING_MISSING, detail) from None
    return audio_response(request.method, request.headers, recording, file, f"call-{call_id}")


@router.get(
    "/{call_id}/report",
    response_class=Response,
    responses={200: {"content": _text("text/html"), "description": "A page to print."}, **_PROBLEMS},
)
async def get_report(request: Request, call_id: CallId) -> Response:
    """The call on paper: every verdict with what it rests on. Korean, or English where `Accept-Language` prefers it."""
    call = await _call(request, call_id)
    words = words_for(request.headers.get("accept-language", ""))
    return await to_thread.run_sync(report_response, call, words)


def _desk(request: Request) -> CallDesk:
    return state_of(request)["desk"]


def _caller(request: Request) -> str:
    caller = request.scope.get(CALLER)
    return caller if isinstance(caller, str) else ""


async def _call(request: Request, call_id: str) -> Call:
    call = await _desk(request).store.get(call_id) if _ID.fullmatch(call_id) else None
    if call is None:
        raise _unknown()
    return call


async def _event(request: Request, call_id: str) -> CallEvent:
    """Its state, without what was said."""
    event = await _desk(request).store.event(call_id) if _ID.fullmatch(call_id) else None
    if event is None:
        raise _unknown()
    return event


def _unknown() -> Problem:
    return Problem(404, ErrorCode.CALL_NOT_FOUND, "There is no such call, or it was deleted. GET /v1/calls lists them.")


def _json(body: Call | CallPage, headers: dict[str, str] | None = None) -> Response:
    return Response(body.model_dump_json(), media_type="application/json", headers={**_NOT_KEPT, **(headers or {})})


def _accepted(accepted: CallAccepted) -> Response:
    return Response(
        accepted.model_dump_json(),
        status_code=202,
        media_type="application/json",
        headers={"Location": f"/v1/calls/{accepted.id}", **_NOT_KEPT},
    )


def _stream(pieces: AsyncIterator[bytes]) -> Response:
    """`X-Accel-Buffering` keeps nginx from holding events back."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(pieces, media_type=events.MEDIA_TYPE, headers=headers)
