"""The external agents that callers may name, each with connections and a breaker of its own."""

from chammal_api.clients.agent import AgentClient
from chammal_kit.address import Address
from chammal_kit.egress import Egress
from chammal_kit.upstream import Upstream, UpstreamPolicy

ANSWER_BYTES = 1 << 20
_KEEP_ALIVE_SECONDS = 4.0
_KEPT = 64
"""Hosts. An entry with `*.` lets callers name any number of them."""


class Agents:
    def __init__(self, egress: Egress, policy: UpstreamPolicy) -> None:
        self._egress = egress
        self._policy = policy.model_copy(update={"max_response_bytes": ANSWER_BYTES})
        self._clients: dict[str, AgentClient] = {}

    def admit(self, text: str) -> Address:
        """Raises AddressError."""
        return self._egress.admit(text)

    async def get(self, address: Address) -> AgentClient:
        """For an address that was admitted."""
        client = self._clients.pop(address.origin, None)
        if client is None:
            client = AgentClient(self._open(address))
        self._clients[address.origin] = client
        await self._make_room()
        return client

    async def aclose(self) -> None:
        while self._clients:
            _, client = self._clients.popitem()
            await client.upstream.aclose()

    def _open(self, address: Address) -> Upstream:
        """Named by the list's entry, of which there are few: names are labels of metrics."""
        name = f"agent {self._egress.rule(address)}"
        transport = self._egress.transport(address, keep_alive=_KEEP_ALIVE_SECONDS)
        return Upstream(name, address.origin, self._policy, transport=transport)

    async def _make_room(self) -> None:
        """The one that has not been named for longest goes first."""
        if len(self._clients) <= _KEPT:
            return
        idle = [origin for origin, client in self._clients.items() if client.upstream.bulkhead.in_flight == 0]
        if idle[:-1]:
            await self._clients.pop(idle[0]).upstream.aclose()
