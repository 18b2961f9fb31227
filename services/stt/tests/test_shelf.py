"""Which models stay in memory, with workers of the test behind real pools and batchers."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from chammal_contracts.errors import ErrorCode
from chammal_contracts.models import ModelState
from chammal_kit.problems import Problem
from chammal_stt.batcher import Priority
from chammal_stt.messages import Piece, RecogniseBatch, RecogniseReply, Recognition
from chammal_stt.recogniser import Recogniser
from chammal_stt.settings import SttSettings
from chammal_stt.shelf import Shelf
from chammal_stt.worker import WorkerUnfit

pytestmark = pytest.mark.anyio

PIECE = Piece(first=0, samples=16_000)
A, B, C = "a", "b", "c"


class FakeWorker:
    """Answers with its model's name as the language, once `gate` is open."""

    name = "recogniser"
    pid = 1
    busy = False

    def __init__(self, model: str, gate: asyncio.Event) -> None:
        self.model = model
        self.gate = gate
        self.ended = asyncio.Event()

    @property
    def alive(self) -> bool:
        return not self.ended.is_set()

    async def call(self, job: RecogniseBatch, *_: object) -> RecogniseReply:
        assert self.alive, "used after its end"
        self.busy = True
        await self.gate.wait()
        assert self.alive, "ended under its user"
        self.busy = False
        return RecogniseReply([Recognition(language=self.model)] * len(job.pieces))

    async def kill(self) -> None:
        self.ended.set()

    async def wait(self) -> int:
        await self.ended.wait()
        return -9


class Stand:
    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.gate = asyncio.Event()
        self.gate.set()
        self.unfit: set[str] = set()
        self.workers: list[FakeWorker] = []

    async def start(self, recogniser: Recogniser) -> FakeWorker:
        await asyncio.sleep(0)
        if recogniser.model in self.unfit:
            raise WorkerUnfit("no memory")
        self.workers.append(FakeWorker(recogniser.model, self.gate))
        return self.workers[-1]

    async def recognise(self, model: str | None = None) -> str:
        """The model that did it."""
        if model is None:
            return (await self.shelf.recognise(0, PIECE, Priority.FINAL)).language
        async with self.shelf.use(model) as resident:
            return (await resident.batcher.recognise(0, PIECE, Priority.SHORT)).language

    def state(self, model: str) -> ModelState:
        return self.shelf.card(model).state

    async def until_in_use(self, model: str) -> None:
        while not any(worker.model == model and worker.busy for worker in self.workers):  # noqa: ASYNC110
            await asyncio.sleep(0)


@pytest.fixture
def settings(tmp_path: Path) -> SttSettings:
    """Three models of one file each; a fourth is not here."""
    entries = []
    for name in (A, B, C, "missing"):
        content = name.encode()
        sha256 = hashlib.sha256(content).hexdigest()
        entries.append(
            f'[[model]]\nid = "{name}"\nrole = "stt"\ntitle = "{name}"\nlicence = "MIT"\nlanguages = ["en"]\n'
            f'files = [{{ path = "model.bin", size = {len(content)}, sha256 = "{sha256}", '
            f'parts = [{{ pypi = "p==1", member = "m" }}] }}]\n'
        )
        if name != "missing":
            (tmp_path / name).mkdir()
            (tmp_path / name / "model.bin").write_bytes(content)
    manifest = tmp_path / "manifest.toml"
    manifest.write_text("\n".join(entries))
    return SttSettings(models_dir=tmp_path, models_manifest=manifest, model=A, workers=1, max_models=2)


@pytest.fixture
async def stand(settings: SttSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    stand = Stand(Shelf(settings))
    monkeypatch.setattr(Recogniser, "_start", lambda recogniser: stand.start(recogniser))
    with anyio.fail_after(30):
        stand.shelf.start()
        yield stand
        await stand.shelf.aclose()
    assert not any(worker.alive for worker in stand.workers)


async def test_a_model_that_is_unloaded_ends_what_is_in_flight_first(stand: Stand) -> None:
    stand.gate.clear()
    live = asyncio.create_task(stand.recognise())
    await stand.until_in_use(A)
    unloading = asyncio.create_task(stand.shelf.unload(A))
    await asyncio.sleep(0)
    assert stand.state(A) is ModelState.UNLOADING
    stand.gate.set()
    assert await live == A
    await unloading
    assert stand.state(A) is ModelState.ON_DISK
    assert not stand.workers[0].alive


async def test_a_request_keeps_the_model_that_was_to_go(stand: Stand) -> None:
    stand.gate.clear()
    first = asyncio.create_task(stand.recognise())
    await stand.until_in_use(A)
    unloading = asyncio.create_task(stand.shelf.unload(A))
    await asyncio.sleep(0)
    second = asyncio.create_task(stand.recognise())
    await unloading
    assert stand.state(A) is ModelState.RESIDENT
    stand.gate.set()
    assert [await first, await second] == [A, A]
    assert len(stand.workers) == 1


async def test_live_pieces_end_on_their_model_and_the_next_go_to_the_new_default(stand: Stand) -> None:
    stand.gate.clear()
    before = asyncio.create_task(stand.recognise())
    await stand.until_in_use(A)
    await stand.shelf.set_default(B)
    after = asyncio.create_task(stand.recognise())
    await stand.until_in_use(B)
    stand.gate.set()
    assert [await before, await after] == [A, B]
    assert stand.shelf.card("whisper-1").id == B


async def test_a_default_that_cannot_be_loaded_changes_nothing(stand: Stand) -> None:
    stand.unfit.add(B)
    for model, code in (
        (B, ErrorCode.MODEL_UNAVAILABLE),
        ("missing", ErrorCode.MODEL_UNAVAILABLE),
        ("x", "model_not_found"),
    ):
        with pytest.raises(Problem) as refused:
            await stand.shelf.set_default(model)
        assert refused.value.code == code
    assert (stand.shelf.default, await stand.recognise()) == (A, A)
    stand.unfit.clear()


async def test_the_least_recently_used_makes_room(stand: Stand, settings: SttSettings) -> None:
    await stand.recognise(B)
    await stand.recognise(C)
    assert (stand.state(A), stand.state(B), stand.state(C)) == (
        ModelState.RESIDENT,
        ModelState.ON_DISK,
        ModelState.RESIDENT,
    )


async def test_no_model_makes_room_while_it_is_used(stand: Stand) -> None:
    async with stand.shelf.use(B) as resident:
        with pytest.raises(Problem) as refused:
            await stand.recognise(C)
        assert refused.value.code is ErrorCode.OVERLOADED
        assert (await resident.batcher.recognise(0, PIECE, Priority.SHORT)).language == B
    assert await stand.recognise(C) == C


async def test_a_switch_finds_room_and_what_is_too_many_goes_when_it_is_done(stand: Stand) -> None:
    async with AsyncExitStack() as stack:
        for model in (A, B):
            await stack.enter_async_context(stand.shelf.use(model))
        await stand.shelf.set_default(C)
        assert ModelState.UNLOADING in (stand.state(A), stand.state(B))
        assert stand.state(C) is ModelState.RESIDENT
    assert [stand.state(model) for model in (A, B)].count(ModelState.ON_DISK) == 1


async def test_a_model_that_failed_to_load_keeps_no_place(stand: Stand) -> None:
    stand.unfit.add(B)
    with pytest.raises(Problem):
        await stand.recognise(B)
    assert stand.state(B) is ModelState.ON_DISK
    stand.unfit.clear()
    assert await stand.recognise(B) == B


async def test_a_caller_that_goes_away_leaves_no_use_behind(stand: Stand) -> None:
    stand.gate.clear()
    caller = asyncio.create_task(stand.recognise(B))
    await stand.until_in_use(B)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await stand.shelf.unload(B)
    assert stand.state(B) is ModelState.ON_DISK


async def test_nothing_is_lost_while_models_come_and_go(stand: Stand) -> None:
    chance = random.Random(0)
    refused = list[tuple[str | None, ErrorCode]]()

    async def manage() -> None:
        for _ in range(300):
            model = chance.choice((A, B, C))
            change = chance.choice((stand.shelf.load, stand.shelf.unload, stand.shelf.set_default))
            try:
                await change(model)
            except Problem as problem:
                refused.append((model, problem.code))

    async def ask() -> None:
        for _ in range(300):
            model = chance.choice((None, A, B, C))
            try:
                assert await stand.recognise(model) in (model or (A, B, C))
            except Problem as problem:
                refused.append((model, problem.code))

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(manage())
            group.create_task(ask())
            group.create_task(ask())
    assert {code for _, code in refused} <= {ErrorCode.OVERLOADED}
    assert all(model is not None for model, _ in refused), "the default always has a place"
    assert all(stand.shelf.card(model).in_flight == 0 for model in (A, B, C))
