import json
import logging
import re

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
