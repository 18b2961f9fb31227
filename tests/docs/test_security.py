"""Every test that docs/security.md names exists, and every threat in it has one."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| threat ")]
FOLDERS = ("packages", "services", "tests")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("test_*.py") if ".venv" not in path.parts)
NAMED = sorted(set(re.findall(r"`((?:[\w./-]+/)?test_\w+\.py)(?:::(\w+))?`", TEXT)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path: str, name: str) -> None:
    """A file is named in full once, and by its own name after that."""
    if "/" not in path:
        full = {named for named, _ in NAMED if named.endswith(f"/{path}")}
        assert len(full) == 1, f"{path} is named in full nowhere, or in two ways"
        (path,) = full
    file = ROOT / path
    assert file in FILES
    assert not name or re.search(rf"^(async )?def {name}\(", file.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("row", ROWS)
def test_a_threat_has_a_defence_and_a_test(row: str) -> None:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
    assert len(cells) == 3
    assert all(cells)
    assert "test_" in cells[2] or cells[2] == "by hand"


def test_every_pin_has_a_hash() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        pins = re.split(r"^(?=[A-Za-z0-9])", file.read_text("utf-8"), flags=re.MULTILINE)
        for pin in filter(None, pins):
            assert "==" in pin.split()[0] or pin.startswith("#"), pin
            assert "--hash=sha256:" in pin, f"{file.name}: {pin[:60]}"
