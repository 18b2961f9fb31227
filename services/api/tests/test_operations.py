from fastapi.testclient import TestClient

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from chammal_contracts.failures import Environment


def test_failures_name_the_environment_so_that_drills_can_be_refused_in_production(settings: ApiSettings) -> None:
    for environment in Environment:
        told = settings.model_copy(update={"environment": environment})
        with TestClient(create(told)) as client:
            assert client.get("/v1/failures").json()["environment"] == environment
