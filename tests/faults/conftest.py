"""One mesh for all cells; a subset of them where CI is set."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.matrix import cells, load
from tests.faults.mesh import Mesh
from tests.faults.run import Result
from tests.faults.subset import Groups, groups_of, subset

RESULTS: list[Result] = []


def chosen() -> Groups:
    groups = groups_of(list(cells(load())))
    return subset(groups) if os.environ.get("CI") == "true" else groups


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder: Path = tmp_path_factory.mktemp("faults")
    mesh = Mesh(folder)
    try:
        yield mesh
    finally:
        mesh.close()


@pytest.fixture
def results() -> list[Result]:
    return RESULTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not RESULTS:
        return
    every = sum(1 for _ in cells(load()))
    wrong = sum(bool(result.wrong) for result in RESULTS)
    slowest = max(RESULTS, key=lambda result: result.seen.seconds)
    terminalreporter.section("fault matrix")
    terminalreporter.line(f"{len(RESULTS)} of {every} cells, {wrong} wrong")
    terminalreporter.line(
        f"status 500: {sum(r.seen.status == 500 for r in RESULTS)}, hung: {sum(r.seen.hung for r in RESULTS)}, "
        f"slowest: {slowest.seen.seconds:.1f} s ({slowest.cell})"
    )
