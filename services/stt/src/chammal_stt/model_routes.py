"""Models over HTTP: which there are, and loading, unloading and switching them."""

from typing import Any

from fastapi import APIRouter, Request

from chammal_contracts.errors import ProblemBody
from chammal_contracts.models import DefaultModel, SpeechModel, SpeechModelList
from chammal_stt.shelf import Shelf
from chammal_stt.transcriber import Transcriber

router = APIRouter(prefix="/v1/models")

_REFUSALS: dict[int | str, dict[str, Any]] = {404: {"model": ProblemBody}, 503: {"model": ProblemBody}}


def _shelf(request: Request) -> Shelf:
    transcriber: Transcriber = request.state.transcriber
    return transcriber.shelf


@router.get("", tags=["openai"])
async def get_models(request: Request) -> SpeechModelList:
    """Every model for speech that is here or could be, then OpenAI's names for the default one."""
    return SpeechModelList(data=_shelf(request).cards())


@router.post("/{model_id}/load", tags=["models"], responses=_REFUSALS)
async def post_load(request: Request, model_id: str) -> SpeechModel:
    """Answers when the model is in memory."""
    shelf = _shelf(request)
    await shelf.load(model_id)
    return shelf.card(model_id)


@router.post("/{model_id}/unload", tags=["models"], responses=_REFUSALS)
async def post_unload(request: Request, model_id: str) -> SpeechModel:
    """Answers when the model is out of memory, after what is in flight; or when a new request has kept it there."""
    shelf = _shelf(request)
    await shelf.unload(model_id)
    return shelf.card(model_id)


@router.put("/default", tags=["models"], responses=_REFUSALS)
async def put_default(request: Request, body: DefaultModel) -> SpeechModel:
    """Loads the model, then makes it the one that answers where a request names none, until the service ends."""
    shelf = _shelf(request)
    await shelf.set_default(body.model)
    return shelf.card(body.model)
