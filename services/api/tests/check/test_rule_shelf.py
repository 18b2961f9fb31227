import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from chammal_api.check.rule_shelf import RulesBroken, RuleSetUnknown, RuleShelf, read_rules, rules_folder
from chammal_contracts.checks import ElementMode, Polarity, ProductType

from .spoken_calls import ROOT, fcpa

SMALL = """
name: small
version: "{version}"
title: {{ko: 작은, en: small}}
elements:
  - id: X-1
    name: {{ko: 가, en: a}}
    article: "1"
    mode: rule
    polarity: must_say
    severity: low
    rules: [{{id: X-1.r, any: ["{phrase}"]}}]
"""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    times = iter(range(1_000, 10_000))

    def write(text: str, name: str = "small.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        at = next(times)
        os.utime(path, (at, at))
        return path

    return write


def small(version: str = "1", phrase: str = "사과") -> str:
    return SMALL.format(version=version, phrase=phrase)


def test_a_changed_file_is_in_force_within_a_second(tmp_path: Path, write: Write) -> None:
    clock = Clock()
    write(small("1"))
    shelf = RuleShelf(tmp_path, "small", clock=clock)
    write(small("2"))
    assert shelf.get().version == "1"
    clock.now = 2
    assert shelf.get().version == "2"
    assert shelf.problems == []


@pytest.mark.parametrize(("version", "warned"), [("1", True), ("2", False)])
def test_rules_that_change_without_a_new_version_are_in_force_and_warned_of(
    tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture, version: str, *, warned: bool
) -> None:
    clock = Clock()
    write(small("1"))
    shelf = RuleShelf(tmp_path, "small", clock=clock)
    write(small(version, phrase="배나무"))
    clock.now = 2
    assert shelf.get().elements[0].rules[0].any == ("배나무",)
    assert ("still version" in caplog.text) is warned


@pytest.mark.parametrize(
    "broken",
    [
        "name: [",
        "",
        "just a text",
        "\x00",
        small().replace("severity: low", "severity: awful"),
        small(phrase="(가|"),
        small().replace("mode: rule", "mode: hybrid"),
        small() + "name: twice\n",
        small() + "more: 1\n",
        small().replace("[{id: X-1.r,", "[{id: X-1.r, before: nothing,"),
        small().replace("[{id: X-1.r,", "[{id: X-1,"),
        small().replace("[{id: X-1.r,", "[{id: X-1.r, part: p,"),
        "[" * 100_000,
    ],
)
def test_a_broken_file_leaves_the_old_one_in_force_and_is_told_of(tmp_path: Path, write: Write, broken: str) -> None:
    clock = Clock()
    write(small("1"))
    shelf = RuleShelf(tmp_path, "small", clock=clock)
    write(broken)
    clock.now = 2
    assert shelf.get("small").version == "1"
    assert len(shelf.problems) == 1
    write(small("3"))
    clock.now = 4
    assert shelf.get().version == "3"
    assert shelf.problems == []


def test_a_broken_file_does_not_keep_others_from_being_read(tmp_path: Path, write: Write) -> None:
    write("name: [", "broken.yaml")
    write(small())
    shelf = RuleShelf(tmp_path, "small")
    assert [rules.name for rules in shelf.all()] == ["small"]
    assert "broken.yaml" in shelf.problems[0]


def test_two_files_of_one_name_are_one_and_a_problem(tmp_path: Path, write: Write) -> None:
    write(small("1"), "a.yaml")
    write(small("2"), "b.yaml")
    shelf = RuleShelf(tmp_path, "small")
    assert shelf.get().version == "1"
    assert "b.yaml" in shelf.problems[0]


def test_a_file_that_is_gone_takes_its_rules_with_it_but_never_the_default(tmp_path: Path, write: Write) -> None:
    clock = Clock()
    write(small())
    other = write(small().replace("name: small", "name: other"), "other.yaml")
    shelf = RuleShelf(tmp_path, "small", clock=clock)
    other.unlink()
    (tmp_path / "small.yaml").unlink()
    clock.now = 2
    assert shelf.get().name == "small"
    assert shelf.problems == ["small.yaml is gone"]
    with pytest.raises(RuleSetUnknown):
        shelf.get("other")


def test_a_folder_without_the_default_is_a_problem_and_not_a_crash(tmp_path: Path) -> None:
    shelf = RuleShelf(tmp_path / "nowhere", "small")
    assert len(shelf.problems) == 2
    with pytest.raises(RuleSetUnknown):
        shelf.get()


def test_a_file_that_is_far_too_large_is_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(RulesBroken, match="larger"):
        read_rules(write("#" * (5 << 20)))


def test_the_rule_set_that_comes_with_chammal_has_the_24_elements_as_the_law_orders_them() -> None:
    rules = fcpa()
    table = {element.id: element for element in rules.elements}
    assert len(table) == 24
    assert {e.id for e in rules.elements if e.mode is ElementMode.RULE} == {"TM-02", "EXP-08"}
    assert {e.id for e in rules.elements if e.mode is ElementMode.METADATA} == {"TM-03"}
    assert {e.id for e in rules.elements if e.mode is ElementMode.LLM} == {"SUIT-01", "SUIT-02", "EXP-01"}
    assert {e.id for e in rules.elements if e.polarity is Polarity.MUST_CONFIRM} == {"SUIT-01", "SUIT-02", "EXP-09"}
    assert {e.id for e in rules.elements if e.polarity is Polarity.MUST_NOT} == {
        *("TM-03", "SUIT-03", "EXP-10", "UNF-01", "UNF-02", "SOL-01", "SOL-02", "SOL-03", "SOL-04", "ADV-01")
    }
    assert {e.id for e in rules.elements if e.human} == {
        *("SUIT-03", "EXP-10", "TM-03", "UNF-01", "SOL-02", "SOL-03", "SOL-04")
    }
    assert all(table[name].needs_legal_review for name in ("EXP-02", "EXP-03"))
    assert table["EXP-05"].when.products == {ProductType.DEPOSIT}
    assert table["SOL-03"].when.products == {ProductType.INSURANCE}


def test_the_rule_set_that_comes_with_chammal_is_named_as_its_file_is() -> None:
    for path in (ROOT / "rules").glob("*.yaml"):
        assert read_rules(path).name == path.stem
        assert yaml.safe_load(path.read_text())["version"]


def test_away_from_the_repository_the_rules_of_the_package_are_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert RuleShelf(rules_folder(Path("rules")), "fcpa-kr").get() == fcpa()
    (tmp_path / "rules").mkdir()
    assert rules_folder(Path("rules")) == Path("rules"), "a folder of one's own counts, also an empty one"


def test_a_folder_that_was_named_and_is_not_there_is_told_of_and_not_replaced(tmp_path: Path) -> None:
    shelf = RuleShelf(rules_folder(tmp_path / "gone"), "fcpa-kr")
    assert shelf.all() == []
    assert "CHAMMAL_API_RULES_DIR" in shelf.problems[0]
