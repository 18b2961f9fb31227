"""Upstreams at addresses that callers name, from a configured list: each with connections and a breaker of its own."""

from collections.abc import Iterable

from chammal_kit.address import Address
from chammal_kit.egress import Egress, IPNetwork
from chammal_kit.upstream import Upstream, UpstreamPolicy

_KEEP_ALIVE_SECONDS = 4.0
_KEPT = 64
"""Hosts. An entry with `*.` lets callers name any number of them."""


class AllowedUpstreams:
    def __init__(
        self, kind: str, allowed: Iterable[str], networks: Iterable[IPNetwork], policy: UpstreamPolicy
    ) -> None:
        """`kind` and the list's entry name an upstream. Raises AddressError for an entry that is no address."""
        self._kind = kind
        self._egress = Egress(allowed, networks)
        self._policy = policy
        self._open: dict[str, Upstream] = {}

    def admit(self, text: str) -> Address:
        """Raises AddressError."""
        return self._egress.admit(text)

    async def get(self, address: Address) -> Upstream:
        """For an address that was admitted."""
        upstream = self._open.pop(address.origin, None) or self._connect(address)
        self._open[address.origin] = upstream
        await self._make_room()
        return upstream

    async def aclose(self) -> None:
        while self._open:
            _, upstream = self._open.popitem()
            await upstream.aclose()

    def _connect(self, address: Address) -> Upstream:
        """Named by the list's entry, of which there are few: names are labels of metrics."""
        name = f"{self._kind} {self._egress.rule(address)}"
        transport = self._egress.transport(address, keep_alive=_KEEP_ALIVE_SECONDS)
        return Upstream(name, address.origin, self._policy, transport=transport)

    async def _make_room(self) -> None:
        """The one that has not been named for longest goes first."""
        if len(self._open) <= _KEPT:
            return
        idle = [origin for origin, upstream in self._open.items() if upstream.bulkhead.in_flight == 0]
        if idle[:-1]:
            await self._open.pop(idle[0]).aclose()
