"""What a process does now and then beside its calls, and how a library's log becomes ours."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem

log = component_logger("Calls")


LEAVE_SECONDS = 5.0


async def regularly(seconds: float, chore: Callable[[], Awaitable[object]], name: str) -> None:
    """Until cancelled. One that is under way may come to its end: what waits in a thread cannot be stopped, and would
    leave a connection to the database open behind it."""
    while True:
        done = asyncio.ensure_future(_once(chore, name))
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            if not done.done():
                await asyncio.wait([done], timeout=LEAVE_SECONDS)
            done.cancel()
            raise
        await asyncio.sleep(seconds)


async def _once(chore: Callable[[], Awaitable[object]], name: str) -> None:
    """The boundary of a chore: one that fails is logged, and done again the next time."""
    try:
        await chore()
    except (SQLAlchemyError, Problem, OSError) as error:
        log.error("%s failed: %s", name, type(error).__name__)
    except Exception:
        log.exception("a fault of our own: %s", name)


class _Forward(logging.Handler):
    def __init__(self, target: logging.Logger, but: str) -> None:
        super().__init__(logging.WARNING)
        self._target = target
        self._but = but

    def emit(self, record: logging.LogRecord) -> None:
        """The first line alone: some libraries print whole tables."""
        message = record.getMessage().partition("\n")[0]
        if message.startswith(self._but):
            return
        self._target.log(record.levelno, "%s: %s", record.name, message, exc_info=record.exc_info)


def forward_logs(library: str, target: logging.Logger, *, but: str) -> None:
    """Instead of the library's own handlers; without what begins with `but`."""
    logger = logging.getLogger(library)
    if not any(isinstance(handler, _Forward) for handler in logger.handlers):
        logger.handlers[:] = [_Forward(target, but)]
        logger.propagate = False
