"""What a turn of the person's was heard to say."""

from dataclasses import dataclass, field

from chammal_contracts.stages import StageReport
from chammal_contracts.voice import Voice


@dataclass(frozen=True, slots=True)
class Heard:
    item_id: str
    text: str
    language: str
    """Two letters, by stt."""
    voice: Voice | None
    stages: tuple[StageReport, ...]
    """Of `stt`, and of `emotion` where it was asked for."""
    stopped_at: float
    """When speech ended, by the event loop's clock: the endpoint's time less the silence that made it one."""
    seconds: dict[str, float] = field(default_factory=dict)
    """`silence` of the stream before the endpoint, `after_endpoint` to the text, `waited` for more, in this order."""
