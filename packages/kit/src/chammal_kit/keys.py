"""API keys: who may call what. One line a key; of the key itself only its SHA-256 is kept.

    name=crm scopes=transcribe,chat expires=2027-01-01 per_minute=60 sha256=<64 hexadecimal digits>

A plain hash is right here. bcrypt or Argon2 slow down the guessing of what people choose; a key is 256 random bits,
which nobody guesses however fast the hash (NIST SP 800-63B, look-up secrets: an approved hash from 112 bits on).
SHA-256 takes under 1 µs, so nothing is cached, and no plain key outlives its request.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chammal_kit.logs import component_logger
from chammal_kit.metrics import KEYS, KEYS_BROKEN

log = component_logger("Keys")

PREFIX = "chm_"
"""So that scanners for secrets can tell what they found."""
_RANDOM_BYTES = 32
_SELECTOR_BYTES = 16
_MAX_FILE_BYTES = 1 << 20
_LOOK_SECONDS = 1.0


class KeyScope(StrEnum):
    TRANSCRIBE = "transcribe"
    SPEECH = "speech"
    CHAT = "chat"
    CONVERSATION = "conversation"
    """Live speech, what answers it, and the spoken answer."""
    CALLS = "calls"
    """Recorded calls: sending, reading, deleting; checks and rule sets."""
    OPERATIONS = "operations"
    """Failures, metrics and the details of readiness."""
    ADMIN = "admin"
    """Everything."""


class KeysBroken(ValueError):
    """The text names the line and the field, never their content: it might be a key."""


def _moment(value: object) -> object:
    """A day ends a key as it begins, in UTC."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) and moment.tzinfo is None else moment


def _listed(value: object) -> object:
    return frozenset(value.split(",")) if isinstance(value, str) else value


class ApiKey(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """Whose it is; it is logged."""
    scopes: Annotated[frozenset[KeyScope], BeforeValidator(_listed)] = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    expires: Annotated[datetime | None, BeforeValidator(_moment)] = None
    per_minute: int | None = Field(default=None, ge=1)
    """Requests, instead of what the service is set to."""

    def may(self, needed: frozenset[KeyScope]) -> bool:
        return KeyScope.ADMIN in self.scopes or not needed.isdisjoint(self.scopes)

    def line(self) -> str:
        fields = {
            "name": self.name,
            "scopes": ",".join(sorted(self.scopes)),
            "expires": self.expires.isoformat() if self.expires else None,
            "per_minute": self.per_minute,
            "sha256": self.sha256,
        }
        return " ".join(f"{name}={value}" for name, value in fields.items() if value is not None)


def new_key(
    name: str, scopes: Iterable[KeyScope], expires: datetime | None = None, per_minute: int | None = None
) -> tuple[str, ApiKey]:
    """The key, which is nowhere else, and what is to be stored of it."""
    key = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    return key, stored(key, name, scopes, expires, per_minute)


def stored(
    key: str, name: str, scopes: Iterable[KeyScope], expires: datetime | None = None, per_minute: int | None = None
) -> ApiKey:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return ApiKey(name=name, scopes=frozenset(scopes), sha256=digest, expires=expires, per_minute=per_minute)


def read_keys(text: str) -> list[ApiKey]:
    """Lines, or parts of a line separated by `;`. What follows a `#` is a comment. Raises KeysBroken."""
    keys: list[ApiKey] = []
    for number, line in enumerate(text.replace(";", "\n").splitlines(), 1):
        fields = line.partition("#")[0].split()
        if fields:
            keys.append(_read_line(number, fields))
    _refuse_twins(keys)
    return keys


def _refuse_twins(keys: list[ApiKey]) -> None:
    for what, seen in (("name", [key.name for key in keys]), ("sha256", [key.sha256 for key in keys])):
        if len(set(seen)) < len(seen):
            raise KeysBroken(f"two keys have the same {what}")


def _read_line(number: int, fields: list[str]) -> ApiKey:
    pairs = [field.partition("=")[::2] for field in fields]
    if len(dict(pairs)) < len(pairs):
        raise KeysBroken(f"line {number}: a field is there twice")
    try:
        return ApiKey.model_validate(dict(pairs))
    except ValidationError as error:
        wrong = {str(e["loc"][0]) for e in error.errors() if e["type"] != "extra_forbidden"} or {"a field"}
        raise KeysBroken(f"line {number}: {', '.join(sorted(wrong))} cannot be read or is not known") from None


class KeyRing:
    """All keys: those of the settings, and those of a file, which is read anew when it has changed.

    A file that cannot be read takes nothing away: the keys before it go on, and the log, `chammal_keys_file_broken` and
    `problem` say so. Raises KeysBroken when there are none before it.
    """

    def __init__(
        self,
        lines: str = "",
        path: Path | None = None,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = read_keys(lines)
        self._path = path
        self._now = now
        self._clock = clock
        self._look_at = clock() + _LOOK_SECONDS
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[bytes, ApiKey] = {}
        self.problem: str | None = None
        self._set(self._own if path is None else self._read(path))

    def find(self, secret: bytes) -> ApiKey | None:
        """A key that has expired is found, too.

        Half of the digest selects, all of it is compared in constant time: timing tells a caller nothing of use.
        """
        self.refresh()
        digest = hashlib.sha256(secret).digest()
        key = self._keys.get(digest[:_SELECTOR_BYTES])
        if key is None or not hmac.compare_digest(bytes.fromhex(key.sha256), digest):
            return None
        return key

    def expired(self, key: ApiKey) -> bool:
        return key.expires is not None and key.expires.timestamp() <= self._now()

    def refresh(self) -> None:
        """Looks at the file, once a second."""
        if self._path is not None and self._clock() >= self._look_at:
            self._look(self._path)

    def _look(self, path: Path) -> None:
        self._look_at = self._clock() + _LOOK_SECONDS
        try:
            if self.problem is None and _mark(path) == self._seen:
                return
            keys = self._read(path)
        except KeysBroken as broken:
            if self.problem != str(broken):
                log.error("The keys from before stay valid. %s", broken)
            self.problem = str(broken)
            KEYS_BROKEN.set(1)
            return
        log.info("API keys were read anew; there are %d: %s", len(keys), ", ".join(key.name for key in keys))
        self.problem = None
        self._set(keys)

    def _read(self, path: Path) -> list[ApiKey]:
        mark = _mark(path)
        try:
            with path.open("rb") as file:
                text = file.read(_MAX_FILE_BYTES + 1)
            if len(text) > _MAX_FILE_BYTES:
                raise KeysBroken(f"larger than {_MAX_FILE_BYTES:,} bytes")
            keys = self._own + read_keys(text.decode())
            _refuse_twins(keys)
        except OSError as error:
            raise _unreadable(path, error) from error
        except ValueError as error:
            cause = error if isinstance(error, KeysBroken) else "not UTF-8"
            raise KeysBroken(f"The file of keys {path} is broken: {cause}.") from error
        self._seen = mark
        return keys

    def _set(self, keys: list[ApiKey]) -> None:
        self._keys = {bytes.fromhex(key.sha256)[:_SELECTOR_BYTES]: key for key in keys}
        KEYS.set(len(keys))
        KEYS_BROKEN.set(0)


def _mark(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _unreadable(path: Path, error: OSError) -> KeysBroken:
    return KeysBroken(f"The file of keys {path} cannot be read: {error.strerror}.")
