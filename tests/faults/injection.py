"""How each fault is brought about, and how a mesh is whole again after a cell."""

import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from chammal.faults.fault import Fault, FaultKind
from chammal_contracts.stages import BreakerState
from tests.faults import calls
from tests.faults.endpoints import call
from tests.faults.matrix import By, Cell, Endpoint
from tests.faults.mesh import BACKENDS, MODEL, NAMED, Mesh, Scene
from tests.faults.postgres import Postgres
from tests.faults.service import HTTP, Service

NOWHERE = "http://no-such-host.invalid:80"
RESET_SECONDS = 30
PADDING = 1 << 21
"""Bytes behind a recording, so that its upload is kept on disk."""
Change = Callable[[], None]
Victim = Service | Postgres
_NOTHING = Fault(kind=FaultKind.REFUSE)


@dataclass
class Staged:
    """One upstream and one fault, for all its endpoints."""

    scene: Scene
    begin: Callable[[], None]
    """Before each cell; `end` after it."""
    end: Callable[[], None]
    watched: str
    """The name of the upstream at its observer."""
    lasting: bool = False
    """It does not heal between cells, so that an open breaker stays: then its observer starts anew."""
    padding: int = 0
    """Of the recordings that are sent."""


@contextmanager
def staged(mesh: Mesh, cell: Cell) -> Iterator[Staged]:
    with ExitStack() as stack:
        if not cell.endpoint.at_gateway:
            mesh.start(mesh.stt, mesh.tts)
        stage = {
            By.PROXY: _by_proxy,
            By.ADDRESS: _by_address,
            By.PROCESS: _by_process,
            By.FILES: _by_files,
            By.STATE: _by_state,
        }
        yield stage[cell.fault.by](mesh, cell, stack)


def _by_proxy(mesh: Mesh, cell: Cell, stack: ExitStack) -> Staged:
    scene = mesh.scene(cell.upstream)
    _ensure(mesh, cell, scene)
    stack.callback(mesh.proxies.heal)
    if cell.row.last:
        for name in BACKENDS:
            if name != cell.upstream:
                mesh.proxies.set(name, _NOTHING)
    return Staged(
        scene,
        lambda: mesh.proxies.set(cell.upstream, cell.fault.fault),
        lambda: mesh.proxies.set(cell.upstream, None),
        watched(cell, scene),
    )


def watched(cell: Cell, scene: Scene) -> str:
    """The name of the upstream at its observer."""
    if cell.upstream not in NAMED.values():
        return cell.upstream
    return f"{cell.upstream} {scene.addresses[cell.upstream].rpartition('/')[0]}"


def _ensure(mesh: Mesh, cell: Cell, scene: Scene) -> None:
    """Nothing runs that no cell needs."""
    mesh.start(*([mesh.vllm] if scene.gateway is mesh.direct_gateway else []), scene.gateway)
    if not cell.endpoint.at_gateway:
        mesh.start(scene.api)


def _nothing() -> None:
    pass


def _by_address(mesh: Mesh, cell: Cell, stack: ExitStack) -> Staged:
    mesh.start(mesh.vllm, mesh.direct_gateway)
    elsewhere = NOWHERE
    if cell.fault_name == "private_address":
        elsewhere = mesh.direct[cell.upstream].replace("127.0.0.1", "localhost")
    addresses, gateway = {**mesh.direct, cell.upstream: elsewhere}, mesh.direct_gateway
    if cell.row.observer == "llm-gateway":
        gateway = mesh.make_gateway({cell.upstream: NOWHERE, "ollama": mesh.backends["ollama"]})
        addresses = {**mesh.direct, "llm-gateway": gateway.url}
    scene = Scene(mesh.make_api(addresses), gateway, addresses)
    _started(mesh, stack)
    return Staged(scene, _nothing, _nothing, watched(cell, scene), lasting=True)


def _started(mesh: Mesh, stack: ExitStack) -> None:
    """Starts what is new, and stops it in the end."""
    for service in mesh.take_new():
        service.start()
        stack.callback(service.stop)
        service.wait_ready((200, 503))


def _by_process(mesh: Mesh, cell: Cell, stack: ExitStack) -> Staged:
    scene = mesh.scene(cell.upstream, direct=True)
    _ensure(mesh, cell, scene)
    services = {"stt": mesh.stt, "tts": mesh.tts, "llm-gateway": mesh.direct_gateway, "vllm": mesh.vllm}
    victim: Victim = mesh.postgres if cell.upstream == "database" else services[cell.upstream]
    name = watched(cell, scene)
    if cell.fault_name == "paused":
        return Staged(scene, lambda: victim.signal(signal.SIGSTOP), lambda: victim.signal(signal.SIGCONT), name)
    if cell.fault_name == "killed":
        victim.kill()
        stack.callback(_bring_back, victim)
        return Staged(scene, _nothing, _nothing, name, lasting=True)
    if cell.fault_name == "restarted":
        return Staged(scene, lambda: _restart(victim), _nothing, name)
    assert isinstance(victim, Service)
    return Staged(scene, lambda: out_of_memory(victim), lambda: _bring_back(victim), name)


def _restart(victim: Victim) -> None:
    victim.kill()
    _bring_back(victim)


def _bring_back(victim: Victim) -> None:
    if victim.process is None or victim.process.poll() is not None:
        victim.start()
    victim.wait_ready()


def out_of_memory(victim: Service) -> None:
    """What the kernel does then: it kills whoever has most, and that is a worker where there are some."""
    workers = victim.children()
    for pid in workers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not workers:
        victim.kill()


