"""What can be rehearsed, as data: what breaks, and what the answers may show of it."""

import tomllib
from collections.abc import Collection
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from chammal.faults.fault import Fault
from chammal_contracts.stages import Stage, StageStatus

FIRST_BACKEND = "vllm"
BACKENDS = (FIRST_BACKEND, "ollama", "llamacpp", "openai")
"""What stands behind the gateway where there is no vLLM."""


class Break(Fault):
    upstream: str

    @property
    def fault(self) -> Fault:
        return Fault.model_validate(self.model_dump(exclude={"upstream"}))


class Scenario(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    breaks: tuple[Break, ...]
    stages: dict[Stage, frozenset[StageStatus]]
    """What a stage may be while the fault lasts. One that is not here must stay ok."""

    @property
    def drills_analysis(self) -> bool:
        return Stage.ANALYSIS in self.stages

    def may_be(self, stage: Stage, *, whole_fault: bool) -> frozenset[StageStatus]:
        """`whole_fault`: the request began and ended while the fault was set, so the fault must show."""
        allowed = self.stages.get(stage, frozenset({StageStatus.OK}))
        return allowed if whole_fault else allowed | {StageStatus.OK}


@cache
def scenarios() -> dict[str, Scenario]:
    table = tomllib.loads(files("chammal.drill").joinpath("scenarios.toml").read_text(encoding="utf-8"))
    return {name: Scenario(name=name, **fields) for name, fields in table.items()}


def route_for(upstream: str, routes: Collection[str]) -> str | None:
    """The proxy's name for it: where the first language model is not vLLM, the one that there is."""
    names = BACKENDS if upstream == FIRST_BACKEND else (upstream,)
    return next((name for name in names if name in routes), None)
