"""Puts together what calls need, opens it, and closes it in the reverse order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from chammal_api.calls.backlog import Backlog
from chammal_api.calls.chores import regularly
from chammal_api.calls.database import NOT_ANSWERING, Database, DatabaseTooNew
from chammal_api.calls.desk import CallDesk
from chammal_api.calls.events import CallNews
from chammal_api.calls.flow import CallFlow
from chammal_api.calls.healing import Closings, Gate, Healer, HealPolicy, Prognosis
from chammal_api.calls.intake import Allowed
from chammal_api.calls.masking import mask_transcript
from chammal_api.calls.recognition import Recogniser
from chammal_api.calls.recordings import Recordings
from chammal_api.calls.retention import Retention
from chammal_api.calls.stages import CallStages, Checks, Summarises
from chammal_api.calls.store import CallStore
from chammal_api.calls.telling import Telling
from chammal_api.calls.webhooks import Webhooks
from chammal_api.clients.agents import Agents
from chammal_api.clients.allowed import AllowedUpstreams
from chammal_api.settings import ApiSettings
from chammal_api.tally import Tally
from chammal_contracts.calls import CallTranscript
from chammal_contracts.stages import Stage
from chammal_kit.logs import component_logger
from chammal_kit.problems import Problem
from chammal_kit.upstream import Upstream, UpstreamPolicy

COUNT_SECONDS = 5.0
AGAIN_SECONDS = 2.0
"""Between two looks for a database that was not there."""
Chore = Callable[[], Coroutine[Any, Any, None]]

log = component_logger("Calls")


@dataclass(frozen=True)
class Needs:
    """What calls share with the other jobs of the api."""

    stt: Upstream
    llm: Upstream
    agents: Agents
    checker: Checks
    summariser: Summarises
    rule_sets: Callable[[], Iterable[str]]
    tally: Tally
    closings: Closings
    """An observer of `stt` and `llm`."""
    fetching: UpstreamPolicy
    """For recordings in stores."""
    leaving: Callable[[], bool]


@asynccontextmanager
async def open_calls(settings: ApiSettings, needs: Needs) -> AsyncIterator[CallDesk]:
    recordings = Recordings(
        settings.data_dir / "recordings",
        max_stored_bytes=settings.max_stored_bytes,
        min_free_bytes=settings.min_free_bytes,
    )
    await asyncio.to_thread(settings.data_dir.mkdir, 0o700, parents=True, exist_ok=True)  # for no other user's eyes
    await recordings.start()
    url = settings.database_url.get_secret_value() if settings.database_url else None
    log.info("Recordings lie in %s, calls in %s", settings.data_dir.resolve(), "the database" if url else "the same")
    database = Database(url or f"sqlite:///{settings.data_dir / 'calls.sqlite'}", seconds=settings.database_seconds)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(aclosing(CallStore(database, has_recording=recordings.has)))
        webhooks = await stack.enter_async_context(
            aclosing(Webhooks(settings.webhook_urls, settings.webhook_networks, settings.webhook_secret))
        )
        stores = await stack.enter_async_context(
            aclosing(AllowedUpstreams("store", settings.store_urls, settings.store_networks, needs.fetching))
        )
        news = CallNews(store, needs.leaving)
        policy = _policy(settings)
        backlog = Backlog(store, settings.max_queued_calls, settings.calls_at_once)
        stages = CallStages(
            store,
            recordings,
            Recogniser(needs.stt, settings.language),
            needs.checker,
            needs.summariser,
            mask_transcript if settings.mask else _as_heard,
            Prognosis(policy),
            needs.tally,
            news.notify,
            backlog.ended,
        )
        flow = CallFlow(
            stages,
            Telling(store, webhooks),
            store,
            data_dir=settings.data_dir,
            database_url=url,
            at_once=settings.calls_at_once,
        )
        await stack.enter_async_context(aclosing(flow))
        chores: list[Chore] = [
            lambda: regularly(COUNT_SECONDS, backlog.counts, "counting calls"),
            Retention(store, recordings, settings.keep_days).run,
        ]
        if settings.calls_at_once:
            chores.append(Healer(store, flow, _gates(needs), policy, needs.closings).run)

        async def begin() -> None:
            await database.open()
            await flow.start()

        fault = await _fault(begin, NOT_ANSWERING)
        stack.push_async_callback(_end, asyncio.ensure_future(_work(begin, fault, chores)))
        allowed = Allowed(stores.admit, webhooks.admit, needs.agents.admit, needs.rule_sets)
        yield CallDesk(store, recordings, flow, backlog, stores, allowed, news)


async def _fault(begin: Chore, expected: tuple[type[Exception], ...]) -> str | None:
    try:
        await begin()
    except expected as error:
        return str(getattr(error, "orig", None) or error)
    return None


async def _work(begin: Chore, fault: str | None, chores: Iterable[Chore]) -> None:
    """A process that was started before its database waits for it, and does all else meanwhile."""
    told = None
    while fault is not None:
        if fault != told:
            log.error("recorded calls wait for their database: %s", fault)
            told = fault
        await asyncio.sleep(AGAIN_SECONDS)
        fault = await _fault(begin, (SQLAlchemyError, Problem, OSError, DatabaseTooNew))
    if told is not None:
        log.warning("the database of recorded calls is there")
    await asyncio.gather(*(chore() for chore in chores), return_exceptions=True)


def _gates(needs: Needs) -> dict[Stage, Gate]:
    stt, llm = needs.stt.breaker, needs.llm.breaker
    return {Stage.STT: stt, Stage.ANALYSIS: llm, Stage.SUMMARY: llm}


def _policy(settings: ApiSettings) -> HealPolicy:
    return HealPolicy(
        degraded=settings.heal_degraded,
        first_seconds=settings.heal_first_seconds,
        longest_seconds=settings.heal_longest_seconds,
        attempts=settings.heal_attempts,
        days=settings.heal_days,
        per_minute=settings.heal_per_minute,
    )


def _as_heard(transcript: CallTranscript) -> CallTranscript:
    return transcript


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
