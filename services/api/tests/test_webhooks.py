import asyncio
import base64
import datetime as dt
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.responses import StreamingResponse
from tests import sample_calls

from chammal_api.calls.webhooks import (
    DELAYS,
    Delivery,
    DeliveryOutcome,
    Webhooks,
    delay_before,
    message_id_of,
    notice_of,
)
from chammal_api.settings import ApiSettings
from chammal_contracts.calls import (
    Call,
    CallMetadata,
    CallStatus,
    CallSummary,
    Healing,
    HealingState,
    Recording,
)
from chammal_contracts.checks import (
    CheckStatus,
    CheckTotals,
    Evidence,
    Polarity,
    Speaker,
    Utterance,
    Verdict,
)
from chammal_contracts.checks import Judge as By
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.webhooks import Notice
from chammal_kit.address import AddressError
from chammal_kit.breaker import BreakerPolicy
from chammal_kit.retry import RetryPolicy
from chammal_kit.upstream import Timeouts, UpstreamPolicy

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"t" * 32).decode()
SPOKEN = "이 상품은 무조건 수익이 납니다"
NOW = dt.datetime(2026, 11, 22, 5, tzinfo=dt.UTC)
FAST = UpstreamPolicy(
    timeouts=Timeouts(connect=1, first_byte=0.2, idle=0.2, total=0.4),
    retry=RetryPolicy(retries=0),
    breaker=BreakerPolicy(failures_in_a_row=100, minimum_calls=100),
)


def call(status: CallStatus = CallStatus.PARTIAL, revision: int = 1) -> Call:
    said = Utterance(id="u1", speaker=Speaker.AGENT, text=SPOKEN)
    evidence = Evidence(utterance_id="u1", speaker=Speaker.AGENT, quote=SPOKEN, source=By.RULE)
    found = sample_calls.element(
        "SOL-01", Verdict.SUSPECTED, name="단정적 판단", polarity=Polarity.MUST_NOT, evidence=[evidence]
    )
    return sample_calls.call(
        "0198c0de",
        status,
        revision=revision,
        metadata=CallMetadata(reference="crm-7"),
        recording=Recording(sha256="0" * 64, bytes=9),
        stages=[StageReport(stage=Stage.SUMMARY, status=StageStatus.DUMMY, error_type="breaker_open", error=SPOKEN)],
        transcript=sample_calls.transcript(said),
        check=sample_calls.check(found, status=CheckStatus.RULES_ONLY, totals=CheckTotals(suspected=1)),
        summary=CallSummary(sentence=SPOKEN, reason=SPOKEN, actions=SPOKEN),
        healing=Healing(state=HealingState.WAITING, missing=["summary"]),
    )


@pytest.fixture
async def webhooks(mesh: Any) -> AsyncIterator[Webhooks]:
    async with aclosing(Webhooks([f"{mesh.url}/*"], secret=SecretStr(SECRET), policy=FAST)) as made:
        yield made


async def test_another_implementation_of_the_specification_finds_the_signature_good(
    mesh: Any, webhooks: Webhooks
) -> None:
    mesh.says("/hook", {}, status=204)
    assert await webhooks.deliver(call(), f"{mesh.url}/hook?of=me") == Delivery(DeliveryOutcome.DELIVERED, 204)
    (sent,) = mesh.calls("/hook")
    Webhook(SECRET).verify(sent["body"], sent["headers"])
    assert sent["headers"]["content-type"] == "application/json"
    for broken in (sent["body"].replace(b"crm-7", b"crm-8"), sent["body"] + b" "):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(broken, sent["headers"])
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(sent["body"], sent["headers"])


async def test_while_one_secret_replaces_another_both_verify(mesh: Any) -> None:
    mesh.says("/hook", {})
    async with aclosing(Webhooks([f"{mesh.url}/hook"], secret=SecretStr(f"{SECRET} {OTHER}"))) as webhooks:
        await webhooks.deliver(call(), f"{mesh.url}/hook")
    (sent,) = mesh.calls("/hook")
    for secret in (SECRET, OTHER):
        Webhook(secret).verify(sent["body"], sent["headers"])


async def test_the_id_stays_over_tries_and_changes_with_the_revision(mesh: Any, webhooks: Webhooks) -> None:
    mesh.says("/hook", {}, status=500)
    for revision in (1, 1, 2):
        await webhooks.deliver(call(revision=revision), f"{mesh.url}/hook")
    ids = [sent["headers"]["webhook-id"] for sent in mesh.calls("/hook")]
    assert ids[0] == ids[1] != ids[2]
    assert "." not in message_id_of(call().model_copy(update={"id": "a.b"}))


def test_a_notice_holds_no_word_that_was_spoken() -> None:
    body = notice_of(call()).model_dump_json()
    assert not any(word in body for word in SPOKEN.split())
    notice = Notice.model_validate_json(body)
    assert (notice.type, notice.data.revision, notice.data.reference) == ("call.partial", 1, "crm-7")
    assert notice.data.check is not None
    assert notice.data.check.suspected == ["SOL-01"]
    assert json.loads(body)["data"]["links"]["call"] == "/v1/calls/0198c0de"


