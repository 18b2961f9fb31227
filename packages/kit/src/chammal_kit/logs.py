"""Log lines: `[2026-11-22 09:00:00] ERROR - [STT] message` on the console, or one JSON object a line."""

import json
import logging
import sys
import time
from functools import lru_cache

from chammal_kit.request_id import current_request_id
from chammal_kit.settings import LogFormat, ServiceSettings

_ROOT = "chammal"
_CONSOLE_TIME = "%Y-%m-%d %H:%M:%S"
_SERVER_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.asgi")
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
"""What a caller writes into a path or a name begins no line of its own, and moves no cursor."""


def component_logger(component: str) -> logging.Logger:
    """The logger of one component: STT, AgentBackend, Transcribe, Validation, HealthCheck, …"""
    return logging.getLogger(f"{_ROOT}.{component}")


def configure_logging(settings: ServiceSettings) -> None:
    """Sends all log lines of this process to stderr in the form that the settings ask for.

    Libraries tell of warnings alone, whatever the level: some write headers with keys and whole messages at DEBUG.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_add_request_id)
    handler.setFormatter(JsonFormatter() if settings.log_format is LogFormat.JSON else ConsoleFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger(_ROOT).setLevel(level)
    logging.getLogger("uvicorn").setLevel(max(level, logging.INFO))
    # No line shows these, and gathering them takes as long as the rest ("Optimization" in the HOWTO of logging)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001


def _add_request_id(record: logging.LogRecord) -> bool:
    record.request_id = current_request_id()
    return True


def _component(record: logging.LogRecord) -> str:
    if record.name in _SERVER_LOGGERS:
        return "Server"
    return record.name.removeprefix(f"{_ROOT}.")


class _TimedFormatter(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return _written(int(record.created), datefmt or _CONSOLE_TIME)


@lru_cache(maxsize=4)
def _written(seconds: int, form: str) -> str:
    return time.strftime(form, time.localtime(seconds))


class ConsoleFormatter(_TimedFormatter):
    def __init__(self) -> None:
        super().__init__("[%(asctime)s] %(levelname)s - [%(component)s] %(message)s%(suffix)s", datefmt=_CONSOLE_TIME)

    def format(self, record: logging.LogRecord) -> str:
        record.component = _component(record)
        request_id = getattr(record, "request_id", None)
        record.suffix = f" (request {request_id})" if request_id else ""
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).translate(_CONTROL)


class JsonFormatter(_TimedFormatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "component": _component(record),
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", None),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
