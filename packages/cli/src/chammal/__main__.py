"""The `chammal` command."""

import argparse
import asyncio
import sys

from chammal import demo, demo_healing, keys_command, models_command, up
from chammal.calls import command as calls
from chammal.calls import transcribe
from chammal.drill import command as drill
from chammal_kit.models import ModelError

INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="chammal", description="A self-hosted speech mesh that says what it could not do."
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    up.add_parser(commands)
    demo.add_parser(commands)
    demo_healing.add_parser(commands)
    transcribe.add_parser(commands)
    calls.add_parser(commands)
    drill.add_parser(commands)
    models_command.add_parser(commands)
    keys_command.add_parser(commands)
    return root


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("Stopped. The same command goes on where this one stopped.", file=sys.stderr)
        return INTERRUPTED
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
