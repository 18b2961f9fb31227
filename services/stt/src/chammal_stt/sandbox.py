"""Takes from this process all that decoding does not need: files, network, children, memory without end.

Every measure is tried; `enter` names those that hold here. Linux has all of them, macOS the resource limits alone.
"""

import ctypes
import os
import platform
import resource
import struct
import sys
from enum import StrEnum

_NO_NEW_PRIVILEGES = 38
_SET_SECCOMP = 22
_SECCOMP_FILTER = 2
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446


class Defence(StrEnum):
    RESOURCE_LIMITS = "resource_limits"
    NO_NEW_PRIVILEGES = "no_new_privileges"
    LANDLOCK_FILES = "landlock_files"
    LANDLOCK_NETWORK = "landlock_network"
    SECCOMP = "seccomp"
    """No new sockets, files, processes or programs."""


def enter(memory_bytes: int, file_bytes: int) -> list[Defence]:
    """For the calling thread and what it starts; there is no way back. All that is imported later must be here now."""
    active = []
    if _limit_resources(memory_bytes, file_bytes):
        active.append(Defence.RESOURCE_LIMITS)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
            active.append(Defence.NO_NEW_PRIVILEGES)
            active += _landlock(libc)
            active += _seccomp(libc)
    return active


def limit_cpu(seconds: int) -> None:
    """From now on; past it the kernel ends this process with SIGXCPU."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(usage.ru_utime + usage.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _limit_resources(memory_bytes: int, file_bytes: int) -> bool:
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: 16,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_AS: memory_bytes,
    }
    held = True
    for kind, value in limits.items():
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):  # macOS refuses an address space limit below what is mapped
            held = held and kind == resource.RLIMIT_AS
    return held


def _landlock(libc: ctypes.CDLL) -> list[Defence]:
    """A ruleset that handles everything this kernel's Landlock knows, and allows none of it."""
    abi = libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if abi < 1:
        return []
    files = (1 << 13) - 1
    for since, bit in ((2, 13), (3, 14), (5, 15)):
        files |= (1 << bit) if abi >= since else 0
    words = [files]
    if abi >= 4:
        words.append(0b11)  # bind and connect over TCP
    if abi >= 6:
        words.append(0b11)  # abstract Unix sockets and signals beyond this process
    attributes = struct.pack(f"={len(words)}Q", *words)
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        return []
    restricted = libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0
    os.close(ruleset)
    if not restricted:
        return []
    return [Defence.LANDLOCK_FILES] + ([Defence.LANDLOCK_NETWORK] if abi >= 4 else [])


# Numbers of the system calls that are refused, from the kernel's tables. In both: open*, sockets, processes and
# programs, other processes' memory, namespaces and mounts, and large interfaces that decoding never needs.
_X86_64 = (0xC000003E, (2, 257, 437, 85, 41, 53, 42, 49, 50, 43, 288, 56, 57, 58, 435, 59, 322, 62, 101, 310, 311,
                        272, 308, 165, 321, 425, 250, 323, 304, 438, 434, 298))  # fmt: skip
_AARCH64 = (0xC00000B7, (56, 437, 198, 199, 203, 200, 201, 202, 242, 220, 435, 221, 281, 129, 117, 270, 271,
                         97, 268, 40, 280, 425, 219, 282, 265, 438, 434, 241))  # fmt: skip
_X32_BIT = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # 1 is EPERM


def _seccomp(libc: ctypes.CDLL) -> list[Defence]:
    table = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(platform.machine())
    if table is None:
        return []
    program = _filter(*table)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    held = libc.prctl(_SET_SECCOMP, _SECCOMP_FILTER, header, 0, 0) == 0
    return [Defence.SECCOMP] if held else []


def _filter(architecture: int, refused: tuple[int, ...]) -> bytes:
    """Classic BPF over (call number, architecture): refused numbers fail with EPERM, other architectures are killed."""
    refuse_at = 4 + len(refused) + 1
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 0, refuse_at + 1 - 2, architecture),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, refuse_at - 4, 0, _X32_BIT),
    ]
    for place, number in enumerate(refused, start=4):
        steps.append((_EQUAL, refuse_at - place - 1, 0, number))
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _KILL)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
