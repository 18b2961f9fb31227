import datetime as dt
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook
from tests import sample_calls

from chammal.calls.client import CallsClient
from chammal.demo_healing import HealingFailed, Scene, cast, show
from chammal.settings import UpSettings
from chammal.webhook_receiver import Receiver, is_signed, listening, new_secret
from chammal_contracts.calls import Call, CallAccepted, CallStatus, Healing, HealingState
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.webhooks import Notice, NoticeCall, NoticeLinks, NoticeType

pytestmark = pytest.mark.anyio

NOW = dt.datetime(2026, 11, 22, 5, tzinfo=dt.UTC)


def revision(number: int) -> Call:
    whole = number > 1
    dummy = StageReport(stage=Stage.SUMMARY, status=StageStatus.DUMMY, error="llm-gateway: connect_error")
    return sample_calls.call(
        status=CallStatus.COMPLETE if whole else CallStatus.PARTIAL,
        revision=number,
        stages=[StageReport(stage=Stage.SUMMARY, status=StageStatus.OK) if whole else dummy],
        healing=Healing(state=HealingState.HEALED if whole else HealingState.WAITING, missing=["summary"]),
    )


def notice(number: int) -> Notice:
    links = NoticeLinks(call="/", transcript="/", report="/")
    told = NoticeCall(
        id="c0", status=revision(number).status, revision=number, created_at=NOW, updated_at=NOW, links=links
    )
    return Notice(type=NoticeType.PARTIAL, timestamp=NOW, data=told)


class Story:
    """An api whose call heals when the model is there, if it heals at all."""

    def __init__(self, receiver: Receiver, *, heals: bool = True, tells: bool = True) -> None:
        self.receiver = receiver
        self.heals, self.tells = heals, tells
        self.revision = 1
        self.said: list[str] = []

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.tell()
            return httpx2.Response(202, text=CallAccepted(id="c0", status=CallStatus.QUEUED).model_dump_json())
        return httpx2.Response(200, text=revision(self.revision).model_dump_json())

    def tell(self) -> None:
        if self.tells:
            self.receiver.notices.put_nowait(notice(self.revision))

    @asynccontextmanager
    async def model(self) -> AsyncIterator[None]:
        if self.heals:
            self.revision = 2
            self.tell()
        yield

    async def run(self) -> None:
        transport = httpx2.MockTransport(self.answer)
        async with httpx2.AsyncClient(transport=transport, base_url="http://api") as http:
            await show(Scene(CallsClient(http), self.receiver, 0.05, self.said.append), "llamacpp", self.model)


async def test_the_story_of_a_call_that_heals_is_told_in_order() -> None:
    async with listening(new_secret()) as receiver:
        story = Story(receiver)
        await story.run()
    said = "\n".join(story.said)
    places = [said.index(text) for text in ("Revision 1 is partial", "connect_error", "revision 1.", "is up", "Healed")]
    assert places == sorted(places)
    assert "signature is good: call.partial, revision 2" in said


@pytest.mark.parametrize(("changes", "why"), [({"heals": False}, "revision 1"), ({"tells": False}, "No webhook")])
async def test_what_does_not_come_to_pass_is_a_failure(changes: dict[str, bool], why: str) -> None:
    async with listening(new_secret()) as receiver:
        with pytest.raises(HealingFailed, match=why):
            await Story(receiver, **changes).run()


async def test_the_receiver_takes_what_is_signed_and_nothing_else() -> None:
    secret = new_secret()
    body = notice(1).model_dump_json()
    async with listening(secret) as receiver, httpx2.AsyncClient(trust_env=False) as http:

        async def post(signer: str, sent: str) -> int:
            signature = Webhook(signer).sign("msg_1", dt.datetime.now(dt.UTC), body)
            headers = {
                "webhook-id": "msg_1",
                "webhook-timestamp": str(int(time.time())),
                "webhook-signature": signature,
            }
            return (await http.post(receiver.url, content=sent, headers=headers)).status_code

        assert await post(secret, body) == 204
        assert await post(new_secret(), body) == 401
        assert await post(secret, body.replace("c0", "c1")) == 401
        assert (await http.post(receiver.url, content=body)).status_code == 401
        assert receiver.notices.get_nowait() == notice(1)
        assert receiver.notices.empty()


def test_an_old_message_is_not_taken_again() -> None:
    secret, then = new_secret(), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    headers: dict[str, Any] = {"webhook-id": "m", "webhook-timestamp": str(int(then.timestamp()))}
    headers["webhook-signature"] = Webhook(secret).sign("m", then, "{}")
    assert is_signed(secret, headers, b"{}", then.timestamp() + 299)
    assert not is_signed(secret, headers, b"{}", then.timestamp() + 301)


@pytest.mark.parametrize(("url", "held_back"), [(None, "llamacpp"), ("http://vllm:8000", "llm-gateway")])
def test_the_model_comes_later_or_else_the_gateway_to_it(url: str | None, held_back: str, tmp_path: Path) -> None:
    settings = UpSettings.model_validate({"models_dir": tmp_path, "llm_vllm_url": url})
    present, later = cast(settings, "whsec_x", "http://127.0.0.1:1/calls")
    assert later.name == held_back
    assert {program.name for program in present} == {"api", "stt", "llm-gateway", "llamacpp"} - {held_back} - (
        {"llamacpp"} if url else set()
    )
    assert present[0].env["CHAMMAL_API_WEBHOOK_URLS"] == "http://127.0.0.1:1/calls"
