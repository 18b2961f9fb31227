"""Signatures as standardwebhooks.com has them: HMAC-SHA256 over id, timestamp and body."""

import base64
import binascii
import hashlib
import hmac

SECRET_PREFIX = "whsec_"  # noqa: S105
_SECRET_BYTES = range(24, 65)


class Signer:
    """With several secrets a body carries a signature of each, so that they can be changed without a gap."""

    def __init__(self, secrets: str) -> None:
        """`whsec_…`, several with spaces between them. Raises ValueError."""
        self._keys = [_key(secret) for secret in secrets.split()]
        if not self._keys:
            raise ValueError("there is no secret in it")

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        signed = f"{message_id}.{timestamp}.".encode() + body
        digests = (hmac.digest(key, signed, hashlib.sha256) for key in self._keys)
        return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _key(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError(f"a webhook secret begins with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"after {SECRET_PREFIX} a webhook secret is base64") from None
    if len(key) not in _SECRET_BYTES:
        raise ValueError("a webhook secret has 24 to 64 bytes")
    return key
