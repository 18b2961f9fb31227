"""Who may enter which route: the key and its scopes, then the rate.

It stands behind the router, before the route that was matched, so that no other reading of the path decides
(CVE-2026-48710). A route that nobody gave an access to keeps the service from starting.
"""

import copy
import ipaddress
from collections.abc import Mapping, Sequence

from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chammal_contracts.errors import ErrorCode
from chammal_kit.keys import ApiKey, KeyRing, KeyScope
from chammal_kit.logs import component_logger
from chammal_kit.metrics import REFUSED
from chammal_kit.problems import Problem
from chammal_kit.rate_limit import RateLimiter, Taken

log = component_logger("Door")

Access = frozenset[KeyScope] | None
"""Any one of these scopes is needed; None: nothing is."""
ANYONE: Access = None
ANY_KEY: Access = frozenset(KeyScope)
OPERATORS: Access = frozenset({KeyScope.OPERATIONS})

INSIDE = "chammal.inside"
"""Set in the scope of what came in by the operators' own port."""
CALLER = "chammal.caller"
"""In the scope, the name of the key that came; not there where no keys are asked for."""
SUBPROTOCOL = "chammal.live"
KEY_SUBPROTOCOLS = ("chammal.key.", "openai-insecure-api-key.")
"""Browsers cannot set headers of a WebSocket: the key follows in the list of subprotocols that they offer."""

_BEARER = b"bearer "
_MAX_KEY_BYTES = 256


class Door:
    def __init__(self, keys: KeyRing | None = None, limiter: RateLimiter | None = None) -> None:
        """Without keys it stands open, and rates are counted by address."""
        self.keys = keys
        self._limiter = limiter

    def enter(self, scope: Scope, access: Access) -> Taken | None:
        """Raises Problem: 401, 403 or 429."""
        if access is None or INSIDE in scope:
            return None
        if self.keys is None and self._limiter is None:
            return None
        if self.keys is None:
            return self._within_rate(_address(scope), None)
        key = self._known(scope, self.keys)
        scope[CALLER] = key.name
        taken = self._within_rate(f"key {key.name}", key.per_minute)
        if not key.may(access):
            raise _refusal(
                403,
                ErrorCode.SCOPE_MISSING,
                f"The key {key.name!r} has not the scope for this: {' or '.join(sorted(access))}.",
                'Bearer error="insufficient_scope"',
            )
        return taken

    def may(self, scope: Scope, access: Access) -> bool:
        """For an answer that tells more to those who may know more."""
        if access is None or self.keys is None or INSIDE in scope:
            return True
        secret = _secret(scope)
        key = self.keys.find(secret) if secret else None
        return key is not None and not self.keys.expired(key) and key.may(access)

    def _known(self, scope: Scope, keys: KeyRing) -> ApiKey:
        secret = _secret(scope)
        key = keys.find(secret) if secret else None
        if key is not None and not keys.expired(key):
            return key
        self._within_rate(_address(scope), None)
        if secret is None:
            detail = "Send a key: `Authorization: Bearer …` or `X-API-Key: …`. An operator makes one: chammal keys new."
            raise _refusal(401, ErrorCode.KEY_MISSING, detail, "Bearer")
        detail = f"The key {key.name!r} has expired." if key else "The key is not known here."
        raise _refusal(401, ErrorCode.KEY_INVALID, detail, 'Bearer error="invalid_token"')

    def _within_rate(self, caller: str, per_minute: int | None) -> Taken | None:
        taken = self._limiter.take(caller, per_minute) if self._limiter is not None else None
        if taken is None or taken.granted:
            return taken
        REFUSED.labels(ErrorCode.RATE_LIMITED).inc()
        detail = f"More than {taken.per_minute} requests a minute. Try again in {taken.retry_after:.1f} s."
        raise Problem(429, ErrorCode.RATE_LIMITED, detail, headers=taken.headers())


def _refusal(status: int, code: ErrorCode, detail: str, challenge: str) -> Problem:
    REFUSED.labels(code).inc()
    return Problem(status, code, detail, headers={"WWW-Authenticate": challenge})


def _secret(scope: Scope) -> bytes | None:
    """Never from the query string, which ends up in logs and histories."""
    found = None
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == _BEARER:
            found = value[7:].strip()
        elif name == b"x-api-key":
            found = value.strip()
    if found is None and scope["type"] == "websocket":
        for offered in scope.get("subprotocols", ()):
            for prefix in KEY_SUBPROTOCOLS:
                if offered.startswith(prefix):
                    found = offered.removeprefix(prefix).encode()
    return found[:_MAX_KEY_BYTES] if found else None


def _address(scope: Scope) -> str:
    """Of IPv6 the network of /64, which is one caller's."""
    client = scope.get("client")
    host = client[0] if client else "unknown"
    if ":" not in host:
        return f"address {host}"
    try:
        network = ipaddress.ip_network((host.partition("%")[0], 64), strict=False)
    except ValueError:
        return f"address {host}"
    return f"address {network}"


class Guard:
    """The door of one route."""

    def __init__(self, app: ASGIApp, door: Door, access: Access) -> None:
        self.app = app
        self.door = door
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            taken = self.door.enter(scope, self.access)
        except Problem as problem:
            if scope["type"] == "http":
                raise
            log.warning("WebSocket %s: %d %s: %s", scope["path"], problem.status, problem.code, problem.detail)
            await problem.response()(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self.app(scope, receive, _naming_subprotocol(scope, send))
        elif taken is None:
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, _telling(taken, send))


def _telling(taken: Taken, send: Send) -> Send:
    async def send_with_rate(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(taken.headers())
        await send(message)

    return send_with_rate


def _naming_subprotocol(scope: Scope, send: Send) -> Send:
    """A browser that offers subprotocols gives up unless one of them is chosen, and the key must not come back."""

    async def send_with_subprotocol(message: Message) -> None:
        if message["type"] == "websocket.accept" and SUBPROTOCOL in scope.get("subprotocols", ()):
            message.setdefault("subprotocol", None)
            message["subprotocol"] = message["subprotocol"] or SUBPROTOCOL
        await send(message)

    return send_with_subprotocol


def guarded(routes: Sequence[BaseRoute], door: Door, access: Mapping[str, Access]) -> list[BaseRoute]:
    """The same routes, each behind the door. Raises LookupError where nobody said who may enter."""
    strangers = sorted({path_of(route) for route in routes} - set(access))
    if strangers:
        raise LookupError(f"Nobody said who may enter {', '.join(strangers)}.")
    return [_guarded(route, door, access[path_of(route)]) for route in routes]


def _guarded(route: BaseRoute, door: Door, access: Access) -> BaseRoute:
    behind = copy.copy(route)  # routers are made once and serve several apps
    behind.app = Guard(route.app, door, access)  # type: ignore[attr-defined]
    return behind


def path_of(route: BaseRoute) -> str:
    return str(getattr(route, "path", route))
