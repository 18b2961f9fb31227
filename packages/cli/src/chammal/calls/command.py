"""`chammal calls`: the calls that an api keeps."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from rich.console import Console

from chammal.calls.arguments import add_metadata, add_sending, add_url, metadata_of, positive
from chammal.calls.batch import Batch, Sent, has_ended
from chammal.calls.client import ApiError, CallsClient, Unreachable, connected
from chammal.calls.ledger import Ledger
from chammal.calls.recordings import NothingFound, find_recordings
from chammal.calls.table import list_table, sent_table, shown
from chammal.progress import ConsoleReporter
from chammal_contracts.calls import Call, CallEvent, CallRow, CallStatus
from chammal_contracts.checks import ProductType, Verdict

FAILED, OUT_OF_REACH = 1, 2
PAGE = 200
_WIDTH = 110

Command = Callable[[CallsClient, argparse.Namespace], Awaitable[int]]


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "list, show, send, watch and delete the recorded calls of an api that runs"
    group = commands.add_parser("calls", help=text, description=text)
    actions = group.add_subparsers(required=True, metavar="ACTION")
    _add_list(actions)
    show = _add(actions, "show", "all that is known of a call", _show)
    show.add_argument("call")
    show.add_argument("--format", choices=["table", "json", "txt", "srt", "vtt"], default="table")
    send = actions.add_parser("send", help="send recordings; their ids are printed")
    add_sending(send)
    add_metadata(send)
    send.add_argument("--wait", action="store_true", help="until all have ended, and print a table")
    send.add_argument("--jobs", type=positive, default=4, help="recordings at once (default: 4)")
    send.set_defaults(run=run, command=_send)
    watch = _add(actions, "watch", "what happens to a call until it has ended, or to all calls", _watch)
    watch.add_argument("call", nargs="?")
    delete = _add(actions, "delete", "delete calls with their recordings, for good", _delete)
    delete.add_argument("call", nargs="+")


def _add(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str, command: Command
) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=text, description=text)
    add_url(action)
    action.set_defaults(run=run, command=command)
    return action


def _add_list(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    action = _add(actions, "list", "newest first", _list)
    action.add_argument("--status", type=CallStatus, choices=list(CallStatus))
    action.add_argument("--verdict", type=Verdict, choices=list(Verdict))
    action.add_argument("--element", help="id, such as SOL-01")
    action.add_argument("--product-type", type=ProductType, choices=list(ProductType))
    action.add_argument("--agent-id")
    action.add_argument("--reference")
    action.add_argument("--needs-human", action="store_const", const="true")
    action.add_argument("--from", help="2026-11-22, or with an hour")
    action.add_argument("--to")
    action.add_argument("--q", help="words of the transcript")
    action.add_argument("--limit", type=positive, default=50, help="(default: 50)")
    action.add_argument("--json", action="store_true", help="a line of JSON for each")


_FILTERS = ("status", "verdict", "element", "product_type", "agent_id", "reference", "needs_human", "from", "to", "q")


def run(arguments: argparse.Namespace) -> int:
    try:
        return asyncio.run(_run(arguments))
    except ApiError as error:
        print(error, file=sys.stderr)
        return FAILED
    except (Unreachable, NothingFound) as error:
        print(error, file=sys.stderr)
        return OUT_OF_REACH


async def _run(arguments: argparse.Namespace) -> int:
    async with connected(arguments.url) as client:
        command: Command = arguments.command
        return await command(client, arguments)


async def _list(client: CallsClient, arguments: argparse.Namespace) -> int:
    query = {name: value for name in _FILTERS if (value := getattr(arguments, name)) is not None}
    rows: list[CallRow] = []
    cursor: str | None = None
    while len(rows) < arguments.limit:
        asked = {**query, "limit": str(min(PAGE, arguments.limit - len(rows)))}
        page = await client.page(asked if cursor is None else {**asked, "cursor": cursor})
        rows += page.calls
        cursor = page.next
        if cursor is None:
            break
    if arguments.json:
        for row in rows:
            print(row.model_dump_json())
    else:
        _console().print(list_table(rows))
    return 0


async def _show(client: CallsClient, arguments: argparse.Namespace) -> int:
    if arguments.format == "table":
        _console().print(shown(await client.get(arguments.call)))
    elif arguments.format == "json":
        print((await client.get(arguments.call)).model_dump_json(indent=2))
    else:
        print(await client.transcript(arguments.call, arguments.format), end="")
    return 0


async def _send(client: CallsClient, arguments: argparse.Namespace) -> int:
    recordings = find_recordings(arguments.recordings)
    reporter = ConsoleReporter()
    ledger = Ledger(arguments.state, str(client.http.base_url))
    enough = has_ended if arguments.wait else _accepted
    batch = Batch(client, metadata_of(arguments), ledger, arguments.jobs, enough)
    with reporter.count("sent", len(recordings)) as counter:

        def done(sent: Sent) -> None:
            counter.advance(1)
            if sent.error:
                reporter.say(f"{sent.recording}: {sent.error}")

        results = await batch.run(recordings, done)
    if arguments.wait:
        _console().print(sent_table(results))
    else:
        for sent in results:
            if sent.call is not None:
                print(f"{sent.call.id}  {sent.recording}")
    if all(sent.unreachable for sent in results):
        return OUT_OF_REACH
    return FAILED if any(sent.call is None for sent in results) else 0


def _accepted(call: Call) -> bool:
    return True


async def _watch(client: CallsClient, arguments: argparse.Namespace) -> int:
    async for event in client.events(arguments.call):
        print(_line(event), flush=True)
    return 0


def _line(event: CallEvent) -> str:
    stages = " ".join(f"{report.stage}={report.status}" for report in event.stages)
    progress = event.progress
    done = f" {progress.stage} {progress.done:.0f} of {progress.total or 0:.0f} s" if progress else ""
    return f"{event.id}  {event.status}, revision {event.revision}, healing {event.healing}  {stages}{done}".rstrip()


async def _delete(client: CallsClient, arguments: argparse.Namespace) -> int:
    status = 0
    for call in arguments.call:
        try:
            await client.delete(call)
        except ApiError as error:
            print(f"{call}: {error}", file=sys.stderr)
            status = FAILED
    return status


def _console() -> Console:
    """No line of a table is lost where the output is no terminal."""
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    return console
