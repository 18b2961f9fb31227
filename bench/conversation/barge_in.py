"""Speaking while it speaks: how soon after it has noticed everything stops."""

import time
from dataclasses import dataclass

from bench.conversation.said import Said, speak
from bench.conversation.services import StandInProcess
from bench.conversation.talker import RATE, TURN_SECONDS, session

LISTENS_SECONDS = 1.2
"""Before the person speaks again."""


@dataclass(frozen=True)
class BargeIn:
    """Seconds after `speech_started` was told, but for the first."""

    noticed: float
    """From the first sound of the second thing said to `speech_started`."""
    audio: float
    """Until the last audio of the answer; 0 when none came after it."""
    done: float
    """Until `response.done` with `cancelled`."""
    work: float
    """Until the language model and speech had both been hung up on; 0 where both had ended before."""
    answered: bool
    """The second thing said got an answer of its own."""


def measure(url: str, stages: StandInProcess, first: Said, second: Said) -> BargeIn:
    stages.log()
    with session(url, first.clip.language) as talker:
        talker.say(first, "response.output_audio.delta")
        time.sleep(LISTENS_SECONDS)
        seen, begun = len(talker.events), time.monotonic()
        give_up = begun + TURN_SECONDS

        def over() -> bool:
            kinds = [event["type"] for _, event in talker.events[seen:]]
            return kinds.count("response.done") == 2 or talker.closed or time.monotonic() > give_up

        speak(second.samples(RATE), RATE, talker.hear, over)
        noticed = talker.first("input_audio_buffer.speech_started", seen)
        ends = [(at, event["response"]) for at, event in talker.events[seen:] if event["type"] == "response.done"]
    if noticed is None or not ends or ends[0][1]["status"] != "cancelled":
        raise RuntimeError(f"{first.name}, {second.name}: not interrupted: {talker.errors()} {ends}")
    stopped, response = ends[0]
    audio = [
        at
        for at, event in talker.events
        if event["type"] == "response.output_audio.delta" and event["response_id"] == response["id"]
    ]
    running = [work for work in stages.log() if work["asked"] < noticed and (work["ended"] or noticed) > noticed - 0.5]
    return BargeIn(
        noticed - begun,
        max(0.0, audio[-1] - noticed),
        stopped - noticed,
        max([0.0, *(work["ended"] - noticed for work in running)]),
        len(ends) == 2 and ends[1][1]["status"] == "completed",
    )
