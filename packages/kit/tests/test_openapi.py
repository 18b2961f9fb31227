from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from chammal_contracts.errors import ProblemBody
from chammal_kit.problems import install_problem_handlers


def document() -> dict[str, Any]:
    app = FastAPI()

    @app.get("/things/{number}", responses={404: {"model": ProblemBody}, 503: {"model": dict[str, str]}})
    async def get_thing(number: int) -> dict[str, str]:
        return {}

    install_problem_handlers(app)
    with TestClient(app) as client:
        first: dict[str, Any] = client.get("/openapi.json").json()
        assert client.get("/openapi.json").json() == first
    return first


def test_every_operation_says_that_errors_are_problems() -> None:
    responses = document()["paths"]["/things/{number}"]["get"]["responses"]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    assert responses["404"]["content"] == problem
    assert responses["default"]["content"] == problem
    assert list(responses["503"]["content"]) == ["application/json"], "what is no problem stays as it was"


def test_the_shape_of_errors_that_nobody_sends_is_not_described() -> None:
    told = document()
    assert "422" not in told["paths"]["/things/{number}"]["get"]["responses"]
    assert set(told["components"]["schemas"]) == {"ErrorCode", "OpenAIError", "ProblemBody"}
