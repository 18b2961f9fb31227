"""Runs the cells of one upstream and one fault."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chammal_contracts.stages import Stage
from tests.faults.endpoints import Seen, call
from tests.faults.injection import Staged, make_whole, staged
from tests.faults.matrix import Cell, Endpoint
from tests.faults.mesh import Mesh
from tests.faults.verdict import differences, is_fine, side_effects

_PROVOKING = {Stage.STT: Endpoint.TRANSCRIPTIONS, Stage.ANALYSIS: Endpoint.TRANSCRIBE, Stage.TTS: Endpoint.SPEECH}


@dataclass(frozen=True)
class Result:
    cell: Cell
    seen: Seen
    wrong: list[str]


def run_group(mesh: Mesh, group: Sequence[Cell]) -> Iterator[Result]:
    """All of them have the same upstream and fault."""
    with staged(mesh, group[0]) as stage:
        for cell in group:
            yield _run(mesh, stage, cell)
        if not stage.lasting:
            make_whole(mesh, stage, group[-1])


def _run(mesh: Mesh, stage: Staged, cell: Cell) -> Result:
    scene = stage.scene
    make_whole(mesh, stage, cell)
    url = scene.gateway.url if cell.endpoint.at_gateway else scene.api.url
    agent = scene.agent_url if cell.upstream == "agent" else None
    before = scene.series()
    lines = len(scene.api.lines), len(scene.gateway.lines)
    stage.begin()
    try:
        if cell.expected.counts:
            call(_PROVOKING[cell.row.stage], url, padding=stage.padding)
        seen = call(cell.endpoint, url, agent, padding=stage.padding)
    finally:
        stage.end()
    if is_fine(cell, seen):
        return Result(cell, seen, [])
    return Result(cell, seen, [*differences(cell, seen), *side_effects(cell, seen, stage, before, lines)])
