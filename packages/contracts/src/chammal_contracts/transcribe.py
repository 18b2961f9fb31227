"""`POST /transcribe`: one call in, transcript and analysis out."""

from enum import StrEnum

from pydantic import BaseModel

from chammal_contracts.asr import ChannelLayout, Segment, Suspect
from chammal_contracts.stages import StageReport


class AgentRequestFormat(StrEnum):
    PROMPT_BASED = "prompt_based"
    """The whole prompt, transcript included: `{"prompt": …}`."""
    TEXT_ONLY = "text_only"
    """The transcript alone: `{"text": …}`."""


class AgentType(StrEnum):
    EXTERNAL = "external"
    VLLM = "vllm"
    OLLAMA = "ollama"
    LLAMACPP = "llamacpp"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    DUMMY = "dummy"


class OnFailure(StrEnum):
    DUMMY = "dummy"
    ERROR = "error"


class Finding(StrEnum):
    """A verdict on one element of a sale. 판정불가 (not evaluated) is not a pass."""

    MET = "충족"
    UNMET = "미충족"
    SUSPECTED = "위반의심"
    NOT_EVALUATED = "판정불가"


class ElementFinding(BaseModel):
    """One 불완전판매 element, with a quote that code has found in the transcript."""

    id: str
    name: str
    verdict: Finding
    quote: str | None = None
    reason: str | None = None


class ElementsCheck(BaseModel):
    evaluated: bool
    elements: list[ElementFinding]


class AgentAnalysis(BaseModel):
    """What the language model or the external agent said of the call."""

    summary: str
    model: str | None = None


class TranscribeResult(BaseModel):
    """The flat flags are derived from `stages`, in one place."""

    success: bool
    text: str | None
    duration: float | None
    language: str | None
    error: str | None
    error_type: str | None
    backend: str | None
    is_dummy: bool
    dummy_reason: str | None
    incomplete_elements: ElementsCheck | None
    agent_analysis: AgentAnalysis | None
    agent_type: AgentType | None
    is_agent_dummy: bool
    agent_dummy_reason: str | None
    is_partial_failure: bool
    partial_failure_reason: str | None
    stages: list[StageReport]
    channels: ChannelLayout | None = None
    """What the recording turned out to be. With `split`, each line of `text` begins with its speaker."""
    segments: list[Segment] = []
    suspect: list[Suspect] = []
    """What was left out of the transcript, or is in it and doubted."""
