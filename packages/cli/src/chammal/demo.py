"""`chammal demo`: sends a sample call through a mesh and shows what came back, and of what quality."""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import httpx2
from pydantic import ValidationError
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from chammal.mesh import PortInUse, check_ports, needs_embedded_model, programs
from chammal.readiness import wait_until_ready
from chammal.runner import running
from chammal.settings import UpSettings
from chammal.up import BUSY_PORT, fetch_missing, say
from chammal_contracts.errors import ProblemBody
from chammal_contracts.health import Health
from chammal_contracts.stages import StageStatus
from chammal_contracts.transcribe import TranscribeResult

SAMPLE = "call_ko.ogg"
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 600.0


class DemoFailed(Exception):
    pass


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "analyse a sample call with the mesh that is running, or with one started for it"
    command = commands.add_parser("demo", help=text, description=text)
    command.add_argument("--url", help="the api's address; default: the one `chammal up` uses here")
    command.add_argument("--file", type=Path, help="your own recording instead of the sample")
    command.add_argument("--language", default="ko", help="language of the recording (default: ko)")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = UpSettings()
    local = f"http://127.0.0.1:{settings.api_port}"
    try:
        if arguments.url is None and not asyncio.run(is_chammal(local)):
            embedded = needs_embedded_model(settings)
            check_ports(settings, embedded=embedded)
            fetch_missing(settings, embedded=embedded)
            result = asyncio.run(_with_own_mesh(settings, arguments, embedded=embedded))
        else:
            result = asyncio.run(send(arguments.url or local, arguments.file, arguments.language))
    except (DemoFailed, PortInUse) as error:
        print(error, file=sys.stderr)
        return BUSY_PORT if isinstance(error, PortInUse) else 1
    Console(highlight=False).print(render(result))
    return 0 if is_whole(result) else 1


async def is_chammal(url: str) -> bool:
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=CONNECT_SECONDS) as client:
            response = await client.get(f"{url}/health")
        return response.status_code == 200 and Health.model_validate_json(response.content).service == "api"
    except (httpx2.HTTPError, ValidationError):
        return False


async def _with_own_mesh(settings: UpSettings, arguments: argparse.Namespace, *, embedded: bool) -> TranscribeResult:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with _own_mesh(settings, embedded=embedded) as url:
        return await send(url, arguments.file, arguments.language)


@asynccontextmanager
async def _own_mesh(settings: UpSettings, *, embedded: bool) -> AsyncIterator[str]:
    mesh = programs(settings, embedded=embedded)
    print("No mesh is running here: starting one for this demo.", file=sys.stderr)
    async with running(mesh, lambda name, line: print(f"{name:<11} | {line}", file=sys.stderr)):
        reasons = await wait_until_ready(mesh, settings.ready_seconds, lambda program, took: None)
        for name, reason in reasons.items():
            say("chammal", f"{name} is not ready: {reason}")
        yield f"http://127.0.0.1:{settings.api_port}"


async def send(url: str, file: Path | None, language: str) -> TranscribeResult:
    sample = file or files("chammal").joinpath("samples", SAMPLE)
    timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=timeout, headers=_key()) as client:
            response = await client.post(
                f"{url}/transcribe",
                files={"file": (sample.name, sample.read_bytes())},
                data={"language": language, "incomplete_elements_check": "true"},
            )
    except httpx2.HTTPError as error:
        raise DemoFailed(
            f"{url} did not answer ({error or type(error).__name__}). Start the mesh: chammal up"
        ) from error
    if response.status_code != 200:
        raise DemoFailed(f"{url} answered {response.status_code}: {_problem(response.content)}")
    return TranscribeResult.model_validate_json(response.content)


def _key() -> dict[str, str]:
    key = UpSettings().api_key
    return {"X-API-Key": key.get_secret_value()} if key else {}


def _problem(body: bytes) -> str:
    try:
        problem = ProblemBody.model_validate_json(body)
    except ValidationError:
        return body[:200].decode("utf-8", "replace")
    return f"{problem.detail} ({problem.code})"


def is_whole(result: TranscribeResult) -> bool:
    """Every stage that was asked for brought a real answer."""
    flags = result.is_dummy or result.is_agent_dummy or result.is_partial_failure
    dummies = any(report.status is StageStatus.DUMMY for report in result.stages)
    return result.success and not flags and not dummies


def render(result: TranscribeResult) -> Group:
    parts: list[Text | Table] = [
        _heading(f"Transcript ({result.duration or 0:.1f} s, {result.language or 'language unknown'})"),
        Text(result.text or f"none: {result.dummy_reason or result.error}"),
    ]
    if result.agent_analysis is not None:
        parts += [_heading(f"Summary ({result.agent_analysis.model})"), Text(result.agent_analysis.summary)]
    if result.incomplete_elements is not None:
        parts += [_heading("불완전판매 check"), _elements(result)]
    parts += [_heading("Stages"), _stages(result)]
    verdict = "Every stage brought a real answer." if is_whole(result) else f"Not whole: {_why(result)}"
    return Group(*parts, Text(""), Text(verdict))


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _elements(result: TranscribeResult) -> Table:
    table = Table("element", "verdict", "quote", "reason", box=None, pad_edge=False)
    for element in result.incomplete_elements.elements if result.incomplete_elements else ():
        table.add_row(element.name, element.verdict, element.quote or "", element.reason or "")
    return table


def _stages(result: TranscribeResult) -> Table:
    table = Table("stage", "status", "backend", "model", "seconds", "error", box=None, pad_edge=False)
    for report in result.stages:
        table.add_row(
            report.stage,
            report.status,
            report.backend or "",
            report.model or "",
            f"{report.seconds:.1f}",
            report.error or "",
        )
    return table


def _why(result: TranscribeResult) -> str:
    reasons = (result.dummy_reason, result.agent_dummy_reason, result.partial_failure_reason, result.error)
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or "a stage is a dummy"
