"""Stops work for a client that has gone away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive


class ClientGone(Exception):
    """The client closed its connection; nobody reads an answer."""


@asynccontextmanager
async def while_client_listens(receive: Receive) -> AsyncIterator[None]:
    """Cancels what runs inside when the client disconnects, and raises ClientGone.

    The request's body must have been read before; what runs inside must be awaited by this very task.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if gone and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()
