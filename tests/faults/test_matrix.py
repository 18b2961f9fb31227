"""The matrix leaves no combination out, and docs/degradation.md shows what it says."""

import pytest

from chammal.faults.fault import FaultKind
from tests.faults.matrix import Endpoint, cells, endpoints_of, load
from tests.faults.subset import groups_of, subset
from tests.faults.table import render, shown

ISSUE = {
    "refused", "dns_failure", "connect_timeout", "hang", "hang_after_headers", "drip", "reset", "status_500",
    "status_503", "status_429", "invalid_json", "wrong_shape", "empty_body", "nan", "truncated",
    "wrong_content_type", "huge_body", "loading", "killed", "restarted", "paused", "out_of_memory", "disk_full",
}  # fmt: skip


def test_every_combination_has_an_expectation_or_a_reason_why_it_cannot_be() -> None:
    matrix = load()
    groups = groups_of(list(cells(matrix)))
    for upstream, row in matrix.upstreams.items():
        assert set(row.expect) == set(endpoints_of(row)), upstream
        for fault in matrix.faults:
            reasons = [r for r in matrix.not_applicable if upstream in r.upstreams and fault in r.faults]
            assert len(reasons) <= 1, f"{upstream} x {fault} has two reasons"
            here = [cell.endpoint for cell in groups.get((upstream, fault), [])]
            assert bool(here) != bool(reasons), f"{upstream} x {fault}"
            assert not here or here == endpoints_of(row)


def test_rules_name_only_what_there_is() -> None:
    matrix = load()
    for upstreams, faults in (
        *((row.upstreams, row.faults) for row in matrix.not_applicable),
        *((row.upstreams, row.faults) for row in matrix.exceptions),
    ):
        assert set(upstreams) <= set(matrix.upstreams)
        assert set(faults) <= set(matrix.faults)


def test_every_fault_of_the_proxy_and_of_the_issue_is_tried() -> None:
    faults = load().faults
    assert set(faults) >= ISSUE
    assert {row.fault.kind for row in faults.values() if row.fault} == set(FaultKind)


def test_no_cell_may_be_a_500() -> None:
    assert not [cell for cell in cells(load()) if 500 in cell.statuses]


def test_the_subset_has_every_upstream_and_every_fault_and_is_always_the_same() -> None:
    groups = groups_of(list(cells(load())))
    chosen = subset(groups)
    assert {upstream for upstream, _ in chosen} == {upstream for upstream, _ in groups}
    assert {fault for _, fault in chosen} == {fault for _, fault in groups}
    assert list(subset(groups)) == list(chosen)
    assert {cell.endpoint for group in chosen.values() for cell in group} == set(Endpoint)


def test_a_combination_without_a_rule_is_an_error() -> None:
    matrix = load()
    expect = {endpoint: rule for endpoint, rule in matrix.upstreams["stt"].expect.items() if endpoint != "live"}
    upstreams = {"stt": matrix.upstreams["stt"].model_copy(update={"expect": expect})}
    with pytest.raises(KeyError):
        list(cells(matrix.model_copy(update={"upstreams": upstreams})))


def test_the_page_shows_the_matrix() -> None:
    """`python -m tests.faults --write` renews it."""
    assert shown() == render(load())
