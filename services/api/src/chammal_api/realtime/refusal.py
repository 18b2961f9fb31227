"""The answer to a turn that was not heard: none, and why."""

from chammal_api.realtime.conversation import new_id
from chammal_api.realtime.response_config import ResponseConfig
from chammal_api.realtime.response_events import Send
from chammal_contracts.errors import ErrorCode
from chammal_contracts.realtime import RealtimeErrorType, ResponseCreated, ResponseDone
from chammal_contracts.realtime_response import (
    RealtimeAudio,
    RealtimeAudioOut,
    RealtimeResponse,
    ReplyProvenance,
    ResponseStatus,
    StatusDetails,
    StatusError,
)
from chammal_contracts.stages import Stage, StageReport, StageStatus

_WHY = "no transcript"


async def refuse(send: Send, config: ResponseConfig, missed: StageReport) -> None:
    """The language model is not asked what somebody may have said."""
    response = RealtimeResponse(
        id=new_id("resp"),
        status=ResponseStatus.IN_PROGRESS,
        conversation_id=config.conversation_id,
        output_modalities=[config.modality],
        max_output_tokens=config.max_output_tokens,
        audio=RealtimeAudio(output=RealtimeAudioOut(format=config.format, voice=config.voice)),
        metadata=config.metadata,
    )
    await send(ResponseCreated(response=response))
    failed = ResponseStatus.FAILED
    message = f"What was said could not be heard: {missed.error}"
    error = StatusError(type=RealtimeErrorType.SERVER, code=ErrorCode.STAGE_FAILED, message=message)
    skipped = [StageReport(stage=stage, status=StageStatus.SKIPPED, error=_WHY) for stage in (Stage.REPLY, Stage.TTS)]
    done = {
        "status": failed,
        "status_details": StatusDetails(type=failed, error=error),
        "chammal": ReplyProvenance(stages=[missed, *skipped]),
    }
    await send(ResponseDone(response=response.model_copy(update=done)))
