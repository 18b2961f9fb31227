"""What browsers are told to leave alone. Answers here are data: no page may run, frame or sniff them.

A route that answers a page sends its own Content-Security-Policy, which stays. Strict-Transport-Security is for
whoever ends TLS.
"""

CONTENT_SECURITY_POLICY = b"content-security-policy"
DEFAULTS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (CONTENT_SECURITY_POLICY, b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
)
SWAGGER_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; style-src https://cdn.jsdelivr.net; "
    "img-src data:; connect-src 'self'; frame-ancestors 'none'"
)
_NAMES = frozenset(name for name, _ in DEFAULTS)


def add_security_headers(headers: list[tuple[bytes, bytes]]) -> None:
    own = {name for name, _ in headers} & _NAMES
    headers.extend(DEFAULTS if not own else [pair for pair in DEFAULTS if pair[0] not in own])
