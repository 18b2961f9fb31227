import hashlib
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.registry import REGISTRY

from chammal_kit.keys import ApiKey, KeyRing, KeysBroken, KeyScope, new_key, read_keys

CHAT = frozenset({KeyScope.CHAT})


class Clock:
    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


def line(name: str = "crm", *, scopes: str = "chat") -> tuple[str, str]:
    key, stored = new_key(name, [KeyScope(scope) for scope in scopes.split(",")])
    return key, stored.line()


def broken() -> float:
    return REGISTRY.get_sample_value("chammal_keys_file_broken") or 0.0


def replace(path: Path, text: str) -> None:
    """As an operator should: whole, and under the same name."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def test_a_new_key_is_random_and_only_its_hash_is_stored() -> None:
    key, stored = new_key("crm", [KeyScope.CHAT])
    assert key != new_key("crm", [KeyScope.CHAT])[0]
    assert len(key) == len("chm_") + 43
    assert key not in stored.line()
    assert stored.sha256 == hashlib.sha256(key.encode()).hexdigest()


def test_the_stored_line_reads_back_as_the_same_key() -> None:
    _, stored = new_key("crm", [KeyScope.CHAT, KeyScope.SPEECH], datetime(2027, 1, 1, tzinfo=UTC), per_minute=60)
    assert read_keys(stored.line()) == [stored]


def test_a_key_is_found_and_another_is_not() -> None:
    key, text = line()
    ring = KeyRing(text)
    found = ring.find(key.encode())
    assert found is not None
    assert found.name == "crm"
    assert ring.find(key[:-1].encode()) is None
    assert ring.find(b"") is None
    assert ring.find(b"\xff" * 5000) is None


def test_a_digest_that_agrees_in_its_first_half_alone_is_not_enough() -> None:
    key, stored = new_key("crm", [KeyScope.CHAT])
    forged = stored.model_copy(update={"sha256": stored.sha256[:32] + "0" * 32})
    assert KeyRing(forged.line()).find(key.encode()) is None


@pytest.mark.parametrize(("scopes", "may"), [("chat", True), ("speech", False), ("speech,chat", True), ("admin", True)])
def test_a_key_may_what_its_scopes_say_and_admin_may_everything(scopes: str, may: bool) -> None:
    [key] = read_keys(line(scopes=scopes)[1])
    assert key.may(CHAT) is may


@pytest.mark.parametrize(
    ("expires", "expired"), [("1970-01-02", False), ("1970-01-01", True), ("1970-01-01T00:10:00+00:00", True)]
)
def test_a_key_ends_with_the_beginning_of_its_day_in_utc(expires: str, expired: bool) -> None:
    key, text = line()
    ring = KeyRing(f"{text} expires={expires}", now=lambda: 1_000.0)
    found = ring.find(key.encode())
    assert found is not None
    assert ring.expired(found) is expired


def test_keys_may_stand_in_one_line_with_comments_between_them() -> None:
    first, second = line("a")[1], line("b")[1]
    assert [key.name for key in read_keys(f"# mine\n{first} # until autumn;{second}")] == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "chm_the-plain-key-itself",
        "name=crm scopes=chat",
        "name=crm scopes= sha256=" + "0" * 64,
        "name=crm scopes=everything sha256=" + "0" * 64,
        "name=crm scopes=chat sha256=abc",
        "name=c/r/m scopes=chat sha256=" + "0" * 64,
        "name=crm scopes=chat expire=2020-01-01 sha256=" + "0" * 64,
        "name=crm scopes=chat expires=soon sha256=" + "0" * 64,
        "name=crm scopes=chat scopes=admin sha256=" + "0" * 64,
        "name=crm scopes=chat per_minute=0 sha256=" + "0" * 64,
        "name=a scopes=chat sha256=" + "0" * 64 + ";name=b scopes=chat sha256=" + "0" * 64,
        "name=a scopes=chat sha256=" + "0" * 64 + ";name=a scopes=chat sha256=" + "1" * 64,
    ],
)
def test_what_cannot_be_read_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(KeysBroken) as refusal:
        read_keys(text)
    assert "plain" not in str(refusal.value)
    assert "0000" not in str(refusal.value)


def test_a_file_is_read_anew_when_it_has_changed(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "keys"
    old, old_line = line("old")
    new, new_line = line("new")
    path.write_text(old_line, encoding="utf-8")
    ring = KeyRing(path=path, clock=clock)
    replace(path, f"{old_line}\n{new_line}\n")
    assert ring.find(new.encode()) is None
    clock.time += 1.5
    assert ring.find(new.encode()) is not None
    assert ring.find(old.encode()) is not None
    replace(path, new_line)
    clock.time += 1.5
    assert ring.find(old.encode()) is None


@pytest.mark.parametrize("damage", ["broken", "deleted", "huge", "binary", "folder"])
def test_a_broken_file_takes_no_key_away_and_says_so_until_it_is_repaired(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    clock, path = Clock(), tmp_path / "keys"
    key, text = line()
    path.write_text(text, encoding="utf-8")
    ring = KeyRing(path=path, clock=clock)
    if damage == "broken":
        replace(path, text[:-9])
    elif damage == "huge":
        replace(path, "#" * (2 << 20))
    elif damage == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    else:
        path.unlink()
        if damage == "folder":
            path.mkdir()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            clock.time += 1.5
            assert ring.find(key.encode()) is not None
    assert ring.problem is not None
    assert broken() == 1.0
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1
    if damage == "folder":
        path.rmdir()
    replace(path, text)
    clock.time += 1.5
    assert ring.find(key.encode()) is not None
    assert ring.problem is None
    assert broken() == 0.0


def test_a_file_that_is_missing_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeysBroken, match="cannot be read"):
        KeyRing(path=tmp_path / "none")


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.touch()
    assert KeyRing(path=path).find(line()[0].encode()) is None


def test_keys_of_the_settings_and_of_the_file_go_together(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    own, own_line = line("own")
    filed, filed_line = line("filed")
    path.write_text(filed_line, encoding="utf-8")
    ring = KeyRing(own_line, path)
    assert ring.find(own.encode()) is not None
    assert ring.find(filed.encode()) is not None
    path.write_text(own_line, encoding="utf-8")
    with pytest.raises(KeysBroken, match="same name"):
        KeyRing(own_line, path)


def test_a_stored_key_does_not_show_in_a_representation_of_another() -> None:
    key, stored = new_key("crm", [KeyScope.CHAT])
    assert key not in repr(stored)
    assert isinstance(stored, ApiKey)
