"""Recorded calls: sent once, analysed durably, healed by themselves."""

import datetime as dt
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from chammal_contracts.asr import ChannelLayout, Channels, Suspect, Word
from chammal_contracts.checks import (
    CallChannel,
    CheckResult,
    CustomerType,
    ProductType,
    Speaker,
    Utterance,
)
from chammal_contracts.stages import StageReport
from chammal_contracts.transcribe import AgentRequestFormat


class CallStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETE = "complete"
    """Every stage brought a real answer."""
    PARTIAL = "partial"
    """Some stage brought none, or a fall-back's; `healing` says what becomes of it."""
    FAILED = "failed"
    """The recording itself is at fault: it would fail again. `error` says why."""


class HealingState(StrEnum):
    NONE = "none"
    WAITING = "waiting"
    """For the failed service to be back; then only the missing stages run again."""
    RUNNING = "running"
    HEALED = "healed"
    GIVEN_UP = "given_up"


class Priority(StrEnum):
    INTERACTIVE = "interactive"
    BATCH = "batch"


class CallMetadata(BaseModel):
    """What the sender knows of a call. Unknown fields are a mistake, not ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    product_type: ProductType | None = None
    """Without it there is no check: the stage is skipped."""
    channel: CallChannel = CallChannel.PHONE
    started_at: dt.datetime | None = None
    agent_id: str | None = Field(default=None, max_length=128)
    customer_type: CustomerType | None = None
    language: str | None = Field(default=None, max_length=16)
    channels: Channels | None = None
    """None: split when there are two channels that differ."""
    hotwords: str | None = Field(default=None, max_length=1000)
    webhook_url: str | None = Field(default=None, max_length=2048)
    agent_url: str | None = Field(default=None, max_length=2048)
    agent_request_format: AgentRequestFormat = AgentRequestFormat.PROMPT_BASED
    rule_set: str | None = Field(default=None, max_length=64)
    priority: Priority = Priority.BATCH
    reference: str | None = Field(default=None, max_length=256)
    """The sender's own name for the call."""


class CallSummary(BaseModel):
    """Of one call, in its language; each part is the model's and marked as such by the stage."""

    sentence: str
    reason: str
    """Why the customer and the agent talk."""
    actions: str
    """What the agent did."""


class CallTranscript(BaseModel):
    language: str
    duration: float
    model: str
    channels: ChannelLayout = ChannelLayout.MONO
    utterances: list[Utterance] = []
    words: list[Word] | None = None
    suspect: list[Suspect] = []
    masked: int = 0
    """Numbers of persons, cards, accounts and telephones that were masked in the text."""


class Recording(BaseModel):
    sha256: str
    bytes: int
    media_type: str | None = None
    filename: str | None = None


class Healing(BaseModel):
    state: HealingState = HealingState.NONE
    missing: list[str] = []
    """Stages that have no real answer, or only a fall-back's."""
    attempts: int = 0
    since: dt.datetime | None = None
    next_at: dt.datetime | None = None
    reason: str | None = None


class WebhookState(BaseModel):
    """Of the newest revision that was told of."""

    revision: int = 0
    delivered: bool = False
    attempts: int = 0
    last_status: int | None = None
    error: str | None = None


class CallError(BaseModel):
    code: str
    detail: str


class Progress(BaseModel):
    """Of the stage that is running; seconds of audio."""

    stage: str
    done: float = 0
    total: float | None = None


class Call(BaseModel):
    id: str
    status: CallStatus
    revision: int = 0
    """0 until the first result; each healing or reanalysis that changed the result adds one."""
    created_at: dt.datetime
    updated_at: dt.datetime
    metadata: CallMetadata
    recording: Recording
    stages: list[StageReport] = []
    progress: Progress | None = None
    transcript: CallTranscript | None = None
    check: CheckResult | None = None
    summary: CallSummary | None = None
    healing: Healing = Healing()
    webhook: WebhookState | None = None
    error: CallError | None = None
    is_partial_failure: bool = False
    partial_failure_reason: str | None = None


class CallRow(BaseModel):
    """A call in a list: without its transcript."""

    id: str
    status: CallStatus
    revision: int
    created_at: dt.datetime
    updated_at: dt.datetime
    reference: str | None = None
    filename: str | None = None
    """The recording's."""
    agent_id: str | None = None
    product_type: ProductType | None = None
    started_at: dt.datetime | None = None
    duration: float | None = None
    stages: list[StageReport] = []
    healing: HealingState = HealingState.NONE
    score: float | None = None
    suspected: list[str] = []
    """Ids of elements with 위반의심."""
    unmet: list[str] = []
    needs_human: bool = False
    sentence: str | None = None
    """The summary's."""
    snippet: str | None = None
    """Of the transcript, around what was searched for."""
    speakers: list[Speaker] = []


class CallPage(BaseModel):
    calls: list[CallRow]
    next: str | None = None
    """Cursor of the next page."""


class CallAccepted(BaseModel):
    id: str
    status: CallStatus
    repeated: bool = False
    """The same Idempotency-Key and body were sent before: this is that call."""


class CallEvent(BaseModel):
    """One server-sent event: something of this call has changed."""

    id: str
    status: CallStatus
    revision: int
    progress: Progress | None = None
    stages: list[StageReport] = []
    healing: HealingState = HealingState.NONE
