"""What a client did that cannot be done. It gets an `error` event, and the session goes on."""

from chammal_contracts.realtime import ErrorEvent, RealtimeError, RealtimeErrorType


class ClientFault(Exception):
    """`code` is one of OpenAI's where it has one."""

    def __init__(self, code: str, message: str, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.event_id = event_id

    def event(self, event_id: str | None) -> ErrorEvent:
        return ErrorEvent(
            error=RealtimeError(
                type=RealtimeErrorType.INVALID_REQUEST,
                code=self.code,
                message=self.message,
                param=self.param,
                event_id=self.event_id or event_id,
            )
        )
