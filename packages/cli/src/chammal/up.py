"""`chammal up`: fetches missing models, starts the mesh on this machine, prints its addresses, stops all of it."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from chammal.drill.wiring import control_port, with_faults
from chammal.fetch import Fetcher
from chammal.mesh import PortInUse, check_ports, needs_embedded_model, programs
from chammal.models_command import fetch_all
from chammal.progress import ConsoleReporter
from chammal.readiness import wait_until_ready
from chammal.runner import Program, running
from chammal.settings import UpSettings
from chammal_kit.models import Role, is_complete, load_manifest

BUSY_PORT = 2


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "start stt, tts, llm-gateway and api here (and llama.cpp when no other language model is configured)"
    command = commands.add_parser("up", help=text, description=text)
    command.add_argument("--no-fetch", action="store_true", help="start with the models that are here")
    command.add_argument(
        "--drill", action="store_true", help="with fault proxies between the services, for `chammal drill`"
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = UpSettings()
    embedded = needs_embedded_model(settings)
    try:
        check_ports(settings, embedded=embedded, control_port=control_port() if arguments.drill else None)
    except PortInUse as error:
        print(error, file=sys.stderr)
        return BUSY_PORT
    if not arguments.no_fetch:
        fetch_missing(settings, embedded=embedded)
    mesh = programs(settings, embedded=embedded)
    asyncio.run(_up(settings, with_faults(mesh, settings, control_port()) if arguments.drill else mesh))
    return 0


def fetch_missing(settings: UpSettings, *, embedded: bool) -> None:
    """What cannot be fetched is said, and the mesh comes up without it."""
    manifest = load_manifest(settings.models_manifest)
    missing = [
        model
        for model in manifest.model
        if model.default
        and model.fetched_by == "chammal"
        and (embedded or model.role is not Role.LLM)
        and not is_complete(manifest, settings.models_dir, model.id)
    ]
    if not fetch_all(missing, Fetcher(manifest, settings.models_dir, ConsoleReporter())):
        print("Starting without it: what needs it says so in its answers.", file=sys.stderr)


def say(name: str, line: str) -> None:
    try:
        print(f"{name:<11} | {line}", flush=True)
    except BrokenPipeError:  # `chammal up | head`: nobody reads on, the mesh stays up
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _up(settings: UpSettings, mesh: Sequence[Program]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with running(mesh, say):
        waiting = asyncio.create_task(announce(mesh, settings.ready_seconds))
        await stop.wait()
        say("chammal", "stopping")
        waiting.cancel()
    say("chammal", "stopped")


async def announce(mesh: Sequence[Program], seconds: float) -> dict[str, str]:
    """Prints when each program is ready and, when all are or the time is over, all addresses."""
    reasons = await wait_until_ready(
        mesh, seconds, lambda program, took: say("chammal", f"{program.name} is ready after {took:.1f} s")
    )
    state = "is up" if not reasons else "is up, in part"
    say("chammal", f"Chammal {state}. Ctrl-C stops all of it.")
    for program in mesh:
        reason = reasons.get(program.name)
        say("chammal", f"  {program.name:<11} {program.address}{f'   not ready: {reason}' if reason else ''}")
    say("chammal", "Try it in a second terminal: make demo, or chammal demo")
    return reasons
