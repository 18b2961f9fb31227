"""Makes the answers of one process: a language model that writes and a tts that speaks."""

from chammal_api.realtime.conversation import Conversation
from chammal_api.realtime.heard import Heard
from chammal_api.realtime.prompt import system_prompt
from chammal_api.realtime.response import Limits, Response
from chammal_api.realtime.response_config import ResponseConfig
from chammal_api.realtime.writing import read_ahead
from chammal_api.settings import ApiSettings
from chammal_kit.upstream import Timeouts, Upstream


class Responder:
    def __init__(self, llm: Upstream, tts: Upstream, settings: ApiSettings) -> None:
        self._llm = llm
        self._tts = tts
        self._limits = Limits(
            model=settings.realtime_model,
            instructions=settings.realtime_instructions,
            history_tokens=settings.realtime_history_tokens,
            answer_tokens=settings.realtime_answer_tokens,
            writing=_timeouts(settings, settings.realtime_reply_seconds),
            speaking=_timeouts(settings, settings.realtime_speech_seconds),
        )
        self._prepares = settings.realtime_prepare
        self._reading: set[str] = set()

    async def prepare(self, instructions: str) -> None:
        """For the first answer of a conversation. Many that begin alike at once are one request."""
        prompt = system_prompt(instructions or self._limits.instructions)
        if not self._prepares or prompt in self._reading:
            return
        self._reading.add(prompt)
        try:
            await read_ahead(self._llm, prompt, model=self._limits.model, timeouts=self._limits.writing)
        finally:
            self._reading.discard(prompt)

    def respond(self, conversation: Conversation, config: ResponseConfig, heard: Heard | None) -> Response:
        """Nothing happens before its `run`. `heard` is the turn that it answers, where it answers one."""
        return Response(self._llm, self._tts, self._limits, conversation, config, heard)


def _timeouts(settings: ApiSettings, first: float) -> Timeouts:
    return Timeouts(
        connect=settings.connect_seconds,
        first_byte=first,
        idle=min(first, settings.idle_seconds),
        total=first + settings.realtime_answer_seconds,
    )
