"""Addresses that somebody else wrote, read in one way only: what two programs could take for two hosts is refused."""

import ipaddress
import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

import idna

MAX_CHARACTERS = 2048
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"http": 80, "https": 443}
_PARTS = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?")  # no zone: fe80::1%eth0 names an interface of ours
_NAMED = re.compile(r"([^:]+)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class AddressError(ValueError):
    """Its message may be shown to whoever wrote the address."""


@dataclass(frozen=True)
class Address:
    scheme: str
    host: str
    """In lower case and ASCII; an IPv6 address without its brackets."""
    port: int
    target: str
    """Path and query, as they were written."""

    @cached_property
    def ip(self) -> IPAddress | None:
        """Where the host is no name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    def __str__(self) -> str:
        return self.origin + self.target


def read_address(text: str) -> Address:
    """Raises AddressError."""
    if len(text) > MAX_CHARACTERS:
        raise AddressError(f"An address may have {MAX_CHARACTERS} characters at most.")
    if "\\" in text or any(not c.isprintable() or c.isspace() for c in text):
        raise AddressError("An address may have no spaces, control characters or backslashes.")
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise AddressError("An address begins with http:// or https://, and has no #fragment.")
    scheme, authority, target = parts[1].lower(), parts[2], parts[3] or "/"
    if "@" in authority:
        raise AddressError("An address may have no user name or password.")
    return Address(scheme, *_host_and_port(authority, scheme), _checked(target))


def _host_and_port(authority: str, scheme: str) -> tuple[str, int]:
    found = _BRACKETED.fullmatch(authority) or _NAMED.fullmatch(authority)
    if found is None:
        raise AddressError("An address names one host, and after a colon a port in digits.")
    port = int(found[2]) if found[2] else _PORTS[scheme]
    if not 0 < port < 65536:
        raise AddressError("A port is a number from 1 to 65535.")
    return (_ipv6(found[1]) if authority.startswith("[") else _name(found[1])), port


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise AddressError("What is in brackets is no IPv6 address.") from None


def _name(text: str) -> str:
    """Or an IPv4 address as four decimal numbers: 2130706433, 0x7f.1 and 0177.0.0.1 all are 127.0.0.1 to some."""
    try:
        name = text.lower() if text.isascii() else idna.encode(text, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        raise AddressError("The host is no valid international name.") from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError("The host is no valid name.")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise AddressError("An IPv4 address is four decimal numbers.") from None
    return name


def _checked(target: str) -> str:
    target = target if target.startswith("/") else f"/{target}"
    if not target.isascii():
        raise AddressError("Path and query are percent-encoded.")
    path = unquote(target.partition("?")[0])
    if any(segment in (".", "..") for segment in re.split(r"[/\\]", path)):
        raise AddressError("A path may have no . or .. in it.")
    return target
