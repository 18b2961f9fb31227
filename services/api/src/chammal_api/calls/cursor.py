"""Where a page of a list ends: opaque, of one query, and refused when it was changed."""

import base64
import hashlib
import struct

from chammal_api.calls.records import CallQuery

_CHECK = 8


def write_cursor(query: CallQuery, seq: int) -> str:
    place = struct.pack(">Q", seq)
    return base64.urlsafe_b64encode(place + _check(query, place)).decode().rstrip("=")


def read_cursor(query: CallQuery, cursor: str) -> int:
    """Raises ValueError for one that no page of this query gave."""
    if len(cursor) != 22 or not cursor.isascii():
        raise ValueError("not a cursor")
    raw = base64.b64decode(cursor + "==", altchars=b"-_", validate=True)
    place = raw[:8]
    if raw[8:] != _check(query, place) or write_cursor(query, struct.unpack(">Q", place)[0]) != cursor:
        raise ValueError("not a cursor of this list")
    return int(struct.unpack(">Q", place)[0])


def _check(query: CallQuery, place: bytes) -> bytes:
    """Against mistakes, not against an attacker: a cursor opens nothing that its sender may not read."""
    return hashlib.blake2b(place + repr(query).encode(errors="surrogatepass"), digest_size=_CHECK).digest()
