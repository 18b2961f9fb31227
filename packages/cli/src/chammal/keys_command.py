"""`chammal keys new | check`."""

import argparse
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chammal_kit.keys import ApiKey, KeysBroken, KeyScope, new_key, read_keys

_DAYS = re.compile(r"([1-9][0-9]{0,4})d")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    keys = commands.add_parser("keys", help="make and check API keys")
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    text = "make a key: it is printed once, with the line to store"
    new = actions.add_parser("new", help=text, description=text)
    new.set_defaults(run=run, act=make)
    new.add_argument("--name", required=True, help="whose key it is; shown in logs")
    new.add_argument(
        "--scope", required=True, action="append", type=KeyScope, choices=list(KeyScope), help="may be given repeatedly"
    )
    new.add_argument("--expires", type=_moment, metavar="DATE|DAYS", help="2027-01-01, or 90d from now")
    new.add_argument("--per-minute", type=int, metavar="N", help="its own rate, instead of the api's")
    new.add_argument("--file", type=Path, help="add the line to this file, which is made if it is not there")
    text = "read a file of keys as the api would, and list what is in it"
    check = actions.add_parser("check", help=text, description=text)
    check.set_defaults(run=run, act=show)
    check.add_argument("file", type=Path)


def make(arguments: argparse.Namespace) -> int:
    """The key goes to stdout and all else to stderr, so that a script may keep it."""
    known = read_keys(_text(arguments.file)) if arguments.file else []
    if any(key.name == arguments.name for key in known):
        print(f"There is a key named {arguments.name!r} already.", file=sys.stderr)
        return 1
    try:
        key, stored = new_key(arguments.name, arguments.scope, arguments.expires, arguments.per_minute)
    except ValueError:
        print("A name has letters, digits, dots, hyphens and underlines; a rate is 1 or more.", file=sys.stderr)
        return 1
    if arguments.file:
        _add(arguments.file, stored)
        print(f"Added to {arguments.file}. The key, which is shown only now:", file=sys.stderr)
    else:
        print(f"Store this line in CHAMMAL_API_KEYS_FILE:\n{stored.line()}\n", file=sys.stderr)
        print("The key, which is shown only now:", file=sys.stderr)
    print(key)
    return 0


def show(arguments: argparse.Namespace) -> int:
    table = Table("name", "scopes", "expires", "per minute", box=None, pad_edge=False)
    for key in read_keys(arguments.file.read_text(encoding="utf-8")):
        expires = key.expires.isoformat() if key.expires else "never"
        table.add_row(key.name, ", ".join(sorted(key.scopes)), expires, str(key.per_minute or ""))
    Console(highlight=False).print(table)
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Says what is wrong in one line."""
    try:
        status: int = arguments.act(arguments)
    except (OSError, KeysBroken) as error:
        print(error, file=sys.stderr)
        return 1
    return status


def _moment(value: str) -> datetime:
    days = _DAYS.fullmatch(value)
    if days:
        return (datetime.now(UTC) + timedelta(days=int(days[1]))).replace(microsecond=0)
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _add(path: Path, key: ApiKey) -> None:
    """Whole, under the same name: a service never reads half of it. Others may not write it."""
    text = _text(path)
    gap = "" if not text or text.endswith("\n") else "\n"
    new = path.with_name(f".{path.name}.new")
    new.touch(mode=0o644)
    new.write_text(f"{text}{gap}{key.line()}\n", encoding="utf-8")
    new.replace(path)
