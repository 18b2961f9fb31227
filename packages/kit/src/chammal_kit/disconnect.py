"""Nothing works on for a caller that is gone."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

T = TypeVar("T")


async def unless_disconnected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` here; when the caller goes away first, cancels it and raises ClientDisconnect.

    The request body must have been read, since this takes every further message.
    """
    here = asyncio.current_task()
    assert here is not None  # noqa: S101
    cancelled_before = here.cancelling()
    gone = ended = False

    def leave(watching: asyncio.Task[None]) -> None:
        nonlocal gone
        if not watching.cancelled() and not ended:
            watching.exception()  # whatever it is: nobody can be told any more
            gone = here.cancel()

    watching = asyncio.create_task(_disconnected(receive))
    watching.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if gone and here.cancelling() == cancelled_before + 1:
            raise ClientDisconnect from None
        raise
    finally:
        ended = True
        watching.cancel()
        if gone:
            here.uncancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
