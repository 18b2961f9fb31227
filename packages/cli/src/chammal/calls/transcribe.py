"""`chammal transcribe`: recordings in, transcripts out."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from rich.console import Console

from chammal.calls.arguments import add_metadata, add_sending, metadata_of, positive
from chammal.calls.batch import Batch, Sent, has_ended, has_transcript
from chammal.calls.client import ApiError, CallsClient, Unreachable, connected
from chammal.calls.ledger import Ledger
from chammal.calls.recordings import NothingFound, find_recordings
from chammal.calls.table import sent_table
from chammal.progress import ConsoleReporter
from chammal_contracts.calls import CallStatus

NOT_ALL, NOT_ASKED = 1, 2
"""Exit codes: some recording has no real transcript; nothing was asked for, or nobody answered."""


class OutputFormat(StrEnum):
    TXT = "txt"
    SRT = "srt"
    VTT = "vtt"
    JSON = "json"
    TABLE = "table"


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "transcribe recordings with the mesh that runs: files, folders or patterns"
    command = commands.add_parser(
        "transcribe",
        help=text,
        description=f"{text}. What was interrupted goes on with the same command.",
        epilog="Exit status: 0 all have a real transcript; 1 some have none; 2 nothing found, or the api is out of "
        "reach.",
    )
    add_sending(command)
    add_metadata(command)
    command.add_argument(
        "--format", type=OutputFormat, choices=list(OutputFormat), default=OutputFormat.TXT, help="(default: txt)"
    )
    command.add_argument("--out", type=Path, metavar="FOLDER", help="a file for each recording; default: print")
    command.add_argument("--jobs", type=positive, default=4, help="recordings at once (default: 4)")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        recordings = find_recordings(arguments.recordings)
        return asyncio.run(_transcribe(arguments, recordings))
    except (NothingFound, Unreachable) as error:
        print(error, file=sys.stderr)
        return NOT_ASKED


async def _transcribe(arguments: argparse.Namespace, recordings: Sequence[Path]) -> int:
    metadata = metadata_of(arguments)
    enough = has_ended if metadata.product_type else has_transcript
    reporter = ConsoleReporter()
    async with connected(arguments.url) as client:
        ledger = Ledger(arguments.state, str(client.http.base_url))
        batch = Batch(client, metadata, ledger, arguments.jobs, enough)
        with reporter.count("transcribed", len(recordings)) as counter:

            def done(sent: Sent) -> None:
                counter.advance(1)
                if problem := problem_of(sent):
                    reporter.say(f"{sent.recording}: {problem}")

            results = await batch.run(recordings, done)
        results = [await _write(client, sent, arguments.format, arguments.out) for sent in results]
    if arguments.format is OutputFormat.TABLE:
        Console(highlight=False).print(sent_table(results))
    return exit_status(results)


def problem_of(sent: Sent) -> str | None:
    """Why there is no transcript, or not all that was asked for."""
    call = sent.call
    if call is None:
        return sent.error
    if call.transcript is None:
        told = call.error.detail if call.error else call.partial_failure_reason
        return f"no transcript: {told or call.status}"
    if call.status is CallStatus.PARTIAL and call.partial_failure_reason:
        return f"in part: {call.partial_failure_reason}"
    return None


def exit_status(results: Sequence[Sent]) -> int:
    if results and all(sent.unreachable for sent in results):
        return NOT_ASKED
    return 0 if all(sent.call is not None and sent.call.transcript is not None for sent in results) else NOT_ALL


async def _write(client: CallsClient, sent: Sent, form: OutputFormat, folder: Path | None) -> Sent:
    if form is OutputFormat.TABLE or sent.call is None or (sent.call.transcript is None and form is not form.JSON):
        return sent
    try:
        text = sent.call.model_dump_json() if form is OutputFormat.JSON else await client.transcript(sent.call.id, form)
    except (ApiError, Unreachable) as error:
        print(f"{sent.recording}: {error}", file=sys.stderr)
        return replace(sent, call=None, error=str(error))
    if folder is not None:
        await asyncio.to_thread(_save, folder / f"{sent.recording.name}.{form}", text)
    elif form is OutputFormat.JSON:  # a line for each
        print(json.dumps({"recording": str(sent.recording), "call": json.loads(text)}, ensure_ascii=False))
    else:
        print(f"==> {sent.recording} <==\n{text}")
    return sent


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
