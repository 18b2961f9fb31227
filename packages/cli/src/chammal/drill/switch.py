"""Sets and clears faults at the fault proxy's control port."""

from collections.abc import Mapping
from typing import TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

from chammal.faults.fault import Fault

T = TypeVar("T")

_FAULTS = TypeAdapter(dict[str, Fault | None])
_COUNTERS = TypeAdapter(dict[str, dict[str, int]])


class SwitchError(Exception):
    """The fault proxy does not answer, or not as one."""


class Switch:
    def __init__(self, control: httpx2.AsyncClient) -> None:
        self._control = control

    async def routes(self) -> dict[str, Fault | None]:
        """What the proxy stands before, and the fault that is set there."""
        return _parsed(_FAULTS, await self._ask("GET", "/faults"))

    async def hits(self) -> int:
        """Requests that met a fault since the proxy started."""
        return sum(row.get("faulted", 0) for row in _parsed(_COUNTERS, await self._ask("GET", "/counters")).values())

    async def set(self, faults: Mapping[str, Fault], seconds: float) -> None:
        """They heal by themselves after `seconds`, whatever becomes of this process."""
        for name, fault in faults.items():
            body = fault.model_copy(update={"seconds_left": seconds}).model_dump(mode="json", exclude_none=True)
            await self._ask("PUT", f"/faults/{name}", body)

    async def clear(self, names: Mapping[str, Fault]) -> None:
        for name in names:
            await self._ask("DELETE", f"/faults/{name}")

    async def _ask(self, method: str, path: str, body: object = None) -> bytes:
        try:
            response = await self._control.request(method, path, json=body)
        except httpx2.TransportError as error:
            raise SwitchError(
                f"no fault proxy answers at {self._control.base_url} ({error or type(error).__name__})"
            ) from error
        if not response.is_success:
            raise SwitchError(
                f"the fault proxy at {self._control.base_url} answered {response.status_code}: {response.text[:200]}"
            )
        return response.content


def _parsed(adapter: TypeAdapter[T], content: bytes) -> T:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        raise SwitchError(f"what answers is no fault proxy: {error.errors()[0]['msg']}") from error