def _by_files(mesh: Mesh, cell: Cell, stack: ExitStack) -> Staged:
    addresses, env = dict(mesh.direct), {}
    mesh.start(mesh.vllm, mesh.direct_gateway)
    if cell.fault_name == "disk_full":
        disk = stack.enter_context(mesh.small_disk())
        if cell.upstream == "disk":
            env = {"TMPDIR": str(disk)}
        elif cell.upstream == "calls_disk":
            env = {"CHAMMAL_API_DATA_DIR": str(mesh.data_folder(disk))}
        else:
            addresses["stt"] = mesh.extra_stt({"TMPDIR": str(disk)}).url
    else:
        stt = cell.upstream == "stt_files"
        empty = mesh.folder / "no-models"
        empty.mkdir(exist_ok=True)
        folder = empty if cell.fault_name == "model_missing" else mesh.corrupt_models(MODEL if stt else "kokoro")
        made = (mesh.extra_stt if stt else mesh.extra_tts)({"CHAMMAL_MODELS_DIR": str(folder)})
        addresses["stt" if stt else "tts"] = made.url
    scene = Scene(mesh.make_api(addresses, **env), mesh.direct_gateway, addresses)
    _started(mesh, stack)
    name = str(cell.row.stage)
    if cell.fault_name != "disk_full":
        return Staged(scene, _nothing, _nothing, name, lasting=True)
    _use(scene)  # where temporary files go is found out at the first
    return Staged(scene, lambda: _fill(disk), lambda: (disk / "taken").unlink(), name, padding=PADDING)


def _use(scene: Scene) -> None:
    give_up = time.monotonic() + RESET_SECONDS
    while call(Endpoint.TRANSCRIBE, scene.api.url, padding=PADDING).headers.get("chammal-degraded"):
        assert time.monotonic() < give_up, "the mesh with a disk of its own does not come up"


def _fill(disk: Path) -> None:
    with (disk / "taken").open("wb", buffering=0) as taken, suppress(OSError):
        while True:
            taken.write(bytes(4096))


def _by_state(mesh: Mesh, cell: Cell, stack: ExitStack) -> Staged:
    mesh.start(mesh.vllm, mesh.direct_gateway)
    data, more = Path(tempfile.mkdtemp(dir=mesh.folder)), {}
    if cell.upstream == "database":
        more["CHAMMAL_API_DATABASE_URL"] = mesh.database_url(direct=True)
    if cell.upstream == "calls_disk":
        (data / "recordings").mkdir()
        disk = stack.enter_context(mesh.small_disk(data / "recordings"))
    mesh.data_folder(data)
    if cell.upstream == "calls_disk":
        begin, end = (lambda: _remount(disk, "ro")), (lambda: _remount(disk, "rw"))
    elif cell.upstream == "database_file":
        begin, end = _locked_file(data / "calls.sqlite")
    else:
        begin, end = _state_of(mesh.postgres, more["CHAMMAL_API_DATABASE_URL"].rpartition("/")[2], cell.fault_name)
    scene = Scene(mesh.make_api(mesh.direct, CHAMMAL_API_DATA_DIR=str(data), **more), mesh.direct_gateway, mesh.direct)
    _started(mesh, stack)
    return Staged(scene, begin, end, cell.upstream)


def _remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True, capture_output=True)


def _locked_file(path: Path) -> tuple[Change, Change]:
    """By somebody who writes and does not come to an end."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    return (lambda: _quietly(other.execute("BEGIN IMMEDIATE"))), (lambda: _quietly(other.execute("ROLLBACK")))


def _quietly(_: object) -> None:
    pass


def _state_of(server: Postgres, database: str, fault: str) -> tuple[Change, Change]:
    if fault == "locked":
        held: list[Connection] = []
        return (lambda: held.append(server.hold(database, "calls"))), (lambda: held.pop().close())
    away = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = " + repr(database)
    return (
        lambda: server.tell("postgres", f"ALTER DATABASE {database} SET default_transaction_read_only = on", away),
        lambda: server.tell("postgres", f"ALTER DATABASE {database} RESET default_transaction_read_only", away),
    )


def make_whole(mesh: Mesh, stage: Staged, cell: Cell) -> None:
    """Every breaker that this cell looks at is closed. A lasting fault's observer starts anew for that."""
    scene = stage.scene
    watches = [("api", name) for name in ("stt", "llm-gateway", "tts") if scene.api.process]
    if cell.row.observer == "llm-gateway":
        watches.append(("llm-gateway", stage.watched))
    if cell.upstream in ("agent", "store"):
        watches.append(("api", stage.watched))
    if stage.lasting:
        for service, observer in ((scene.api, "api"), (scene.gateway, "llm-gateway")):
            if service.process is None:
                continue
            if any(scene.breaker(o, name) not in (BreakerState.CLOSED, None) for o, name in watches if o == observer):
                service.kill()
                service.start()
                service.wait_ready((200, 503))
        return
    give_up = time.monotonic() + RESET_SECONDS
    while not all(scene.breaker(*watch) in (BreakerState.CLOSED, None) for watch in watches):
        assert time.monotonic() < give_up, f"{cell}: a breaker does not close after the fault has gone"
        _poke(scene, cell.upstream)


def _poke(scene: Scene, upstream: str) -> None:
    """Health checks let open breakers probe; a good answer of each service closes its own."""
    for service in (scene.gateway, scene.api):
        if service.process:
            HTTP.get(f"{service.url}/ready", timeout=20)
    call(Endpoint.GATEWAY_CHAT, scene.gateway.url)
    if scene.api.process:
        call(Endpoint.MODELS, scene.api.url)
    if upstream == "agent":
        call(Endpoint.TRANSCRIBE, scene.api.url, scene.given(upstream))
    if upstream == "store":
        sent = call(Endpoint.CALL, scene.api.url, scene.given(upstream))
        if sent.call_id:
            calls.delete(scene.api.url, sent.call_id)
