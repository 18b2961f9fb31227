from datetime import UTC, datetime
from pathlib import Path

import pytest

from chammal.__main__ import main
from chammal_kit.keys import KeyRing, KeyScope, read_keys


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["keys", "new", *arguments])
    out, err = capsys.readouterr()
    return status, out.strip(), err


def test_the_key_is_printed_alone_and_the_line_beside_it_knows_it(capsys: pytest.CaptureFixture[str]) -> None:
    status, key, told = made(capsys, "--name", "crm", "--scope", "chat", "--scope", "speech", "--per-minute", "60")
    assert status == 0
    assert key not in told
    [line] = [line for line in told.splitlines() if line.startswith("name=")]
    found = KeyRing(line).find(key.encode())
    assert found is not None
    assert (found.name, found.scopes, found.per_minute) == ("crm", {KeyScope.CHAT, KeyScope.SPEECH}, 60)


def test_a_key_may_end_after_days_or_on_a_date(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "keys"
    made(capsys, "--name", "a", "--scope", "chat", "--expires", "90d", "--file", str(path))
    made(capsys, "--name", "b", "--scope", "chat", "--expires", "2031-02-03", "--file", str(path))
    soon, later = read_keys(path.read_text(encoding="utf-8"))
    assert soon.expires is not None
    assert 89 <= (soon.expires - datetime.now(UTC)).days <= 90
    assert later.expires == datetime(2031, 2, 3, tzinfo=UTC)


def test_lines_are_added_to_a_file_and_what_is_in_it_stays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# ours", encoding="utf-8")
    for name in ("a", "b"):
        assert made(capsys, "--name", name, "--scope", "chat", "--file", str(path))[0] == 0
    assert path.read_text(encoding="utf-8").startswith("# ours\nname=a ")
    assert [key.name for key in read_keys(path.read_text(encoding="utf-8"))] == ["a", "b"]
    assert not path.stat().st_mode & 0o022
    assert list(tmp_path.iterdir()) == [path]
    assert main(["keys", "check", str(path)]) == 0
    assert "never" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--name", "a", "--scope", "everything"],
        ["--name", "a"],
        ["--scope", "chat"],
        ["--name", "a", "--scope", "chat", "--expires", "soon"],
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["keys", "new", *arguments])


@pytest.mark.parametrize(("name", "rate"), [("a b", "1"), ("a", "0"), ("", "1")])
def test_what_a_line_could_not_hold_is_refused(capsys: pytest.CaptureFixture[str], name: str, rate: str) -> None:
    assert made(capsys, "--name", name, "--scope", "chat", "--per-minute", rate)[:2] == (1, "")


def test_a_name_is_given_once_and_a_broken_file_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "keys"
    made(capsys, "--name", "a", "--scope", "chat", "--file", str(path))
    assert made(capsys, "--name", "a", "--scope", "chat", "--file", str(path))[:2] == (1, "")
    path.write_text("nonsense", encoding="utf-8")
    status, key, told = made(capsys, "--name", "b", "--scope", "chat", "--file", str(path))
    assert (status, key) == (1, "")
    assert "line 1" in told
    assert main(["keys", "check", str(path)]) == 1
    assert main(["keys", "check", str(tmp_path / "none")]) == 1
