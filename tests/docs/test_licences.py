"""What the services and the command line install is under licences that ask for no more than a notice."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
RUNTIME = ("stt", "llm-gateway", "tts", "api", "cli")
EMBEDDED = {"xllamacpp"}
"""`make run` has it, the images have not."""
PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "PSF-2.0",
    "Unlicense", "Zlib",
}  # fmt: skip
OTHER_SPELLINGS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}
EXCEPTIONS = {
    "psycopg": "LGPL-3.0-only: DBOS asks for it; used unchanged, through its interface, and for PostgreSQL alone",
    "psycopg-binary": "LGPL-3.0-only: the same, with libpq, which is under PostgreSQL's own licence",
    "soxr": "LGPL-2.1-or-later: a library in a module of its own, used unchanged; anyone may put another in its place",
    "tqdm": "MPL-2.0 AND MIT: binds changes to its own files alone, and there are none",
}
BUNDLED = {
    "av": {"x264", "x265"},  # GPL-2.0-or-later: see docs/security.md
    "numpy": {"gfortran", "quadmath"},  # GPL with the runtime exception
}
"""Parts of binary packages that are under more than a notice, though the package's own licence is permissive."""
COPYLEFT = re.compile(r"lib(x264|x265|xvidcore|fdk-aac|gfortran|quadmath)")


def packages() -> list[str]:
    """That are installed on this platform."""
    found = set(EMBEDDED)
    for name in RUNTIME:
        for line in (REQUIREMENTS / f"{name}.txt").read_text("utf-8").splitlines():
            if re.match(r"[A-Za-z]", line):
                requirement = Requirement(line.rstrip(" \\"))
                if requirement.marker is None or requirement.marker.evaluate():
                    found.add(requirement.name)
    return sorted(found)


def licences(found: Distribution) -> set[str]:
    told = found.metadata
    text = told.get("License-Expression") or told.get("License") or ""
    if not text or len(text) > 60:
        classifiers = told.get_all("Classifier") or []
        text = " AND ".join(c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License ::"))
    return {OTHER_SPELLINGS.get(part, part) for part in re.split(r" AND | OR |[()]", text) if part}


@pytest.mark.parametrize("name", packages())
def test_a_dependency_is_under_a_permissive_licence_or_a_listed_exception(name: str) -> None:
    try:
        told = licences(distribution(name))
    except PackageNotFoundError:
        pytest.fail(f"{name} is pinned for this platform and not installed")
    assert told, f"{name} does not say what its licence is"
    assert (told <= PERMISSIVE) != (name in EXCEPTIONS), f"{name}: {told}"


@pytest.mark.parametrize("name", packages())
def test_libraries_inside_a_package_are_permissive_too_or_listed(name: str) -> None:
    inside = {match[1] for file in distribution(name).files or [] if (match := COPYLEFT.match(file.name))}
    assert inside <= BUNDLED.get(name, set())


def test_every_exception_is_still_one() -> None:
    assert set(EXCEPTIONS) | set(BUNDLED) <= set(packages())
