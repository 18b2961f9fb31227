"""The composition root: settings in, app out."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from fastapi import FastAPI

from chammal_api.access import ACCESS, make_door, say_if_open
from chammal_api.check.check import Checker
from chammal_api.check.judge import Judge
from chammal_api.check.rule_shelf import RuleShelf
from chammal_api.clients.agents import Agents
from chammal_api.clients.llm import LlmClient
from chammal_api.clients.stt import SttClient
from chammal_api.live import LiveSessions
from chammal_api.pipeline import Pipeline
from chammal_api.readiness import Dependencies
from chammal_api.routes import checks, openai, operations, page, stream, transcribe
from chammal_api.settings import ApiSettings
from chammal_api.state import State
from chammal_api.tally import Tally
from chammal_kit.app import Lifespan, create_app
from chammal_kit.breaker import BreakerPolicy
from chammal_kit.door import Door
from chammal_kit.egress import Egress
from chammal_kit.upstream import Timeouts, Upstream, UpstreamPolicy


def create(settings: ApiSettings | None = None) -> FastAPI:
    settings = settings or ApiSettings()
    door = make_door(settings)
    return create_app(
        service="api",
        distribution="chammal-api",
        lifespan=_lifespan(settings, door),
        routers=[transcribe.router, openai.router, stream.router, checks.router, operations.router, page.router],
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
        async with AsyncExitStack() as stack:

            async def upstream(name: str, url: str, seconds: float, slow_share: float) -> Upstream:
                made = Upstream(name, url, _policy(settings, seconds, slow_share), headers=internal)
                return await stack.enter_async_context(aclosing(made))

            stt = await upstream("stt", settings.stt_url, settings.stt_seconds, settings.stt_slow_share)
            llm = await upstream("llm-gateway", settings.llm_url, settings.llm_seconds, settings.llm_slow_share)
            tts = await upstream("tts", settings.tts_url, settings.tts_seconds, settings.tts_slow_share)
            egress = Egress(settings.agent_urls, settings.agent_networks)
            agents = await stack.enter_async_context(
                aclosing(Agents(egress, _policy(settings, settings.llm_seconds, settings.llm_slow_share)))
            )
            live = LiveSessions(stt, settings)
            app.state.drain = live.drain
            services = {"stt": stt, "llm-gateway": llm, "tts": tts}
            yield State(
                settings=settings,
                stt=stt,
                llm=llm,
                tts=tts,
                agents=agents,
                pipeline=Pipeline(SttClient(stt), LlmClient(llm), agents),
                dependencies=Dependencies(services, settings.ready_cache_seconds),
                tally=Tally(),
                live=live,
                checker=Checker(RuleShelf(settings.rules_dir, settings.rule_set), _judge(settings, llm), agents),
            )

    return lifespan


def _judge(settings: ApiSettings, llm: Upstream) -> Judge:
    return Judge(
        llm,
        at_once=settings.check_at_once,
        window_tokens=settings.check_window_tokens,
        seconds=settings.check_seconds,
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
