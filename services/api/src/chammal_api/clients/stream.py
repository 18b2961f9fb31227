"""Opens a WebSocket to a service, past its breaker."""

from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from chammal_api.clients.failure import read_problem
from chammal_contracts import headers as wire
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import FailureType
from chammal_kit.breaker import BreakerOpen
from chammal_kit.request_id import current_request_id
from chammal_kit.upstream import Upstream, UpstreamError
from chammal_kit.upstream_errors import Evidence, from_status
from chammal_kit.web_socket import MESSAGE_BYTES

HANDSHAKE_SECONDS = 5.0
"""After the connection is there."""
CLOSE_SECONDS = 2.0
_QUEUED_FRAMES = 16


async def open_stream(upstream: Upstream, path: str) -> ClientConnection:
    """The breaker is told how the handshake went. Raises UpstreamError."""
    try:
        permit = upstream.breaker.admit()
    except BreakerOpen as error:
        raise UpstreamError(
            upstream.name, FailureType.BREAKER_OPEN, str(error), retry_after=error.retry_after, evidence=Evidence.NONE
        ) from None
    try:
        connection = await _connect(upstream, path)
    except UpstreamError as error:
        if error.evidence is Evidence.AGAINST:
            permit.fail(error.retry_after)
        elif error.evidence is Evidence.FOR:
            permit.succeed()
        raise
    else:
        permit.succeed()
        return connection
    finally:
        permit.cancel()


def note_loss(upstream: Upstream) -> None:
    """A connection that breaks off counts as a failed call of its own: its handshake was settled long ago."""
    with suppress(BreakerOpen):
        upstream.breaker.admit().fail()


async def _connect(upstream: Upstream, path: str) -> ClientConnection:
    request_id = current_request_id()
    try:
        return await connect(
            "ws" + upstream.base_url.removeprefix("http") + path,
            additional_headers=upstream.own_headers | ({wire.REQUEST_ID: request_id} if request_id else {}),
            user_agent_header="chammal",
            compression=None,
            proxy=None,
            open_timeout=upstream.policy.timeouts.connect + HANDSHAKE_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=None,
            max_size=MESSAGE_BYTES,
            max_queue=_QUEUED_FRAMES,
        )
    except InvalidStatus as error:
        raise _refused(upstream.name, error) from error
    except TimeoutError as error:
        raise UpstreamError(upstream.name, FailureType.CONNECT_TIMEOUT, "no WebSocket in time") from error
    except OSError as error:
        raise UpstreamError(upstream.name, FailureType.CONNECT_ERROR, str(error)) from error
    except (WebSocketException, EOFError) as error:
        raise UpstreamError(upstream.name, FailureType.INVALID_RESPONSE, str(error)) from error


def _refused(name: str, error: InvalidStatus) -> UpstreamError:
    response = error.response
    headers = {key.lower(): value for key, value in response.headers.raw_items()}
    refusal = from_status(name, response.status_code, headers, bytes(response.body or b""))
    problem = read_problem(refusal.body)
    if problem is not None and problem.code is ErrorCode.OVERLOADED:
        refusal.evidence = Evidence.NONE  # all sessions are taken: what else it does goes on
    return refusal
