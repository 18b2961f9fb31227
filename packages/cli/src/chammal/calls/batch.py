"""Sends many recordings, a few at a time, and waits for what comes of each."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chammal.calls.client import ApiError, CallsClient, Unreachable
from chammal.calls.ledger import Ledger
from chammal.calls.recordings import key_of
from chammal_contracts.calls import Call, CallMetadata, CallStatus
from chammal_contracts.stages import Stage, StageStatus

FIRST_LOOK, LONGEST_LOOK = 0.25, 3.0
"""Seconds between two looks at a call."""
_GONE = 404
_ENDED = frozenset({CallStatus.COMPLETE, CallStatus.PARTIAL, CallStatus.FAILED})
_REAL = frozenset({StageStatus.OK, StageStatus.DEGRADED})

Enough = Callable[[Call], bool]


@dataclass(frozen=True)
class Sent:
    """One recording, and its call as far as there is one."""

    recording: Path
    call: Call | None = None
    error: str | None = None
    unreachable: bool = False


def has_ended(call: Call) -> bool:
    return call.status in _ENDED


def has_transcript(call: Call) -> bool:
    """What is left to do does not change it."""
    return has_ended(call) or status_of(call, Stage.STT) in _REAL


def status_of(call: Call, stage: Stage) -> StageStatus | None:
    return next((report.status for report in call.stages if report.stage is stage), None)


class Batch:
    def __init__(self, client: CallsClient, metadata: CallMetadata, ledger: Ledger, jobs: int, enough: Enough) -> None:
        self._client = client
        self._metadata = metadata
        self._ledger = ledger
        self._jobs = asyncio.Semaphore(jobs)
        self._enough = enough

    async def run(self, recordings: Sequence[Path], done: Callable[[Sent], None]) -> list[Sent]:
        """In the order of `recordings`; `done` is told of each as it comes."""

        async def one(recording: Path) -> Sent:
            async with self._jobs:
                sent = await self._one(recording)
            done(sent)
            return sent

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(recording)) for recording in recordings]
        return [task.result() for task in tasks]

    async def _one(self, recording: Path) -> Sent:
        try:
            key = await asyncio.to_thread(key_of, recording, self._metadata)
            return Sent(recording, await self._call(recording, key))
        except (ApiError, OSError) as error:
            return Sent(recording, error=str(error))
        except Unreachable as error:
            return Sent(recording, error=str(error), unreachable=True)

    async def _call(self, recording: Path, key: str) -> Call:
        known = self._ledger.call_of(key)
        if known is not None:
            try:
                return await self._wait(known)
            except ApiError as error:
                if error.status != _GONE:
                    raise
                self._ledger.forget(key)
        accepted = await self._client.send(recording, self._metadata, key)
        self._ledger.keep(key, accepted.id)
        return await self._wait(accepted.id)

    async def _wait(self, call_id: str) -> Call:
        look = FIRST_LOOK
        while not self._enough(call := await self._client.get(call_id)):
            await self._client.sleep(look)
            look = min(look * 1.5, LONGEST_LOOK)
        return call
