"""`chammal drill`."""

import argparse
import asyncio
import re
import signal
import sys
from contextlib import AsyncExitStack

import httpx2
from pydantic import ValidationError
from rich.console import Console

from chammal.drill.rehearsal import NotHealthy, Rehearsal
from chammal.drill.scenario import Scenario, route_for, scenarios
from chammal.drill.settings import DrillSettings
from chammal.drill.switch import Switch, SwitchError
from chammal.drill.verdict import Verdict, judge, render
from chammal.faults.fault import Fault
from chammal.faults.settings import FaultSettings
from chammal.settings import UpSettings
from chammal_contracts.failures import Environment, FailureReport
from chammal_contracts.health import Readiness

BROKEN, NOT_DRILLED, INTERRUPTED = 1, 2, 130
CONNECT_SECONDS = 5.0
CONNECTIONS = 20
READY_SECONDS = 5.0
"""The api keeps what it was told for a moment: a mesh that has just come up is healthy, and seems not to be."""
READY_POLL_SECONDS = 0.5
LIST = "list"
TABLE_COLUMNS = 110


class Refused(Exception):
    """This mesh is not to be drilled, or cannot be."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "break one thing in a mesh that runs and show what its users get: development and staging only"
    command = commands.add_parser("drill", help=text, description=text)
    command.add_argument("scenario", choices=[LIST, *scenarios()], metavar="SCENARIO", help="`list` names them all")
    command.add_argument("--for", dest="seconds", type=seconds, default=60.0, help="how long (default: 60s)")
    command.add_argument(
        "--recover-within", type=seconds, default=120.0, help="how long the way back may take (default: 120s)"
    )
    command.add_argument("--url", help="the api's address; default: the one `chammal up` uses here")
    command.add_argument("--control", help="where faults are set; default: the one `chammal up --drill` uses here")
    command.add_argument("--force", action="store_true", help="even in production")
    command.set_defaults(run=run)


def seconds(text: str) -> float:
    """`90`, `60s` or `2m`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|)", text)
    if not match or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"not a time such as 60s or 2m: {text!r}")
    return float(match[1]) * (60 if match[2] == "m" else 1)


def run(arguments: argparse.Namespace) -> int:
    if arguments.scenario == LIST:
        width = max(map(len, scenarios()))
        for scenario in scenarios().values():
            print(f"{scenario.name:<{width}}  {scenario.title}")
        return 0
    scenario = scenarios()[arguments.scenario]
    try:
        verdict = asyncio.run(_drill(scenario, arguments))
    except (Refused, NotHealthy, SwitchError) as error:
        print(f"{scenario.name} was not rehearsed: {error}", file=sys.stderr)
        return NOT_DRILLED
    except asyncio.CancelledError:
        print("Interrupted. No fault is left.", file=sys.stderr)
        return INTERRUPTED
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_COLUMNS)
    console.print(render(verdict))
    return 0 if verdict.kept else BROKEN


async def _drill(scenario: Scenario, arguments: argparse.Namespace) -> Verdict:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    settings = DrillSettings()
    url = arguments.url or settings.url or f"http://127.0.0.1:{UpSettings().api_port}"
    control = arguments.control or settings.control or f"http://127.0.0.1:{FaultSettings().control_port}"
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(_client(url, settings))
        port = httpx2.AsyncClient(base_url=control, trust_env=False, timeout=CONNECT_SECONDS)
        switch = Switch(await stack.enter_async_context(port))
        await check_environment(api, force=arguments.force)
        faults = await plan(scenario, switch)
        await check_ready(api)
        rehearsal = Rehearsal(
            scenario,
            faults,
            api,
            switch,
            lambda line: print(line, flush=True),
            fault_seconds=arguments.seconds,
            recovery_seconds=arguments.recover_within,
        )
        print(f"{scenario.name}: {scenario.title}. Ctrl-C ends it and removes the fault.", flush=True)
        return judge(scenario, await rehearsal.run())


def _client(url: str, settings: DrillSettings) -> httpx2.AsyncClient:
    """Users' own time-outs bound each answer."""
    headers = {"Authorization": f"Bearer {settings.key.get_secret_value()}"} if settings.key else {}
    return httpx2.AsyncClient(
        base_url=url,
        headers=headers,
        trust_env=False,
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=CONNECTIONS, keepalive_expiry=1),
    )


async def check_environment(api: httpx2.AsyncClient, *, force: bool) -> None:
    """Raises Refused in production, and where nothing says that it is not."""
    response = await _ask(api, "/v1/failures")
    if response.status_code in (401, 403):
        raise Refused(f"{api.base_url} wants a key ({response.status_code}): set CHAMMAL_DRILL_KEY, see docs/drills.md")
    try:
        environment = FailureReport.model_validate_json(response.content).environment
    except ValidationError:
        raise Refused(f"{api.base_url} answered {response.status_code} and is no Chammal that can be drilled") from None
    if environment is Environment.PRODUCTION and not force:
        raise Refused(f"{api.base_url} is in production (CHAMMAL_ENVIRONMENT); --force drills it all the same")


async def check_ready(api: httpx2.AsyncClient, seconds: float = READY_SECONDS) -> None:
    """Raises NotHealthy with what is not ready for so long."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + seconds
    while (reason := await _unready(api)) is not None:
        if loop.time() >= give_up:
            raise NotHealthy(reason)
        await asyncio.sleep(READY_POLL_SECONDS)


async def _unready(api: httpx2.AsyncClient) -> str | None:
    response = await _ask(api, "/ready")
    try:
        readiness = Readiness.model_validate_json(response.content)
    except ValidationError:
        return f"/ready answered {response.status_code}"
    failing = [f"{check.name}: {check.reason}" for check in readiness.checks if not check.ready]
    if failing or readiness.degraded or not readiness.ready:
        return "; ".join(failing) or ", ".join(readiness.degraded) or "the api is not ready"
    return None


async def plan(scenario: Scenario, switch: Switch) -> dict[str, Fault]:
    """By the proxy's own names. Raises Refused, and SwitchError where there is no proxy."""
    try:
        routes = await switch.routes()
    except SwitchError as error:
        raise SwitchError(f"{error}. Start the mesh with `chammal up --drill`, or see docs/drills.md.") from error
    if broken := [name for name, fault in routes.items() if fault]:
        raise Refused(f"a fault is set already: {', '.join(broken)}. Is another drill running?")
    faults = {}
    for each in scenario.breaks:
        name = route_for(each.upstream, routes)
        if name is None:
            raise Refused(
                f"no proxy stands before {each.upstream}; there is one before {', '.join(routes) or 'nothing'}"
            )
        faults[name] = each.fault
    return faults


async def _ask(api: httpx2.AsyncClient, path: str) -> httpx2.Response:
    try:
        return await api.get(path)
    except httpx2.TransportError as error:
        raise Refused(f"no api answers at {api.base_url} ({error or type(error).__name__})") from error
