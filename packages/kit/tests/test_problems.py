"""A full or broken disk is told as one; every other error of the operating system stays an error of our own."""

import errno

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem, install_problem_handlers


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_507_with_a_code(number: int) -> None:
    answer = fails_with(OSError(number, "no room")).post("/keep")
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert answer.headers["Retry-After"] == "30"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.ESTALE])
def test_a_disk_that_cannot_be_used_is_503_with_a_code(number: int) -> None:
    answer = fails_with(OSError(number, "a disk fails")).post("/keep")
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert answer.headers["Retry-After"] == "30"


def test_an_operator_reads_of_a_full_disk_whoever_found_it(caplog: pytest.LogCaptureFixture) -> None:
    fails_with(Problem(507, ErrorCode.STORAGE_FULL, "There is no room for the recording.")).post("/keep")
    assert "POST /keep: no room on the disk: There is no room for the recording." in caplog.text


def test_another_error_of_the_system_is_our_own() -> None:
    for error in (OSError(errno.EMFILE, "too many files"), TimeoutError(), ConnectionResetError()):
        answer = fails_with(error).post("/keep")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


def fails_with(error: OSError | Problem) -> TestClient:
    app = FastAPI()
    install_problem_handlers(app)

    @app.post("/keep")
    async def keep() -> None:
        raise error

    return TestClient(app, raise_server_exceptions=False)
