"""The machine, and what processes on it spend."""

import datetime as dt
import os
import platform
import re
import socket
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def processes(root: int) -> dict[int, list[str]]:
    """The process and all below it, with the fields of /proc/PID/stat from the third on."""
    children: dict[int, list[int]] = {}
    states: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            states[int(entry.name)] = fields
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return {pid: states[pid] for pid in found if pid in states}


def processor_seconds(root: int) -> float:
    """User and system time of the process and all below it, with those that have ended and were waited for."""
    return sum(sum(map(int, fields[11:15])) / _TICKS for fields in processes(root).values())


def megabytes(root: int) -> float:
    """Resident memory of the process and all below it; what they share counts for each."""
    return sum(int(fields[21]) for fields in processes(root).values()) * os.sysconf("SC_PAGE_SIZE") / 1e6


def use_cores(count: int) -> list[int]:
    """This process and all it starts run on these cores alone."""
    cores = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, cores)
    return cores


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def description(cores: int, libraries: Iterable[str] = ("faster-whisper", "ctranslate2", "av", "onnxruntime")) -> str:
    """One paragraph."""
    releases = ", ".join(f"{name} {version(name)}" for name in libraries)
    return (
        f"{_processor()}, {cores} of {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {_system()}, "
        f"Python {platform.python_version()}, {releases}. {dt.datetime.now(dt.UTC):%d %B %Y}."
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    flags = [flag for flag in ("avx512_vnni", "avx512f", "avx2") if f" {flag}" in info]
    name = model[1].strip() if model else platform.machine()
    return f"{name} ({flags[0]})" if flags else name


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _system() -> str:
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{release}, Linux {platform.release().split('-')[0]}"
