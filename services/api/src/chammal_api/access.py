"""Who may enter which route of the api. A route that is not here keeps the service from starting."""

import ipaddress

from chammal_api.settings import ApiSettings
from chammal_kit.door import ANY_KEY, ANYONE, OPERATORS, Access, Door
from chammal_kit.keys import KeyRing, KeyScope
from chammal_kit.logs import component_logger
from chammal_kit.rate_limit import RateLimiter

log = component_logger("Door")

_CALLS: Access = frozenset({KeyScope.CALLS})
ACCESS: dict[str, Access] = {
    "/transcribe": frozenset({KeyScope.TRANSCRIBE}),
    "/v1/audio/transcriptions": frozenset({KeyScope.TRANSCRIBE}),
    "/v1/stream": frozenset({KeyScope.TRANSCRIBE}),
    "/v1/realtime": frozenset({KeyScope.CONVERSATION}),
    "/v1/audio/speech": frozenset({KeyScope.SPEECH}),
    "/v1/chat/completions": frozenset({KeyScope.CHAT}),
    "/v1/calls": _CALLS,
    "/v1/calls/events": _CALLS,
    "/v1/calls/{call_id}": _CALLS,
    "/v1/calls/{call_id}/events": _CALLS,
    "/v1/calls/{call_id}/transcript.{form}": _CALLS,
    "/v1/calls/{call_id}/audio": _CALLS,
    "/v1/calls/{call_id}/report": _CALLS,
    "/v1/calls/{call_id}/reanalyse": _CALLS,
    "/v1/checks": _CALLS,
    "/v1/rules": _CALLS,
    "/v1/models": ANY_KEY,
    "/v1/failures": OPERATORS,
    # The pages hold nothing of anybody: what they show they ask for, with the key that they are given.
    "/": ANYONE,
    "/calls/{call_id}": ANYONE,
    "/talk": ANYONE,
    "/assets/{version}/{name}": ANYONE,
}


def make_door(settings: ApiSettings) -> Door:
    """Raises KeysBroken."""
    lines = settings.keys.get_secret_value() if settings.keys is not None else ""
    keyed = settings.keys is not None or settings.keys_file is not None
    keys = KeyRing(lines, settings.keys_file) if keyed else None
    limited = keyed or settings.requests_per_minute > 0
    return Door(keys, RateLimiter(settings.requests_per_minute, settings.requests_burst) if limited else None)


def say_if_open(settings: ApiSettings, door: Door) -> None:
    """Whoever reaches a port without keys may use it."""
    host = settings.published_host or settings.host
    if door.keys is None and not _is_loopback(host):
        log.warning(
            "No API keys are set, and the port is open to others at %s: whoever reaches it may use it. "
            "Make a key with `chammal keys new` and set CHAMMAL_API_KEYS_FILE, or listen on 127.0.0.1.",
            host,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
