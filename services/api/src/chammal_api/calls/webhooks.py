"""Tells a sender's own server that a call has a new revision: standardwebhooks.com, signed with HMAC-SHA256.

    webhooks = Webhooks(settings.webhook_urls, settings.webhook_networks, settings.webhook_secret)
    webhooks.admit(text)                          # raises AddressError: 403 at the door
    delivery = await webhooks.deliver(call, url)  # one try; never raises for what the other side does
    delay_before(attempt, delivery)               # seconds until the next, None: no more

A body holds no word that was spoken.
"""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import Counter, Histogram
from pydantic import SecretStr

from chammal_api.calls.signature import Signer
from chammal_api.clients.allowed import AllowedUpstreams
from chammal_contracts.calls import Call, CallStatus
from chammal_contracts.checks import Verdict
from chammal_contracts.stages import FailureType
from chammal_contracts.webhooks import (
    WEBHOOK_ID,
    WEBHOOK_SIGNATURE,
    WEBHOOK_TIMESTAMP,
    Notice,
    NoticeCall,
    NoticeCheck,
    NoticeLinks,
    NoticeStage,
    NoticeType,
)
from chammal_kit.address import Address, AddressError
from chammal_kit.egress import IPNetwork
from chammal_kit.retry import RetryPolicy
from chammal_kit.upstream import Timeouts, UpstreamError, UpstreamPolicy

_GONE = 410

DELAYS = (5.0, 30.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds before the second, third, … try: three days in all, as the specification recommends."""
_LONGEST_ASKED = 86_400.0
_JITTER = 0.2

POLICY = UpstreamPolicy(
    timeouts=Timeouts(connect=5, first_byte=15, idle=5, total=20),
    max_response_bytes=64 << 10,
    retry=RetryPolicy(retries=0),
)
"""Retries are the workflow's, which outlives this process."""


class DeliveryOutcome(StrEnum):
    DELIVERED = "delivered"
    FAILED = "failed"
    """To be tried again."""
    GONE = "gone"
    """410: whoever listened there wants no more of this call."""
    REFUSED = "refused"
    """The address is not on the list any more, or there is no secret to sign with."""


@dataclass(frozen=True)
class Delivery:
    """What became of one try."""

    outcome: DeliveryOutcome
    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    """Seconds that the other side asked for."""


DELIVERIES = Counter("chammal_webhook_deliveries_total", "Tries to deliver a webhook, by outcome.", ["outcome"])
SECONDS = Histogram(
    "chammal_webhook_seconds", "Seconds of one try to deliver a webhook.", buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 20)
)
for _outcome in DeliveryOutcome:
    DELIVERIES.labels(_outcome)


class Webhooks:
    def __init__(
        self,
        allowed: Iterable[str],
        networks: Iterable[IPNetwork] = (),
        secret: SecretStr | None = None,
        *,
        policy: UpstreamPolicy = POLICY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises AddressError and ValueError for settings that cannot be used."""
        self._upstreams = AllowedUpstreams("webhook", allowed, networks, policy)
        self._signer = None if secret is None else Signer(secret.get_secret_value())
        self._clock = clock

    def admit(self, url: str) -> Address:
        """Raises AddressError, whose message may be shown to whoever wrote the address."""
        if self._signer is None:
            raise AddressError("Webhooks are not configured here: there is no secret to sign them with.")
        return self._upstreams.admit(url)

    async def deliver(self, call: Call, url: str) -> Delivery:
        """One try. What the other side does or fails to do is in the answer."""
        started = time.monotonic()
        delivery = await self._try(call, url)
        SECONDS.observe(time.monotonic() - started)
        DELIVERIES.labels(delivery.outcome).inc()
        return delivery

    async def aclose(self) -> None:
        await self._upstreams.aclose()

    async def _try(self, call: Call, url: str) -> Delivery:
        try:
            address = self.admit(url)
        except AddressError as error:
            return Delivery(DeliveryOutcome.REFUSED, error=str(error))
        body = notice_of(call).model_dump_json().encode()
        upstream = await self._upstreams.get(address)
        try:
            async with upstream.stream(
                "POST", address.target, body=body, headers=self._headers(call, body), repeatable=False
            ) as answer:
                return Delivery(DeliveryOutcome.DELIVERED, answer.status)  # its body is nobody's concern
        except UpstreamError as error:
            return _failed(error)

    def _headers(self, call: Call, body: bytes) -> dict[str, str]:
        assert self._signer is not None  # noqa: S101
        message_id, timestamp = message_id_of(call), int(self._clock())
        return {
            "content-type": "application/json",
            WEBHOOK_ID: message_id,
            WEBHOOK_TIMESTAMP: str(timestamp),
            WEBHOOK_SIGNATURE: self._signer.sign(message_id, timestamp, body),
        }


def delay_before(attempt: int, delivery: Delivery, jitter: Callable[[], float] = random.random) -> float | None:
    """Seconds before try number `attempt` (the second is 2); None where there is to be none."""
    if delivery.outcome is not DeliveryOutcome.FAILED or not 2 <= attempt < len(DELAYS) + 2:
        return None
    planned = DELAYS[attempt - 2] * (1 + _JITTER * jitter())
    return max(planned, min(delivery.retry_after or 0.0, _LONGEST_ASKED))


def message_id_of(call: Call) -> str:
    """The same over all tries of a revision; no full stop in it, which separates it in what is signed."""
    return f"msg_{call.id.replace('.', '_')}_{call.revision}"


_TYPES = {CallStatus.COMPLETE: NoticeType.COMPLETE, CallStatus.FAILED: NoticeType.FAILED}


def notice_of(call: Call) -> Notice:
    path = f"/v1/calls/{call.id}"
    return Notice(
        type=_TYPES.get(call.status, NoticeType.PARTIAL),
        timestamp=call.updated_at,
        data=NoticeCall(
            id=call.id,
            status=call.status,
            revision=call.revision,
            reference=call.metadata.reference,
            agent_id=call.metadata.agent_id,
            created_at=call.created_at,
            updated_at=call.updated_at,
            stages=[
                NoticeStage(stage=report.stage, status=report.status, error_type=report.error_type)
                for report in call.stages
            ],
            check=_check_of(call),
            healing=call.healing,
            error=call.error,
            links=NoticeLinks(call=path, transcript=f"{path}/transcript.json", report=f"{path}/report"),
        ),
    )


def _check_of(call: Call) -> NoticeCheck | None:
    check = call.check
    if check is None:
        return None
    return NoticeCheck(
        status=check.status,
        score=check.score,
        totals=check.totals,
        suspected=[element.id for element in check.elements if element.verdict is Verdict.SUSPECTED],
        rule_set=check.rule_set,
        rule_set_version=check.rule_set_version,
    )


def _failed(error: UpstreamError) -> Delivery:
    gone = error.http_status == _GONE
    outcome = DeliveryOutcome.GONE if gone else DeliveryOutcome.FAILED
    why = error.detail if error.failure is FailureType.REJECTED else f"{error.failure}: {error.detail}"
    return Delivery(outcome, error.http_status, why, error.retry_after)
