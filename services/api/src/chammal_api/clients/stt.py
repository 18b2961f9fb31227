"""The stt service."""

from chammal_api.clients.failure import callers_problem, failed_stage
from chammal_api.intake import CallRequest
from chammal_api.outcome import Outcome
from chammal_contracts.asr import Transcription, TranscriptionFormat
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_kit.upstream import Reply, Timeouts, Upstream, UpstreamError, UpstreamRejected

BACKEND = "faster-whisper"
QUEUE_SECONDS = 60
"""For a place at a recogniser, and for what a recording costs however short it is."""
BYTES_A_SECOND = 2000
"""Telephone codecs bring at least 1,500 bytes a second of speech, and a core reads more than 4 s of it in one."""


def patience(timeouts: Timeouts, size: int | None) -> Timeouts:
    """How long a recording of `size` bytes may take: a recogniser that hangs on a short one is found out sooner."""
    if size is None:
        return timeouts
    seconds = min(timeouts.total, QUEUE_SECONDS + size / BYTES_A_SECOND)
    return timeouts.model_copy(update={"first_byte": seconds, "total": seconds})


class SttClient:
    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    async def transcribe(self, call: CallRequest) -> Outcome[Transcription]:
        """Raises Problem when the recording or a field is at fault."""
        file = ("audio", call.audio.file, "application/octet-stream")
        try:
            reply = await self.upstream.request(
                "POST",
                "/v1/audio/transcriptions",
                files=[("file", file)],
                form=_fields(call),
                timeouts=patience(self.upstream.policy.timeouts, call.size),
                parse=_read_transcription,
            )
        except UpstreamRejected as error:
            raise callers_problem(error) from error
        except UpstreamError as error:
            return failed_stage(Stage.STT, error, self.upstream.breaker.state)
        return Outcome(
            reply.value,
            StageReport(
                stage=Stage.STT,
                status=StageStatus.OK,
                backend=BACKEND,
                model=reply.value.model,
                attempts=reply.attempts,
                breaker=self.upstream.breaker.state,
                seconds=reply.seconds,
            ),
        )


def _fields(call: CallRequest) -> dict[str, str]:
    fields = {"response_format": TranscriptionFormat.VERBOSE_JSON.value, "channels": call.channels.value}
    if call.language:
        fields["language"] = call.language
    if call.hotwords:
        fields["hotwords"] = call.hotwords
    if call.normalise:
        fields["normalise"] = "true"
    return fields


def _read_transcription(reply: Reply[None]) -> Transcription:
    return Transcription.model_validate(reply.json())
