"""Arguments that several commands share."""

import argparse
import datetime as dt
from pathlib import Path

from chammal.calls.ledger import DEFAULT
from chammal_contracts.asr import Channels
from chammal_contracts.calls import CallMetadata, Priority
from chammal_contracts.checks import CallChannel, CustomerType, ProductType


def add_url(command: argparse.ArgumentParser) -> None:
    command.add_argument("--url", help="the api's address; default: the one `chammal up` uses here")


def add_sending(command: argparse.ArgumentParser) -> None:
    add_url(command)
    command.add_argument("recordings", nargs="+", metavar="FILE", help="a file, a folder, or a pattern such as '*.wav'")
    command.add_argument(
        "--state", type=Path, default=DEFAULT, help=f"where is kept what was sent (default: {DEFAULT})"
    )


def add_metadata(command: argparse.ArgumentParser) -> None:
    command.add_argument("--language", help="of the recordings, `auto` to detect it; default: the api's")
    command.add_argument("--channels", type=Channels, choices=list(Channels), help="`split`: each is one speaker's")
    command.add_argument("--hotwords", help="names to lean towards")
    command.add_argument(
        "--product-type",
        type=ProductType,
        choices=list(ProductType),
        help="with it the 불완전판매 check is made too",
    )
    command.add_argument("--channel", type=CallChannel, choices=list(CallChannel), help="how the customer was reached")
    command.add_argument("--customer-type", type=CustomerType, choices=list(CustomerType))
    command.add_argument("--started-at", type=dt.datetime.fromisoformat, help="2026-11-22T14:30:00+09:00")
    command.add_argument("--agent-id")
    command.add_argument("--rule-set", help="default: the api's")
    command.add_argument("--webhook-url", help="where to tell of every revision")
    command.add_argument("--priority", type=Priority, choices=list(Priority))


def metadata_of(arguments: argparse.Namespace) -> CallMetadata:
    told = {name: value for name, value in vars(arguments).items() if name in CallMetadata.model_fields}
    return CallMetadata.model_validate({name: value for name, value in told.items() if value is not None})


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"not a number from 1 on: {text!r}")
    return int(text)
