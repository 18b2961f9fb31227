"""The matrix as docs/degradation.md shows it."""

from tests.faults.matrix import Matrix
from tests.faults.service import ROOT

DOCUMENT = ROOT / "docs" / "degradation.md"
BEGIN, END = "<!-- fault matrix: begin -->", "<!-- fault matrix: end -->"


def render(matrix: Matrix) -> str:
    return ""


def write(matrix: Matrix) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{render(matrix)}\n{END}{after}", encoding="utf-8")
