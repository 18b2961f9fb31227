"""What a webhook says of a call. No word that was spoken is in it: whoever receives it fetches that with a key."""

import datetime as dt
from enum import StrEnum

from pydantic import BaseModel

from chammal_contracts.calls import CallError, CallStatus, Healing
from chammal_contracts.checks import CheckStatus, CheckTotals
from chammal_contracts.stages import Stage, StageStatus

WEBHOOK_ID = "webhook-id"
"""Of one revision of one call, the same over all retries: what was seen before may be thrown away."""
WEBHOOK_TIMESTAMP = "webhook-timestamp"
WEBHOOK_SIGNATURE = "webhook-signature"


class NoticeType(StrEnum):
    COMPLETE = "call.complete"
    PARTIAL = "call.partial"
    FAILED = "call.failed"


class NoticeStage(BaseModel):
    stage: Stage
    status: StageStatus
    error_type: str | None = None


class NoticeCheck(BaseModel):
    status: CheckStatus
    score: float | None = None
    totals: CheckTotals
    suspected: list[str] = []
    """Ids of elements with 위반의심."""
    rule_set: str
    rule_set_version: str


class NoticeLinks(BaseModel):
    """Paths on the api that sent it, which knows no name that others call it by."""

    call: str
    transcript: str
    report: str


class NoticeCall(BaseModel):
    id: str
    status: CallStatus
    revision: int
    reference: str | None = None
    agent_id: str | None = None
    created_at: dt.datetime
    updated_at: dt.datetime
    stages: list[NoticeStage] = []
    check: NoticeCheck | None = None
    healing: Healing = Healing()
    error: CallError | None = None
    links: NoticeLinks


class Notice(BaseModel):
    """The body of a webhook, in the form that standardwebhooks.com recommends."""

    type: NoticeType
    timestamp: dt.datetime
    """When the call came to this revision."""
    data: NoticeCall