@pytest.mark.parametrize(
    ("status", "kind"), [(CallStatus.COMPLETE, "call.complete"), (CallStatus.FAILED, "call.failed")]
)
def test_the_type_says_how_the_call_ended(status: CallStatus, kind: str) -> None:
    assert notice_of(call(status)).type == kind


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, DeliveryOutcome.DELIVERED),
        (410, DeliveryOutcome.GONE),
        (404, DeliveryOutcome.FAILED),
        (307, DeliveryOutcome.FAILED),
        (503, DeliveryOutcome.FAILED),
    ],
)
async def test_what_the_other_side_answers_decides_whether_there_is_another_try(
    mesh: Any, webhooks: Webhooks, status: int, outcome: DeliveryOutcome
) -> None:
    mesh.says("/hook", {}, status=status, headers={"location": f"{mesh.url}/elsewhere", "retry-after": "90"})
    delivery = await webhooks.deliver(call(), f"{mesh.url}/hook")
    assert (delivery.outcome, delivery.status) == (outcome, status)
    assert mesh.calls("/elsewhere") == []
    assert len(mesh.calls("/hook")) == 1


async def test_a_huge_answer_is_not_read(mesh: Any, webhooks: Webhooks) -> None:
    async def huge() -> AsyncIterator[bytes]:
        for _ in range(500):
            yield b"x" * 65536

    mesh.answers["/hook"] = lambda: StreamingResponse(huge())
    assert (await webhooks.deliver(call(), f"{mesh.url}/hook")).outcome is DeliveryOutcome.DELIVERED


async def test_who_listens_and_never_answers_is_given_up_and_tried_again() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until we hang up
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        async with aclosing(Webhooks([url], secret=SecretStr(SECRET), policy=FAST)) as webhooks:
            delivery = await webhooks.deliver(call(), url)
    assert (delivery.outcome, delivery.status) == (DeliveryOutcome.FAILED, None)
    assert delivery.error is not None
    assert delivery.error.startswith(("read_timeout", "deadline_exceeded"))


async def test_nobody_listening_is_a_failure_that_is_tried_again() -> None:
    async with aclosing(Webhooks(["http://127.0.0.1:9/"], secret=SecretStr(SECRET), policy=FAST)) as webhooks:
        delivery = await webhooks.deliver(call(), "http://127.0.0.1:9/")
    assert delivery.outcome is DeliveryOutcome.FAILED
    assert delivery.error is not None
    assert delivery.error.startswith("connect_error")


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://localhost:1/", "ftp://a/", "http://user@127.0.0.1/"]
)
async def test_an_address_that_is_not_on_the_list_is_refused_and_not_asked(webhooks: Webhooks, url: str) -> None:
    with pytest.raises(AddressError):
        webhooks.admit(url)
    assert (await webhooks.deliver(call(), url)).outcome is DeliveryOutcome.REFUSED


async def test_a_name_on_the_list_may_not_lead_to_a_private_address(mesh: Any) -> None:
    named = f"{mesh.url}/hook".replace("127.0.0.1", "localhost")
    async with aclosing(Webhooks([named], secret=SecretStr(SECRET), policy=FAST)) as webhooks:
        delivery = await webhooks.deliver(call(), named)
    assert (delivery.outcome, mesh.calls("/hook")) == (DeliveryOutcome.FAILED, [])


async def test_without_a_secret_no_webhook_is_taken() -> None:
    async with aclosing(Webhooks(["http://127.0.0.1:9/"])) as webhooks:
        with pytest.raises(AddressError):
            webhooks.admit("http://127.0.0.1:9/")


@pytest.mark.parametrize("secret", ["plain", "whsec_", "whsec_!!!", "whsec_c2hvcnQ="])
def test_a_secret_that_cannot_sign_does_not_start(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("CHAMMAL_API_WEBHOOK_SECRET", secret)
    with pytest.raises(ValidationError) as told:
        ApiSettings()
    assert secret.removeprefix("whsec_") == "" or secret not in str(told.value)


def test_tries_are_spread_over_three_days_and_then_there_are_no_more() -> None:
    failed = Delivery(DeliveryOutcome.FAILED)
    waits = [delay_before(attempt, failed, lambda: 0.0) for attempt in range(2, len(DELAYS) + 3)]
    assert waits == [*DELAYS, None]
    assert 3 * 86_400 < sum(DELAYS) < 4 * 86_400
    assert delay_before(2, failed, lambda: 1.0) == pytest.approx(DELAYS[0] * 1.2)
    assert delay_before(2, Delivery(DeliveryOutcome.FAILED, 429, retry_after=90.0), lambda: 0.0) == 90
    assert delay_before(2, Delivery(DeliveryOutcome.FAILED, 429, retry_after=1e9), lambda: 0.0) == 86_400
    for outcome in (DeliveryOutcome.GONE, DeliveryOutcome.REFUSED, DeliveryOutcome.DELIVERED):
        assert delay_before(2, Delivery(outcome)) is None
