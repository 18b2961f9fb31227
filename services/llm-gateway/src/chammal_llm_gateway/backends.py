"""The backends that the settings name, in their order."""

from collections.abc import Callable
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr

from chammal_kit.breaker import BreakerPolicy, NoBreaker
from chammal_kit.retry import RetryPolicy
from chammal_kit.upstream import Timeouts, Upstream, UpstreamPolicy
from chammal_llm_gateway.anthropic_backend import API_VERSION, AnthropicBackend
from chammal_llm_gateway.backend import Backend
from chammal_llm_gateway.openai_backend import OpenAIBackend
from chammal_llm_gateway.readiness import Probed
from chammal_llm_gateway.request import DEFAULT_MODEL
from chammal_llm_gateway.settings import BackendName, LlmSettings

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_MODEL = "gpt-4.1-mini"

Transport = Callable[[], httpx2.AsyncBaseTransport]


def make_backends(settings: LlmSettings, transport: Transport | None = None) -> list[Probed]:
    """`transport` stands in for the network in tests."""
    return [
        Probed(
            _make(settings, name, _upstream(settings, name, transport, probing=False)),
            _make(settings, name, _upstream(settings, name, transport, probing=True)),
            asks=settings.ready_asks_paid or not _is_paid(settings, name),
        )
        for name in settings.order
        if _url(settings, name) is not None
    ]


def _make(settings: LlmSettings, name: BackendName, upstream: Upstream) -> Backend:
    aliases = frozenset({DEFAULT_MODEL, *settings.aliases})
    if name is BackendName.ANTHROPIC:
        return AnthropicBackend(
            upstream,
            own=settings.anthropic_model,
            max_tokens=settings.anthropic_max_tokens,
            aliases=aliases,
            believed_seconds=settings.names_seconds,
        )
    own = _own_model(settings, name)
    return OpenAIBackend(name, upstream, own=own, aliases=aliases, believed_seconds=settings.names_seconds)


def _upstream(settings: LlmSettings, name: BackendName, transport: Transport | None, *, probing: bool) -> Upstream:
    url = _url(settings, name)
    assert url is not None  # noqa: S101
    sent = transport() if transport else None
    policy = _policy(settings)
    if not probing:
        return Upstream(name, url, policy, headers=_headers(settings, name), transport=sent)
    wait = settings.ready_seconds
    timeouts = Timeouts(connect=settings.connect_seconds, first_byte=wait, idle=wait, total=wait)
    policy = policy.model_copy(update={"timeouts": timeouts, "concurrency": 1})
    return Upstream(
        name, url, policy, headers=_headers(settings, name), transport=sent, breaker=NoBreaker(name), observers=()
    )


def _policy(settings: LlmSettings) -> UpstreamPolicy:
    """No retry at the same backend: the next backend is the retry."""
    return UpstreamPolicy(
        timeouts=Timeouts(
            connect=settings.connect_seconds,
            first_byte=settings.first_token_seconds,
            idle=settings.idle_seconds,
            total=settings.total_seconds,
        ),
        max_response_bytes=settings.max_response_bytes,
        concurrency=settings.concurrency,
        queue=settings.queue,
        queue_seconds=settings.queue_seconds,
        breaker=BreakerPolicy(
            failures_in_a_row=settings.breaker_failures,
            open_seconds=settings.breaker_open_seconds,
            slow_share=settings.slow_share,
        ),
        retry=RetryPolicy(retries=0),
    )


def _url(settings: LlmSettings, name: BackendName) -> str | None:
    """The base address of a backend; None where it is not set up."""
    match name:
        case BackendName.VLLM:
            url = settings.vllm_url
        case BackendName.OLLAMA:
            url = settings.ollama_url
        case BackendName.LLAMACPP:
            url = settings.llamacpp_url
        case BackendName.OPENAI:
            url = settings.openai_url or (OPENAI_URL if settings.openai_key else None)
        case BackendName.ANTHROPIC:
            return settings.anthropic_url if settings.anthropic_key else None
    if url is None:
        return None
    return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1"


def _is_paid(settings: LlmSettings, name: BackendName) -> bool:
    return name is BackendName.ANTHROPIC or (name is BackendName.OPENAI and settings.openai_key is not None)


def _own_model(settings: LlmSettings, name: BackendName) -> str | None:
    match name:
        case BackendName.VLLM:
            return settings.vllm_model
        case BackendName.OLLAMA:
            return settings.ollama_model
        case BackendName.OPENAI:
            return settings.openai_model or (None if settings.openai_url else OPENAI_MODEL)
        case _:
            return None


def _headers(settings: LlmSettings, name: BackendName) -> dict[str, str]:
    if name is BackendName.ANTHROPIC:
        return {"x-api-key": _secret(settings.anthropic_key), "anthropic-version": API_VERSION}
    if name is BackendName.OPENAI and settings.openai_key:
        return {"Authorization": f"Bearer {_secret(settings.openai_key)}"}
    return {}


def _secret(key: SecretStr | None) -> str:
    return key.get_secret_value() if key else ""
