"""The fault matrix over real processes and real sockets: one test for each upstream and fault, all its endpoints."""

import pytest

from tests.faults.conftest import chosen
from tests.faults.matrix import Cell
from tests.faults.mesh import CannotBe, Mesh
from tests.faults.run import Result, run_group

pytestmark = [pytest.mark.faults, pytest.mark.model]

GROUPS = chosen()


@pytest.mark.parametrize("group", GROUPS.values(), ids=["-".join(names) for names in GROUPS])
def test_what_a_fault_does_is_what_the_matrix_says(mesh: Mesh, results: list[Result], group: list[Cell]) -> None:
    try:
        outcomes = list(run_group(mesh, group))
    except CannotBe as error:
        pytest.skip(str(error))
    results += outcomes
    wrong = [f"{outcome.cell.endpoint}: {'; '.join(outcome.wrong)}" for outcome in outcomes if outcome.wrong]
    assert not wrong, "\n".join(wrong)
