"""Recordings that lie in a store of the operator's list, fetched as they come."""

from collections.abc import AsyncIterator

from chammal_api.calls.incoming import too_large
from chammal_api.clients.allowed import AllowedUpstreams
from chammal_api.clients.failure import retry_after_header, status_for
from chammal_contracts.errors import ErrorCode
from chammal_contracts.stages import FailureType
from chammal_kit.address import Address
from chammal_kit.problems import Problem
from chammal_kit.upstream import UpstreamError, UpstreamRejected

_REFUSALS = frozenset({FailureType.REJECTED, FailureType.MISCONFIGURED})


async def fetch(stores: AllowedUpstreams, address: Address, max_bytes: int) -> AsyncIterator[bytes]:
    """The pieces of the recording; no redirect is followed. Raises Problem, which never repeats path and query: they
    may hold a signature."""
    upstream = await stores.get(address)
    received = 0
    try:
        async with upstream.stream("GET", address.target, max_bytes=max_bytes + 1) as answer:
            async for piece in answer:
                received += len(piece)
                if received > max_bytes:
                    raise too_large(max_bytes)
                yield piece
    except UpstreamError as error:
        if error.failure is FailureType.RESPONSE_TOO_LARGE:
            raise too_large(max_bytes) from None
        raise _problem(address, error) from None


def _problem(address: Address, error: UpstreamError) -> Problem:
    told = f"file_url: {address.origin}: {error.failure}: {error.detail}."
    if isinstance(error, UpstreamRejected) or error.failure in _REFUSALS:
        detail = f"{told} Check the address and its signature, or upload the recording as `file`."
        return Problem(422, ErrorCode.FILE_URL_FAILED, detail)
    if error.http_status is not None and 300 <= error.http_status < 400:
        return Problem(422, ErrorCode.FILE_URL_FAILED, f"{told} Redirects are not followed: send the last address.")
    return Problem(
        status_for(error.failure),
        ErrorCode.FILE_URL_FAILED,
        f"{told} Send it again later, or upload the recording as `file`.",
        headers=retry_after_header(error.retry_after),
    )
