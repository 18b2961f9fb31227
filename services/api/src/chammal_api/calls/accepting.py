"""A call becomes the store's: first its recording is kept, then the call itself, then its analysis is asked for."""

import datetime as dt

from chammal_api.calls.desk import CallDesk
from chammal_api.calls.incoming import Incoming
from chammal_api.calls.intake import IncomingCall, body_hash, new_call_id
from chammal_api.calls.records import IdempotencyKey, KeyReused, RecordingGone
from chammal_api.calls.stores import fetch
from chammal_contracts.calls import CallAccepted, Recording
from chammal_contracts.errors import ErrorCode
from chammal_kit.address import Address
from chammal_kit.problems import Problem

FIRST_RUN = 1
_TRIES = 2
"""Another call with the same recording may be deleted between keeping it and accepting the call."""


async def accept_call(desk: CallDesk, call: IncomingCall, caller: str, max_bytes: int) -> CallAccepted:
    """Raises Problem: 409 where the key stands for another call, and what keeping the recording raises.

    A call whose analysis could not be asked for is found and begun by the flow.
    """
    for _ in range(_TRIES):
        recording = await _keep(desk, call, max_bytes)
        try:
            accepted = await _accept(desk, call, recording, caller)
        except RecordingGone:
            continue
        if not accepted.repeated:
            await desk.flow.submit(accepted.id, FIRST_RUN, call.metadata.priority)
        return accepted
    detail = "The recording was deleted with another call while this one came. Send it again."
    raise Problem(503, ErrorCode.OVERLOADED, detail, headers={"Retry-After": "1"})


async def _accept(desk: CallDesk, call: IncomingCall, recording: Recording, caller: str) -> CallAccepted:
    key = None
    if call.key is not None:
        key = IdempotencyKey(call.key, body_hash(call.metadata, recording.sha256), caller)
    try:
        return await desk.store.accept(
            new_call_id(), call.metadata, recording, idempotency=key, now=dt.datetime.now(dt.UTC)
        )
    except KeyReused:
        detail = "Another call was sent with this Idempotency-Key. Send this one with a key of its own."
        raise Problem(409, ErrorCode.IDEMPOTENCY_KEY_REUSED, detail) from None


async def _keep(desk: CallDesk, call: IncomingCall, max_bytes: int) -> Recording:
    if isinstance(call.source, Incoming):
        return await call.source.keep(call.filename)
    if isinstance(call.source, Address):
        pieces = fetch(desk.stores, call.source, max_bytes)
        return await desk.recordings.keep(pieces, max_bytes, filename=call.filename)
    call.source.seek(0)
    return await desk.recordings.keep(call.source, max_bytes, expected_bytes=call.size, filename=call.filename)
