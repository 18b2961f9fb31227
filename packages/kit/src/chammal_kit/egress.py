"""Where this process may connect when somebody else wrote the address: a caller, or a document.

    egress = Egress(settings.agent_urls, settings.agent_networks)
    address = egress.admit(text)                                         # raises AddressError
    Upstream(name, address.origin, policy, transport=egress.transport(address, keep_alive=4))

The list says which addresses may be named. Where a name leads is checked when a connection is made, against the very
address that is connected to: a name that leads elsewhere at its second look-up gains nothing. Only public addresses may
be connected to, and the networks that the operator names. No redirect is followed; the answer's size is the policy's.
"""

import errno
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chammal_kit.address import Address, AddressError, IPAddress, read_address
from chammal_kit.http_transport import HttpTransport
from chammal_kit.logs import component_logger

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

log = component_logger("Egress")


def _networks(*texts: str) -> tuple[IPNetwork, ...]:
    return tuple(map(ipaddress.ip_network, texts))


_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = _networks(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/3",
    "2001::/23",  # Teredo, which hides an IPv4 address, among others
    "2001:db8::/32",
    "2002::/16",  # 6to4, likewise
    "3fff::/20",
)  # fmt: skip
"""IANA's special-purpose registries. Written out: what `ipaddress` calls global differs between versions of Python."""
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23",  # AWS and most
        "100.100.100.200", "168.63.129.16", "192.0.0.192",  # Alibaba, Azure, Oracle
    )
)  # fmt: skip
"""Where clouds give their machines credentials. One that is wanted must be named alone: 169.254.169.254/32."""


@dataclass(frozen=True)
class Rule:
    """One entry of a list: an address, whose host may begin with `*.` and whose path may end with `*`."""

    pattern: Address
    any_subdomain: bool
    any_rest: bool

    @classmethod
    def read(cls, text: str) -> "Rule":
        """Raises AddressError."""
        scheme, wild, rest = text.partition("://*.")
        pattern = read_address(f"{scheme}://{rest}" if wild else text)
        if wild and (pattern.ip is not None or "." not in pattern.host):
            raise AddressError(f"{text!r} would let in a whole top-level domain.")
        any_rest = pattern.target.endswith("*")
        pattern = Address(pattern.scheme, pattern.host, pattern.port, pattern.target.removesuffix("*"))
        return cls(pattern, bool(wild), any_rest)

    def admits(self, address: Address) -> bool:
        ours = self.pattern
        named = address.host.endswith(f".{ours.host}") if self.any_subdomain else address.host == ours.host
        told = address.target.startswith(ours.target) if self.any_rest else address.target == ours.target
        return named and told and (address.scheme, address.port) == (ours.scheme, ours.port)

    def __str__(self) -> str:
        """Without the path: short enough for the label of a metric."""
        return self.pattern.origin.replace("://", "://*.", 1) if self.any_subdomain else self.pattern.origin


class Egress:
    """What may be reached for one purpose."""

    def __init__(self, allowed: Iterable[str], networks: Iterable[IPNetwork] = ()) -> None:
        """Raises AddressError for an entry that is no address."""
        self._rules = tuple(Rule.read(text) for text in allowed)
        self._networks = tuple(networks)

    def admit(self, text: str) -> Address:
        """Raises AddressError."""
        address = read_address(text)
        self.rule(address)
        return address

    def rule(self, address: Address) -> Rule:
        """The one that lets it in. Raises AddressError."""
        for rule in self._rules:
            if rule.admits(address):
                return rule
        raise AddressError("The address is not on the list of allowed ones.")

    def transport(self, address: Address, *, keep_alive: float) -> HttpTransport:
        """Connects to what `address` leads to each time, or fails as if nobody listened there."""
        networks = self._networks
        if address.ip is not None:  # only an entry without `*.` admits one: the operator wrote this very number
            networks = (*networks, ipaddress.ip_network(address.ip))

        def open_socket(found: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
            family, kind, protocol, _, place = found
            if not may_connect(place[0], networks):
                log.warning("%s leads to %s, where this service may not connect", address.origin, place[0])
                raise PermissionError(errno.EACCES, "not an address that may be connected to")
            return socket.socket(family, kind, protocol)

        return HttpTransport(keep_alive=keep_alive, open_socket=open_socket)


def may_connect(place: str, networks: Iterable[IPNetwork] = ()) -> bool:
    """Whether an IP address is public, or in one of the networks."""
    ip = _inner(ipaddress.ip_address(place))
    chosen = [network for network in networks if ip in network]
    if ip in _METADATA:
        return any(network.num_addresses == 1 for network in chosen)
    if chosen:
        return True
    if ip.version == 6 and ip not in _PUBLIC_V6:
        return False
    return not any(ip in network for network in _NOT_PUBLIC)


def _inner(ip: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip
