"""The models in memory: which stay, which go, and which answers to a name.

Whoever recognises holds a model for that time, and it is not closed meanwhile. The default always has a place; others
have the places beside it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from chammal_contracts.errors import ErrorCode
from chammal_contracts.health import Check
from chammal_contracts.models import ModelState, SpeechModel
from chammal_kit.logs import component_logger
from chammal_kit.models import Model
from chammal_kit.problems import Problem
from chammal_stt.batcher import Priority
from chammal_stt.catalogue import ALIASES, Catalogue
from chammal_stt.messages import Piece, Recognition
from chammal_stt.metrics import RESIDENT_MODELS, WorkerKind
from chammal_stt.resident import Resident
from chammal_stt.settings import SttSettings

log = component_logger("STT")


class Shelf:
    def __init__(self, settings: SttSettings, short_waited: Callable[[float, bool], None] = lambda *_: None) -> None:
        self.catalogue = Catalogue(settings)
        self.default = settings.model
        """Id of the model that answers where none is named."""
        self._settings = settings
        self._short_waited = short_waited
        self._residents: dict[str, Resident] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._default_rests = False
        """It was unloaded on request, and not asked for since."""
        RESIDENT_MODELS.set_function(lambda: sum(resident.is_loaded for resident in self._residents.values()))

    def start(self) -> None:
        if self._settings.preload:
            self._place(self.default)

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for resident in tuple(self._residents.values()):
            self._close(resident)
        await asyncio.gather(*self._closing)

    def check_name(self, name: str) -> None:
        """Raises Problem for what `use` would refuse at once: 404, or 503 with the command that fetches it."""
        model_id = self._id(name)
        if model_id != self.default:
            self.catalogue.find(model_id)

    @asynccontextmanager
    async def use(self, name: str, *, spare_place: bool = False) -> AsyncIterator[Resident]:
        """The model of that name, loaded or about to be; it stays for the block. Raises Problem."""
        resident = self._take(self._id(name), spare_place=spare_place)
        resident.users += 1
        try:
            yield resident
        finally:
            resident.users -= 1
            resident.used_at = asyncio.get_running_loop().time()
            self._tidy()

    async def recognise(self, descriptor: int, piece: Piece, priority: Priority) -> Recognition:
        """Batcher.recognise of the model that is now the default. Live sessions change over with their next piece."""
        async with self.use(self.default) as resident:
            return await resident.batcher.recognise(descriptor, piece, priority)

    async def load(self, name: str) -> None:
        """Returns when the model is in memory. Raises Problem."""
        async with self.use(name) as resident:
            await resident.load()

    async def unload(self, name: str) -> None:
        """Returns when the model is gone, after what is in flight, or when a request has come that keeps it."""
        model_id = self._id(name)
        resident = self._residents.get(model_id)
        if resident is None:
            if model_id != self.default:
                self.catalogue.get(model_id)
            return
        resident.leave()
        self._tidy()
        await resident.settled.wait()

    async def set_default(self, name: str) -> None:
        """Loads the model, then switches. What is in flight ends on the model that it began with. Raises Problem."""
        async with self.use(name, spare_place=True) as resident:
            await resident.load()
            if resident.id != self.default:
                log.info("The default model is now %s, and no longer %s.", resident.id, self.default)
            self.default = resident.id
        for other in self._others()[: -self._places or None]:
            other.leave()
        self._tidy()

    async def check(self) -> Check:
        """Whether the default is in memory; one that was unloaded on request counts, as the next request loads it."""
        resident = self._residents.get(self.default)
        if resident is None and self._default_rests:
            reason = f"the model {self.default} was unloaded; the next request loads it"
            return Check(name=WorkerKind.RECOGNISER, ready=True, reason=reason)
        return await (resident or self._place(self.default)).recogniser.check()

    def cards(self) -> list[SpeechModel]:
        """All models, then the names that mean the default. Raises Problem."""
        cards = [self._card(model) for model in self.catalogue.models()]
        default = next((card for card in cards if card.default), None)
        if default is not None:
            of_default = {"alias_of": default.id, "default": False}
            cards += [default.model_copy(update={"id": alias, **of_default}) for alias in sorted(ALIASES)]
        return cards

    def card(self, name: str) -> SpeechModel:
        """Raises Problem."""
        return self._card(self.catalogue.get(self._id(name)))

    def _card(self, model: Model) -> SpeechModel:
        resident = self._residents.get(model.id)
        state = self._state(model, resident)
        failure, idle = (resident.failure, resident.idle_seconds) if resident is not None else (None, None)
        return SpeechModel(
            id=model.id,
            default=model.id == self.default,
            state=state,
            languages=list(model.languages),
            size_bytes=model.size,
            memory_bytes=resident.memory_bytes if resident is not None else None,
            in_flight=resident.users if resident is not None else 0,
            idle_seconds=None if idle is None else round(idle, 1),
            error=None if failure is None else str(failure),
            command=model.command if state is ModelState.MISSING else None,
        )

    def _state(self, model: Model, resident: Resident | None) -> ModelState:
        if resident is not None and resident.leaving:
            return ModelState.UNLOADING
        if resident is not None and resident.is_loaded:
            return ModelState.RESIDENT
        if not self.catalogue.is_here(model):
            return ModelState.MISSING
        return ModelState.LOADING if resident is not None and resident.failure is None else ModelState.ON_DISK

    def _id(self, name: str) -> str:
        return self.default if name in ALIASES else name

    @property
    def _places(self) -> int:
        """For others than the default."""
        return self._settings.max_models - 1

    def _others(self) -> list[Resident]:
        """Least recently used first, those in use last."""
        others = [resident for resident in self._residents.values() if resident.id != self.default]
        return sorted(others, key=lambda resident: (resident.users > 0, resident.used_at))

    def _take(self, model_id: str, *, spare_place: bool) -> Resident:
        resident = self._residents.get(model_id)
        if resident is None:
            if model_id != self.default:
                self.catalogue.find(model_id)
                self._make_room(spare_place=spare_place)
            resident = self._place(model_id)
        resident.stay()
        return resident

    def _place(self, model_id: str) -> Resident:
        resident = self._residents[model_id] = Resident(self._settings, model_id, self._short_waited)
        resident.recogniser.pool.warm()
        if model_id == self.default:
            self._default_rests = False
        return resident

    def _make_room(self, *, spare_place: bool) -> None:
        others = self._others()
        while len(others) >= self._places and others and not others[0].users:
            self._close(others.pop(0))
        if len(others) >= self._places and not spare_place:
            detail = "As many models are in use as may be in memory at once (CHAMMAL_STT_MAX_MODELS). Try again later."
            raise Problem(503, ErrorCode.OVERLOADED, detail, headers={"Retry-After": "10"})

    def _tidy(self) -> None:
        """Closes what nobody uses and nobody will miss, and comes back when the next has been idle for too long."""
        if self._timer is not None:
            self._timer.cancel()
        limit, next_due = self._settings.model_ttl_seconds, None
        for resident in tuple(self._residents.values()):
            idle = resident.idle_seconds
            if idle is None:
                continue
            expires = limit > 0 and resident.id != self.default
            failed = resident.failure is not None and resident.id != self.default
            if resident.leaving or failed or (expires and idle >= limit):
                self._close(resident)
            elif expires:
                next_due = min(limit - idle, next_due or limit)
        if next_due is not None:
            self._timer = asyncio.get_running_loop().call_later(next_due, self._tidy)

    def _close(self, resident: Resident) -> None:
        del self._residents[resident.id]
        if resident.id == self.default:
            self._default_rests = resident.is_loaded
        log.info("The model %s is unloaded.", resident.id)
        closing = asyncio.create_task(resident.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
