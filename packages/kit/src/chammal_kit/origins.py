"""Which web pages may call: what a browser says of itself is checked before any route is.

A page elsewhere can send a browser's simple requests to 127.0.0.1 without asking (a form, an upload, a WebSocket), and
a name of its own can be made to point there (DNS rebinding), after which it may read the answers, too. So:

- Requests that change something, and WebSockets, come from the same origin, from an origin on the list, or from no
  browser: by `Sec-Fetch-Site` where it is sent, else by `Origin` (the rules of Go's net/http CrossOriginProtection).
- Without keys, the `Host` must be one that nobody can register: an IP address, a name without a dot, *.localhost or
  *.internal; or one on the list. With keys a foreign page has none to send, and any name will do.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from chammal_contracts.errors import ErrorCode
from chammal_kit.logs import component_logger
from chammal_kit.metrics import REFUSED
from chammal_kit.problems import Problem

log = component_logger("Door")

ANY = "*"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/?#@\\\s]+)(?::[0-9]{1,5})?", re.IGNORECASE)
_IPV4 = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
_NOBODYS = (".localhost", ".internal")
_REMEMBERED = 512


class Origins:
    def __init__(self, app: ASGIApp, origins: Sequence[str] = (), hosts: Sequence[str] = (ANY,)) -> None:
        self.app = app
        self._any_origin = ANY in origins
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._any_host = ANY in hosts
        self._hosts = tuple(host.lower() for host in hosts)
        self._host_allowed = lru_cache(_REMEMBERED)(self._is_host_allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._refusal(scope) if scope["type"] != "lifespan" else None
        if problem is None:
            await self.app(scope, receive, send)
            return
        REFUSED.labels(problem.code).inc()
        log.warning("%s: %d %s: %s", scope["path"], problem.status, problem.code, problem.detail)
        await problem.response()(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        host = origin = site = None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
        if not self._any_host and host is not None and not self._host_allowed(host):
            return _no_host(host)
        if origin is None and site is None:
            return None
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return None
        return None if self._welcome(host, origin, site) else _no_origin(origin)

    def _welcome(self, host: bytes | None, origin: bytes | None, site: bytes | None) -> bool:
        if self._any_origin or (origin is not None and origin.decode("latin-1").lower() in self._origins):
            return True
        if site is not None:
            return site in (b"same-origin", b"none")
        return origin is None or _same(origin, host)

    def _is_host_allowed(self, host: bytes) -> bool:
        parts = _HOST.fullmatch(host.decode("latin-1"))
        if parts is None:
            return False
        name = parts[1].lower().rstrip(".")
        if name.startswith("[") or "." not in name or _IPV4.fullmatch(name) or name.endswith(_NOBODYS):
            return True
        return any(
            name == allowed or (allowed.startswith("*.") and name.endswith(allowed[1:])) for allowed in self._hosts
        )


def _same(origin: bytes, host: bytes | None) -> bool:
    """A proxy that ends TLS hides the scheme, so host and port are compared. `null` is nobody's."""
    try:
        return host is not None and urlsplit(origin.decode("latin-1")).netloc.lower() == host.decode("latin-1").lower()
    except ValueError:
        return False


def _no_host(host: bytes) -> Problem:
    detail = f"The service does not answer to the name {_shown(host)}. An operator adds it to CHAMMAL_HOSTS."
    return Problem(421, ErrorCode.HOST_NOT_ALLOWED, detail)


def _no_origin(origin: bytes | None) -> Problem:
    whose = f" of {_shown(origin)}" if origin else ""
    detail = f"Pages{whose} may not call this service. An operator adds the origin to CHAMMAL_ORIGINS."
    return Problem(403, ErrorCode.ORIGIN_NOT_ALLOWED, detail)


def _shown(value: bytes) -> str:
    return repr(value[:100].decode("latin-1"))
