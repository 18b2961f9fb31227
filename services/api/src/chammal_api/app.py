"""The composition root: settings in, app out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from fastapi import FastAPI

from chammal_api.access import ACCESS, make_door, say_if_open
from chammal_api.calls.healing import Closings
from chammal_api.calls.opening import Needs as CallNeeds
from chammal_api.calls.opening import open_calls
from chammal_api.check.asking import Asker
from chammal_api.check.check import Checker
from chammal_api.check.judge import Judge
from chammal_api.check.rule_shelf import RuleShelf, rules_folder
from chammal_api.clients.agents import Agents
from chammal_api.clients.llm import LlmClient
from chammal_api.clients.stt import SttClient
from chammal_api.live import LiveSessions
from chammal_api.pipeline import Pipeline
from chammal_api.readiness import Dependencies
from chammal_api.realtime.responder import Responder
from chammal_api.realtime.session import Needs
from chammal_api.realtime.sessions import RealtimeSessions
from chammal_api.routes import calls, checks, openai, operations, page, realtime, stream, transcribe
from chammal_api.settings import ApiSettings
from chammal_api.state import State
from chammal_api.summary import Summariser
from chammal_api.tally import Tally
from chammal_kit.app import Lifespan, create_app
from chammal_kit.breaker import BreakerPolicy
from chammal_kit.door import Door
from chammal_kit.egress import Egress
from chammal_kit.outbound_metrics import DEFAULT_OBSERVERS
from chammal_kit.upstream import Timeouts, Upstream, UpstreamPolicy

FETCH_SECONDS = 600.0
"""For a recording from a store."""


def create(settings: ApiSettings | None = None) -> FastAPI:
    settings = settings or ApiSettings()
    door = make_door(settings)
    return create_app(
        service="api",
        distribution="chammal-api",
        lifespan=_lifespan(settings, door),
        routers=[
            transcribe.router,
            openai.router,
            stream.router,
            realtime.router,
            calls.router,
            checks.router,
            operations.router,
            page.router,
        ],
        settings=settings,
        door=door,
        access=ACCESS,
        first=openai.SHORT_CUTS,
    )


def _lifespan(settings: ApiSettings, door: Door) -> Lifespan:
    internal = {"x-api-key": settings.internal_key.get_secret_value()} if settings.internal_key else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        say_if_open(settings, door)
        closings = Closings()
        async with AsyncExitStack() as stack:

            async def upstream(name: str, url: str, seconds: float, slow_share: float) -> Upstream:
                policy = _policy(settings, seconds, slow_share)
                made = Upstream(name, url, policy, headers=internal, observers=(*DEFAULT_OBSERVERS, closings))
                return await stack.enter_async_context(aclosing(made))

            stt = await upstream("stt", settings.stt_url, settings.stt_seconds, settings.stt_slow_share)
            llm = await upstream("llm-gateway", settings.llm_url, settings.llm_seconds, settings.llm_slow_share)
            tts = await upstream("tts", settings.tts_url, settings.tts_seconds, settings.tts_slow_share)
            egress = Egress(settings.agent_urls, settings.agent_networks)
            agents = await stack.enter_async_context(
                aclosing(Agents(egress, _policy(settings, settings.llm_seconds, settings.llm_slow_share)))
            )
            asker = Asker(llm, settings.check_at_once)
            live = LiveSessions(stt, settings)
            tally = Tally()
            conversations = RealtimeSessions(Needs(stt, Responder(llm, tts, settings), tally, settings))
            app.state.drain = lambda: asyncio.gather(live.drain(), conversations.drain())
            services = {"stt": stt, "llm-gateway": llm, "tts": tts}
            checker = Checker(
                RuleShelf(rules_folder(settings.rules_dir), settings.rule_set), _judge(settings, asker), agents
            )
            needs = CallNeeds(
                stt=stt,
                llm=llm,
                agents=agents,
                checker=checker,
                summariser=_summariser(settings, asker, agents),
                rule_sets=lambda: [rules.name for rules in checker.shelf.all()],
                tally=tally,
                closings=closings,
                fetching=_fetching(settings),
                leaving=lambda: app.state.draining.begun,
            )
            desk = await stack.enter_async_context(open_calls(settings, needs))
            yield State(
                settings=settings,
                stt=stt,
                llm=llm,
                tts=tts,
                agents=agents,
                pipeline=Pipeline(SttClient(stt), LlmClient(llm), agents, masks=settings.mask),
                dependencies=Dependencies(services, settings.ready_cache_seconds),
                tally=tally,
                live=live,
                conversations=conversations,
                checker=checker,
                desk=desk,
            )

    return lifespan


def _summariser(settings: ApiSettings, asker: Asker, agents: Agents) -> Summariser:
    return Summariser(asker, agents, window_tokens=settings.check_window_tokens, seconds=settings.check_seconds)


def _judge(settings: ApiSettings, asker: Asker) -> Judge:
    return Judge(asker, window_tokens=settings.check_window_tokens, seconds=settings.check_seconds)


def _fetching(settings: ApiSettings) -> UpstreamPolicy:
    """Ten minutes are for the recording; a store that says nothing is not waited for as long."""
    policy = _policy(settings, FETCH_SECONDS, 1)
    return policy.model_copy(
        update={"timeouts": policy.timeouts.model_copy(update={"first_byte": settings.idle_seconds})}
    )


def _policy(settings: ApiSettings, seconds: float, slow_share: float) -> UpstreamPolicy:
    return UpstreamPolicy(
        timeouts=Timeouts(
            connect=settings.connect_seconds, first_byte=seconds, idle=settings.idle_seconds, total=seconds
        ),
        concurrency=settings.concurrency,
        queue=settings.concurrency,
        breaker=BreakerPolicy(
            failures_in_a_row=settings.breaker_failures,
            open_seconds=settings.breaker_open_seconds,
            slow_share=slow_share,
        ),
    )
