"""The README's commands are those that other tests run, and both languages have the same."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN_BY_A_TEST = {
    "make run": "tests/wire starts its mesh with it",
    "make demo": "tests/wire",
    "make demo-healing": "tests/wire/test_healing.py",
    "docker compose up -d --wait": "tests/compose starts its mesh with it",
}


def commands(readme: str) -> list[str]:
    """Shell commands of the fenced blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / readme).read_text(encoding="utf-8"), re.S | re.M)
    joined = "".join(blocks).replace("\\\n", " ")
    return [re.sub(r"\s+", " ", re.sub(r"\s+#.*", "", line)).strip() for line in joined.splitlines()]


def test_every_command_is_run_by_a_test() -> None:
    unknown = [c for c in commands("README.md") if c not in RUN_BY_A_TEST and not c.startswith("curl ")]
    assert unknown == [], "tests/wire runs the curl blocks; say in RUN_BY_A_TEST who runs these"


def test_both_languages_have_the_same_commands() -> None:
    assert commands("README.ko.md") == commands("README.md")


@pytest.mark.parametrize(
    "readme", ["README.md", "README.ko.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_lead_somewhere(readme: str) -> None:
    page = ROOT / readme
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_no_placeholder_is_left(readme: str) -> None:
    assert re.findall(r"@[A-Z_]+@", (ROOT / readme).read_text(encoding="utf-8")) == []
