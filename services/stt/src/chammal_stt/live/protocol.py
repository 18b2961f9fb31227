"""What a live client may say and when, and how a session ends."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from chammal_contracts.errors import ErrorCode
from chammal_contracts.languages import LANGUAGES
from chammal_contracts.live import CLIENT_MESSAGE, CloseCode, Commit, Finish, LiveError, LiveStage, Start
from chammal_stt.metrics import SessionOutcome


class State(StrEnum):
    CONNECTED = "connected"
    LISTENING = "listening"
    FINISHING = "finishing"


_EXPECTED = {
    State.CONNECTED: 'a text message {"type": "start", "sample_rate": 16000}',
    State.LISTENING: "audio in binary messages, commit or finish",
    State.FINISHING: "nothing more",
}


@dataclass(frozen=True, slots=True)
class Ending:
    outcome: SessionOutcome
    code: CloseCode
    reason: str = ""


class SessionError(Exception):
    """Ends the session; `event` tells the client."""

    def __init__(
        self,
        outcome: SessionOutcome,
        close: CloseCode,
        code: ErrorCode,
        detail: str,
        stage: LiveStage = LiveStage.PROTOCOL,
    ) -> None:
        super().__init__(detail)
        self.ending = Ending(outcome, close, detail)
        self.event = LiveError(code=code, detail=detail, fatal=True, stage=stage)


def parse(message: str, state: State) -> Start | Commit | Finish:
    """Raises SessionError."""
    try:
        return CLIENT_MESSAGE.validate_json(message)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))} {fault['msg']}".strip() for fault in error.errors()[:5])
        detail = f"The message cannot be read ({faults[:300]}); expected {_EXPECTED[state]}."
        raise invalid(detail) from None


def read_start(message: str | bytes) -> Start:
    """The first message. Raises SessionError."""
    if isinstance(message, bytes):
        raise unexpected("audio", State.CONNECTED)
    start = parse(message, State.CONNECTED)
    if not isinstance(start, Start):
        raise unexpected(start.type, State.CONNECTED)
    if start.language is not None and start.language not in LANGUAGES:
        detail = f"The language {start.language[:40]!r} is not known. Send one of {', '.join(sorted(LANGUAGES))}."
        raise invalid(detail, ErrorCode.LANGUAGE_UNKNOWN)
    return start


def invalid(detail: str, code: ErrorCode = ErrorCode.MESSAGE_INVALID) -> SessionError:
    return SessionError(SessionOutcome.INVALID, CloseCode.INVALID, code, detail)


def unexpected(what: str, state: State) -> SessionError:
    detail = f"The session is {state}: {what} is not expected, but {_EXPECTED[state]}."
    return invalid(detail, ErrorCode.MESSAGE_UNEXPECTED)


def idle(patience: float, state: State) -> SessionError:
    detail = f"Nothing came for {patience:g} s; expected {_EXPECTED[state]}."
    return SessionError(SessionOutcome.IDLE, CloseCode.IDLE, ErrorCode.SESSION_IDLE, detail, LiveStage.SESSION)


def shutting_down() -> SessionError:
    detail = "The service is shutting down. Connect again."
    return SessionError(
        SessionOutcome.SHUTDOWN,
        CloseCode.SHUTTING_DOWN,
        ErrorCode.SERVER_SHUTTING_DOWN,
        detail,
        LiveStage.SESSION,
    )


def failed() -> SessionError:
    detail = "The service has no room to keep the audio."
    return SessionError(SessionOutcome.ERROR, CloseCode.FAILED, ErrorCode.INTERNAL_ERROR, detail, LiveStage.SESSION)
