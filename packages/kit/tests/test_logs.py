import json
import logging
import re
import subprocess
import sys

import pytest

from chammal_kit.logs import ConsoleFormatter, JsonFormatter, component_logger


def record(message: str, request_id: str | None) -> logging.LogRecord:
    logger = component_logger("STT")
    made = logger.makeRecord(logger.name, logging.ERROR, __file__, 1, message, (), None)
    made.request_id = request_id
    return made


def test_a_console_line_has_time_level_component_and_message() -> None:
    line = ConsoleFormatter().format(record("the worker died", None))
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] ERROR - \[STT\] the worker died", line)


def test_a_console_line_ends_with_the_request_it_belongs_to() -> None:
    assert ConsoleFormatter().format(record("slow", "r-1")).endswith("[STT] slow (request r-1)")


def test_a_json_line_is_one_object_in_readable_korean() -> None:
    line = JsonFormatter().format(record("모델이 없습니다\n둘째 줄", "r-2"))
    assert "\n" not in line
    assert "모델이" in line
    body = json.loads(line)
    assert (body["component"], body["level"], body["request_id"]) == ("STT", "ERROR", "r-2")


def test_uvicorns_own_lines_come_from_the_server_component() -> None:
    logger = logging.getLogger("uvicorn.error")
    made = logger.makeRecord(logger.name, logging.INFO, __file__, 1, "started", (), None)
    assert "[Server] started" in ConsoleFormatter().format(made)


def test_a_caller_cannot_write_a_line_of_its_own_or_move_the_cursor() -> None:
    line = ConsoleFormatter().format(
        record("GET /a\n[2026-01-01 00:00:00] ERROR - [STT] all is lost\x1b[2J\x9b1m\r", None)
    )
    assert line.endswith(r"GET /a\x0a[2026-01-01 00:00:00] ERROR - [STT] all is lost\x1b[2J\x9b1m\x0d")


def test_a_traceback_keeps_its_lines() -> None:
    try:
        int("no number")
    except ValueError:
        made = component_logger("STT").makeRecord(
            "chammal.STT", logging.ERROR, __file__, 1, "failed", (), sys.exc_info()
        )
    assert "failed\nTraceback" in ConsoleFormatter().format(made)


@pytest.mark.parametrize("level", ["debug", "INFO", "ERROR"])
def test_libraries_tell_of_warnings_alone_whatever_the_level(level: str) -> None:
    """Some write headers with keys, and whole messages, at DEBUG."""
    script = (
        "import logging\n"
        "from chammal_kit.logs import component_logger, configure_logging\n"
        "from chammal_kit.settings import ServiceSettings\n"
        f"configure_logging(ServiceSettings(log_level={level!r}))\n"
        "for name in ('websockets.server', 'httpx2', 'asyncio', 'some.library', 'uvicorn.error'):\n"
        "    logging.getLogger(name).debug('authorization: Bearer of news')\n"
        "component_logger('STT').debug('ours')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Bearer" not in ran.stderr
    assert ("ours" in ran.stderr) == (level == "debug")
