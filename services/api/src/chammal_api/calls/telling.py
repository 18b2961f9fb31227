"""Tells of a call's newest revision, one try at a time; when the next one is due is on record with the call."""

from typing import Protocol

from chammal_api.calls.webhooks import Delivery, DeliveryOutcome, delay_before
from chammal_contracts.calls import Call, WebhookState


class Store(Protocol):
    async def get(self, call_id: str) -> Call | None: ...
    async def set_webhook(self, call_id: str, state: WebhookState) -> None: ...


class Delivers(Protocol):
    async def deliver(self, call: Call, url: str) -> Delivery: ...


class Telling:
    def __init__(self, store: Store, webhooks: Delivers) -> None:
        self._store = store
        self._webhooks = webhooks

    async def tell(self, call_id: str, revision: int, attempt: int) -> float | None:
        """Seconds until the next try. None: it was told, never can be, or a newer revision is told instead."""
        call = await self._store.get(call_id)
        url = call.metadata.webhook_url if call is not None else None
        if call is None or url is None or call.revision != revision or _was_told(call):
            return None
        delivery = await self._webhooks.deliver(call, url)
        state = WebhookState(
            revision=revision,
            delivered=delivery.outcome is DeliveryOutcome.DELIVERED,
            attempts=attempt,
            last_status=delivery.status,
            error=delivery.error,
        )
        await self._store.set_webhook(call_id, state)
        return delay_before(attempt + 1, delivery)


def _was_told(call: Call) -> bool:
    told = call.webhook
    return told is not None and told.delivered and told.revision == call.revision
