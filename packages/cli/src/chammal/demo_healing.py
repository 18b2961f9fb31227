"""`chammal demo-healing`: a call is sent while there is no language model, and is whole when there is one again.

It starts a mesh of its own on free ports, with data of its own below `.chammal/demo-healing`, and leaves no
process behind.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path

import httpx2

from chammal.calls.client import ApiError, CallsClient, Unreachable
from chammal.demo import SAMPLE
from chammal.drill.wiring import free_ports
from chammal.mesh import needs_embedded_model, programs
from chammal.readiness import wait_until_ready
from chammal.runner import Program, running
from chammal.settings import UpSettings
from chammal.up import fetch_missing
from chammal.webhook_receiver import Receiver, listening, new_secret
from chammal_contracts.calls import Call, CallMetadata, CallStatus, HealingState
from chammal_contracts.checks import ProductType
from chammal_contracts.webhooks import Notice

FOLDER = Path(".chammal/demo-healing")
GATEWAY, MODEL = "llm-gateway", "llamacpp"
_NOT_NEEDED = "tts"
_LOOK_SECONDS = 0.5


class HealingFailed(Exception):
    pass


@dataclass(frozen=True)
class Scene:
    """What a demo has to work with."""

    client: CallsClient
    receiver: Receiver
    seconds: float
    """How long each step may take."""
    say: Callable[[str], None]


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "show a call healing: the language model comes after the call"
    command = commands.add_parser("demo-healing", help=text, description=text)
    command.add_argument("--seconds", type=float, default=600.0, help="longest wait for each step (default: 600)")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    ports = free_ports(5)
    names = ("stt_port", "llm_port", "api_port", "tts_port", "llamacpp_port")
    settings = UpSettings().model_copy(update=dict(zip(names, ports, strict=True)))
    fetch_missing(settings, embedded=needs_embedded_model(settings))
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)

    try:
        asyncio.run(_demo(settings, arguments.seconds, say))
    except (HealingFailed, ApiError, Unreachable) as error:
        print(f"{error}\nWhat the services said: {FOLDER / 'services.txt'}", file=sys.stderr)
        return 1
    return 0


async def _demo(settings: UpSettings, seconds: float, say: Callable[[str], None]) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.to_thread(_clear)
    secret = new_secret()
    async with listening(secret) as receiver:
        present, held_back = cast(settings, secret, receiver.url)
        with (FOLDER / "services.txt").open("w", encoding="utf-8") as log:

            def note(name: str, line: str) -> None:
                print(f"{name:<11} | {line}", file=log, flush=True)

            @asynccontextmanager
            async def model() -> AsyncIterator[None]:
                async with _up([held_back], note, seconds):
                    yield

            say(f"Starting {', '.join(program.name for program in present)}. {held_back.name} is held back.")
            base = f"http://127.0.0.1:{settings.api_port}"
            async with _up(present, note, seconds), httpx2.AsyncClient(base_url=base, trust_env=False) as http:
                await show(Scene(CallsClient(http), receiver, seconds, say), held_back.name, model)


def _clear() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)


def cast(settings: UpSettings, secret: str, webhook_url: str) -> tuple[list[Program], Program]:
    """Who is there from the beginning, and who comes later: the embedded model, or else the gateway to the user's."""
    embedded = needs_embedded_model(settings)
    told = {
        "CHAMMAL_API_DATA_DIR": str(FOLDER.resolve() / "data"),
        "CHAMMAL_API_WEBHOOK_URLS": webhook_url,
        "CHAMMAL_API_WEBHOOK_SECRET": secret,
        "CHAMMAL_API_KEYS": "",
        "CHAMMAL_API_KEYS_FILE": "",
        "CHAMMAL_API_DATABASE_URL": "",
    }
    mesh = {
        program.name: replace(program, env={**program.env, **told})
        for program in programs(settings, embedded=embedded)
        if program.name != _NOT_NEEDED
    }
    held_back = mesh.pop(MODEL if embedded else GATEWAY)
    early = ("api", GATEWAY)  # not ready as long as somebody is missing, which is the point
    return [replace(p, ready_path="/health") if p.name in early else p for p in mesh.values()], held_back


