"""Deletes calls for good: one that somebody asked to, and those older than they may be kept."""

from dataclasses import dataclass

from chammal_api.calls.recordings import Recordings
from chammal_api.calls.store import CallStore
from chammal_kit.logs import component_logger

log = component_logger("Retention")

_AT_A_TIME = 100


@dataclass(frozen=True, slots=True)
class Swept:
    calls: int = 0
    files: int = 0
    failed: int = 0
    """Calls and files that could not be deleted this time; the next sweep tries them again."""


async def erase(store: CallStore, recordings: Recordings, call_id: str) -> bool:
    """Deletes the call and, where no other call has it, its recording. False: there is no such call.

    Where the file cannot be deleted now, the store remembers that it is to be.
    """
    raise NotImplementedError
