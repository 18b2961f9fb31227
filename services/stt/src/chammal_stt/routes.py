"""What the stt service answers."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect

from chammal_contracts.asr import Transcription, TranscriptionFormat, TranscriptionText
from chammal_contracts.headers import BACKEND
from chammal_contracts.health import Readiness
from chammal_kit.disconnect import unless_disconnected
from chammal_stt.admission import Visit
from chammal_stt.form import TranscriptionForm, read_form, schema
from chammal_stt.formats import MEDIA_TYPES, render
from chammal_stt.metrics import REQUESTS, Outcome, outcome_of
from chammal_stt.streamed import StreamedTranscript
from chammal_stt.transcriber import Progress, Transcriber

BACKEND_NAME = "faster-whisper"

router = APIRouter()


def _transcriber(request: Request) -> Transcriber:
    transcriber: Transcriber = request.state.transcriber
    return transcriber


@router.get("/ready", tags=["operations"], responses={503: {"model": Readiness}})
async def get_ready(request: Request, response: Response) -> Readiness:
    """Whether a recogniser and a decoder are up that have each done a second of audio; else the reason."""
    readiness = await _transcriber(request).readiness()
    if not readiness.ready:
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return readiness


@router.post(
    "/v1/audio/transcriptions",
    tags=["openai"],
    response_class=Response,
    responses={
        200: {
            "model": Transcription | TranscriptionText,
            "description": "In the form that response_format asks for; with `stream`, as server-sent events.",
            "content": {kind: {} for kind in (*MEDIA_TYPES, "text/event-stream")},
        }
    },
    openapi_extra={"requestBody": schema()},
)
async def post_transcription(request: Request) -> Response:
    """Transcribes one recording."""
    return await _counted(lambda: _transcribe(request))


async def _transcribe(request: Request) -> Response:
    """The refusal of one that may not come in leaves the connection open: a closed one would cost the caller its
    answer, where it is still sending."""
    transcriber = _transcriber(request)
    visit = transcriber.admission.admit(_declared_bytes(request))
    try:
        with transcriber.admission.uploading(visit):
            fields, upload, form = await read_form(request, transcriber.settings)
    except BaseException:
        visit.leave()
        raise
    if form.stream:
        return _streamed(transcriber, visit, fields, upload, form)
    try:
        work = transcriber.transcribe(visit, upload.file.fileno(), form)
        transcription = await unless_disconnected(request.receive, work)
    finally:
        visit.leave()
        await fields.close()
    response = render(transcription, form.response_format)
    response.headers[BACKEND] = BACKEND_NAME
    return response


def _declared_bytes(request: Request) -> int | None:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdigit() else None


def _streamed(
    transcriber: Transcriber, visit: Visit, fields: FormData, upload: UploadFile, form: TranscriptionForm
) -> Response:
    def transcribe(report: Callable[[Progress], None]) -> Awaitable[Transcription]:
        return transcriber.transcribe(visit, upload.file.fileno(), form, report)

    async def finish() -> None:
        visit.leave()
        await fields.close()

    verbose = form.response_format is TranscriptionFormat.VERBOSE_JSON
    return StreamedTranscript(transcribe, verbose, finish, BACKEND_NAME)


async def _counted(answer: Callable[[], Awaitable[Response]]) -> Response:
    try:
        response = await answer()
    except ClientDisconnect:
        REQUESTS.labels(Outcome.ABANDONED).inc()
        return Response(status_code=499)
    except Exception as error:  # counted, never kept
        REQUESTS.labels(outcome_of(error)).inc()
        raise
    if not isinstance(response, StreamedTranscript):  # which counts itself at its end
        REQUESTS.labels(Outcome.OK).inc()
    return response