@asynccontextmanager
async def _up(mesh: list[Program], note: Callable[[str, str], None], seconds: float) -> AsyncIterator[None]:
    async with running(mesh, note):
        reasons = await wait_until_ready(mesh, seconds, lambda program, took: None)
        if reasons:
            told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise HealingFailed(f"Not ready after {seconds:.0f} s: {told}")
        yield


async def show(scene: Scene, missing: str, model: Callable[[], AbstractAsyncContextManager[None]]) -> None:
    """Raises HealingFailed where something does not come to pass."""
    metadata = CallMetadata(product_type=ProductType.INVESTMENT, webhook_url=scene.receiver.url, language="ko")
    with as_file(files("chammal").joinpath("samples", SAMPLE)) as sample:
        accepted = await scene.client.send(sample, metadata, f"demo-{time.time_ns()}")
    scene.say(f"A sample call of a fund's sale was sent, and accepted as {accepted.id}.")
    call = await _until(scene, accepted.id, lambda c: c.status is not CallStatus.QUEUED and c.revision == 1)
    if call.status is not CallStatus.PARTIAL or call.healing.state is not HealingState.WAITING:
        raise HealingFailed(f"Revision 1 should be partial and wait to heal: it is {call.status}, {call.healing.state}")
    _tell(scene, call)
    scene.say(f"It waits to heal. Missing: {', '.join(call.healing.missing)}.")
    await _told(scene, call)
    scene.say(f"Now {missing} is started.")
    async with model():
        scene.say(f"{missing} is up. Nobody asks for the call again: it heals by itself.")
        call = await _until(scene, accepted.id, lambda c: c.status is CallStatus.COMPLETE)
        if call.revision < 2 or call.healing.state is not HealingState.HEALED:
            raise HealingFailed(f"It should be a healed revision 2: revision {call.revision}, {call.healing.state}")
        _tell(scene, call)
        await _told(scene, call)
    scene.say(f"Healed: the same call, revision {call.revision}, complete. Nothing of it was made up in between.")


async def _until(scene: Scene, call_id: str, enough: Callable[[Call], bool]) -> Call:
    async def look() -> Call:
        while not enough(call := await scene.client.get(call_id)):
            await scene.client.sleep(_LOOK_SECONDS)
        return call

    try:
        return await asyncio.wait_for(look(), scene.seconds)
    except TimeoutError:
        call = await scene.client.get(call_id)
        told = ", ".join(f"{report.stage} {report.status} ({report.error})" for report in call.stages)
        raise HealingFailed(
            f"After {scene.seconds:.0f} s it is {call.status}, revision {call.revision}: {told}"
        ) from None


def _tell(scene: Scene, call: Call) -> None:
    scene.say(f"Revision {call.revision} is {call.status}:")
    for report in call.stages:
        scene.say(f"    {report.stage:<9}{report.status}{f': {report.error}' if report.error else ''}")
    if call.summary is not None:
        scene.say(f"    summary: {call.summary.sentence}")
    if call.check is not None:
        totals = call.check.totals
        found = f"{totals.met} 충족, {totals.suspected} 위반의심, {totals.not_evaluated} 판정불가"
        scene.say(f"    check {call.check.status}: {found}")


async def _told(scene: Scene, call: Call) -> Notice:
    """The webhook of this revision; older ones may come before it."""

    async def wait() -> Notice:
        while (notice := await scene.receiver.notices.get()).data.revision != call.revision:
            pass
        return notice

    try:
        notice = await asyncio.wait_for(wait(), scene.seconds)
    except TimeoutError:
        raise HealingFailed(f"No webhook of revision {call.revision} came.") from None
    scene.say(f"A webhook came, its signature is good: {notice.type}, revision {notice.data.revision}.")
    return notice
