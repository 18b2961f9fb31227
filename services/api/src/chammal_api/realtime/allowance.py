"""How much a client may send: a bucket that fills at `per_second` and holds `burst`."""

import asyncio


class Allowance:
    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = self._left = burst
        self._at = asyncio.get_running_loop().time()

    async def take(self, count: int) -> None:
        """Waits until it is covered. The client's connection fills up meanwhile, and nothing of it is lost."""
        now = asyncio.get_running_loop().time()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second) - count
        self._at = now
        if self._left < 0:
            await asyncio.sleep(-self._left / self._per_second)
