"""Runs the cells of one upstream and one fault."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chammal_api.calls.backlog import FRESH_SECONDS
from chammal_contracts.stages import Stage
from tests.faults import calls
from tests.faults.endpoints import call
from tests.faults.exchange import Seen
from tests.faults.injection import Staged, make_whole, staged
from tests.faults.matrix import Cell, Endpoint
from tests.faults.mesh import Mesh
from tests.faults.verdict import differences, is_fine, side_effects, unhealed

_PROVOKING = {Stage.STT: Endpoint.TRANSCRIPTIONS, Stage.ANALYSIS: Endpoint.TRANSCRIBE, Stage.TTS: Endpoint.SPEECH}

HEAL_SECONDS = 20


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
    given = scene.given(cell.upstream)
    before = scene.series()
    lines = len(scene.api.lines), len(scene.gateway.lines)
    stage.begin()
    try:
        if cell.upstream == "database" and cell.expected.not_ready:
            time.sleep(FRESH_SECONDS)
        if cell.expected.counts and cell.row.stage:
            call(_PROVOKING[cell.row.stage], url, padding=stage.padding)
        seen = call(cell.endpoint, url, given, padding=stage.padding)
    finally:
        stage.end()
    fine, wrong = is_fine(cell, seen), []
    if not fine:
        wrong = [*differences(cell, seen), *side_effects(cell, seen, stage, before, lines)]
    if seen.call_id:
        if cell.expected.heals and not (fine or stage.lasting):
            make_whole(mesh, stage, cell)
            wrong += unhealed(calls.heals(url, seen.call_id, HEAL_SECONDS), cell)
        calls.delete(url, seen.call_id)
    return Result(cell, seen, wrong)
