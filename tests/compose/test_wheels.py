"""What the images install, and what works away from the repository."""

from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.compose.conftest import ROOT


@pytest.mark.parametrize(
    ("package", "carries", "source"),
    [
        ("services/api", "chammal_api/rules/fcpa-kr.yaml", "rules/fcpa-kr.yaml"),
        ("packages/kit", "chammal_kit/manifest.toml", "models/manifest.toml"),
    ],
)
def test_a_wheel_carries_what_lies_elsewhere_in_the_repository(
    tmp_path: Path, package: str, carries: str, source: str
) -> None:
    (wheel,) = WheelBuilder(str(ROOT / package)).build(directory=str(tmp_path), versions=["standard"])
    with ZipFile(wheel) as opened:
        assert opened.read(carries) == (ROOT / source).read_bytes()
