"""The composition root."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from starlette.routing import Route

from chammal_kit.app import create_app
from chammal_kit.egress import Egress
from chammal_kit.limit_metrics import counted_limiter
from chammal_kit.limiter import Limiter, LimitPolicy
from chammal_kit.logs import component_logger
from chammal_llm_gateway import metrics
from chammal_llm_gateway.backends import Transport, make_backends
from chammal_llm_gateway.gateway import Gateway
from chammal_llm_gateway.readiness import ReadinessProbe
from chammal_llm_gateway.routes import create_chat_completion, router
from chammal_llm_gateway.settings import LlmSettings
from chammal_llm_gateway.waits import Waits

log = component_logger("AgentBackend")


class State(TypedDict):
    settings: LlmSettings
    egress: Egress
    gateway: Gateway
    limiter: Limiter
    probe: ReadinessProbe


def create(settings: LlmSettings | None = None, *, transport: Transport | None = None) -> FastAPI:
    """The app. `transport` stands in for the network in tests."""
    told = settings or LlmSettings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        probed = make_backends(told, transport)
        policy = LimitPolicy(wait_seconds=told.limit_wait_seconds, least=told.limit_least, most=told.limit_most)
        limiter = counted_limiter("llm-gateway", policy)
        metrics.expect(one.backend.name for one in probed)
        log.info("backends in order: %s", ", ".join(one.backend.name for one in probed) or "none")
        async with AsyncExitStack() as stack:
            for one in probed:
                stack.push_async_callback(one.backend.upstream.aclose)
                stack.push_async_callback(one.prober.upstream.aclose)
            yield State(
                settings=told,
                egress=Egress(told.media_urls),
                gateway=Gateway(
                    [one.backend for one in probed],
                    aliases=told.aliases,
                    max_schema_bytes=told.max_schema_bytes,
                    waits=Waits(limiter.waited),
                ),
                limiter=limiter,
                probe=ReadinessProbe(
                    probed,
                    cache_seconds=told.ready_cache_seconds,
                    fresh_seconds=told.ready_fresh_seconds,
                    hung_seconds=told.ready_hung_seconds,
                ),
            )

    return create_app(
        service="llm-gateway",
        distribution="chammal-llm-gateway",
        lifespan=lifespan,
        routers=[router],
        settings=told,
        # FastAPI's own route stays for the OpenAPI document; this one answers, at a tenth less processor time
        first=[Route("/v1/chat/completions", create_chat_completion, methods=["POST"])],
    )
