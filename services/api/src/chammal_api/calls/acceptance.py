"""How a call comes in and goes: its row, its idempotency key, and its share in a recording. Within a transaction."""

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from chammal_api.calls import derived
from chammal_api.calls.records import IdempotencyKey, KeyReused, RecordingGone
from chammal_api.calls.results import unindex
from chammal_api.calls.rows import find, healing_columns, touch, upsert
from chammal_api.calls.search import TextIndex
from chammal_api.calls.tables import AnyRow, Scrub, calls, counters, keys, recordings
from chammal_contracts.calls import (
    CallAccepted,
    CallMetadata,
    CallStatus,
    Healing,
    HealingState,
    Recording,
)

SEOUL = dt.timezone(dt.timedelta(hours=9))
_BUSY = (CallStatus.QUEUED, CallStatus.RUNNING)


def accept(
    connection: Connection,
    call_id: str,
    metadata: CallMetadata,
    recording: Recording,
    idempotency: IdempotencyKey | None,
    has_recording: Callable[[Recording], bool],
    now: dt.datetime,
) -> CallAccepted:
    """Raises KeyReused, RecordingGone."""
    old = _claim_key(connection, idempotency)
    if old is not None:
        return CallAccepted(id=old.id, status=CallStatus(old.status), repeated=True)
    again = connection.execute(select(calls.c.status).where(calls.c.id == call_id)).scalar()
    if again is not None:
        return CallAccepted(id=call_id, status=CallStatus(again))
    one = upsert(connection)(recordings).values(sha256=recording.sha256, bytes=recording.bytes, calls=1)
    connection.execute(one.on_conflict_do_update(index_elements=["sha256"], set_={"calls": recordings.c.calls + 1}))
    if not has_recording(recording):  # nobody deletes it now: its row is held
        raise RecordingGone(recording.sha256)
    new = insert(calls).values(_new_call(call_id, metadata, recording, now)).returning(calls.c.seq)
    seq = connection.execute(new).scalar_one()
    if idempotency:
        connection.execute(update(keys).where(keys.c.key == _digest(idempotency)).values(seq=seq))
    touch(connection, seq)
    return CallAccepted(id=call_id, status=CallStatus.QUEUED)


def remove(connection: Connection, index: TextIndex, call_id: str) -> Recording | None:
    """Row, answers, text index, idempotency key. Gives the recording where no other call has it."""
    row = find(connection, call_id)
    if row is None:
        return None
    unindex(connection, index, row.seq)
    connection.execute(delete(calls).where(calls.c.seq == row.seq))
    connection.execute(update(counters).where(counters.c.name == "scrub").values(value=Scrub.WANTED))
    one_less = update(recordings).where(recordings.c.sha256 == row.sha256).values(calls=recordings.c.calls - 1)
    left = connection.execute(one_less.returning(recordings.c.calls)).scalar_one_or_none()
    return None if left else Recording.model_validate_json(row.recording)


def drop_recording(connection: Connection, sha256: str, unlink: Callable[[], None]) -> bool:
    """Unlinks the file unless a call has it; until the transaction ends no call can come to have it."""
    held = upsert(connection)(recordings).values(sha256=sha256, bytes=0, calls=0).on_conflict_do_nothing()
    connection.execute(held)
    found = select(recordings.c.calls).where(recordings.c.sha256 == sha256).with_for_update()
    if connection.execute(found).scalar_one():
        return False
    unlink()
    connection.execute(delete(recordings).where(recordings.c.sha256 == sha256))
    return True


def unused(connection: Connection) -> list[str]:
    """Digests of recordings whose file is still to be deleted."""
    return list(connection.execute(select(recordings.c.sha256).where(recordings.c.calls <= 0)).scalars())


def unknown(connection: Connection, digests: Sequence[str]) -> list[str]:
    """Those of `digests` that no call ever had: their sender was gone before the call was accepted."""
    known = set(connection.execute(select(recordings.c.sha256).where(recordings.c.sha256.in_(digests))).scalars())
    return [digest for digest in digests if digest not in known]


def expired(connection: Connection, before: dt.datetime, after_seq: int, limit: int) -> list[tuple[int, str]]:
    """Calls accepted before `before` that nobody works on, by number."""
    idle = calls.c.status.not_in(_BUSY), calls.c.healing_state != HealingState.RUNNING
    found = select(calls.c.seq, calls.c.id).where(calls.c.created_at < before, calls.c.seq > after_seq, *idle)
    return [(row.seq, row.id) for row in connection.execute(found.order_by(calls.c.seq).limit(limit))]


def _new_call(call_id: str, metadata: CallMetadata, recording: Recording, now: dt.datetime) -> dict[str, Any]:
    started = metadata.started_at
    if started and started.tzinfo is None:
        started = started.replace(tzinfo=SEOUL)
    return {
        "id": call_id,
        "status": CallStatus.QUEUED,
        "created_at": now,
        "updated_at": now,
        "happened_at": started or now,
        "metadata": metadata.model_dump_json(),
        "priority": metadata.priority,
        "sha256": recording.sha256,
        "recording": recording.model_dump_json(),
        "reference": derived.storable(metadata.reference) if metadata.reference else None,
        "agent_id": derived.storable(metadata.agent_id) if metadata.agent_id else None,
        "product_type": metadata.product_type,
        "started_at": started,
        **healing_columns(Healing()),
    }


def _digest(key: IdempotencyKey) -> str:
    return hashlib.sha256(f"{key.owner}\n{key.key}".encode(errors="surrogatepass")).hexdigest()


def _claim_key(connection: Connection, key: IdempotencyKey | None) -> AnyRow | None:
    """The call that this key stands for; None where it is new, and now taken. Raises KeyReused."""
    if key is None:
        return None
    name = _digest(key)
    new = upsert(connection)(keys).values(key=name, body=key.body_sha256, seq=None).on_conflict_do_nothing()
    held = select(keys.c.body, calls.c.id, calls.c.status).join(calls, calls.c.seq == keys.c.seq)
    while connection.execute(new.returning(keys.c.key)).first() is None:
        row: AnyRow | None = connection.execute(held.where(keys.c.key == name)).first()
        if row is not None:  # else its call was deleted between the two
            if row.body != key.body_sha256:
                raise KeyReused
            return row
    return None
