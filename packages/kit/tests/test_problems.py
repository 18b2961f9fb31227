"""A full disk is told as one; every other error of the operating system stays an error of our own."""

import errno

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from chammal_kit.problems import install_problem_handlers


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_507_with_a_code(number: int) -> None:
    answer = fails_with(OSError(number, "no room")).post("/keep")
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert answer.headers["Retry-After"] == "30"


def test_another_error_of_the_system_is_our_own() -> None:
    for error in (OSError(errno.EIO, "a disk fails"), TimeoutError(), ConnectionResetError()):
        answer = fails_with(error).post("/keep")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


def fails_with(error: OSError) -> TestClient:
    app = FastAPI()
    install_problem_handlers(app)

    @app.post("/keep")
    async def keep() -> None:
        raise error

    return TestClient(app, raise_server_exceptions=False)
