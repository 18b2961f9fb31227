"""What orchestration adds: the way from the endpoint to the first audio less what each stage took by its own clock."""

from dataclasses import dataclass
from typing import Any

from bench.conversation.replies import pieces
from bench.conversation.said import Said
from bench.conversation.services import StandInProcess
from bench.conversation.talker import session

from chammal_api.realtime.sentences import SentenceCutter


@dataclass(frozen=True)
class Overhead:
    """Seconds."""

    from_endpoint: float
    """To the first audio, at the client."""
    after_endpoint: float
    """Of stt: from the endpoint to the text."""
    waited: float
    """For more of an unfinished clause."""
    llm: float
    """From being asked to the token that ends the first piece of speech."""
    tts: float
    """From being asked to the first audio."""
    told: float
    """What the api itself says that no stage took."""

    @property
    def added(self) -> float:
        return self.from_endpoint - self.after_endpoint - self.waited - self.llm - self.tts


def measure(url: str, stages: StandInProcess, said: Said) -> Overhead:
    stages.log()
    with session(url, said.clip.language) as talker:
        talker.say(said)
        done = talker.find("response.done")
        first = talker.first("response.output_audio.delta")
        stopped = [at for at, event in talker.events if event["type"] == "input_audio_buffer.speech_stopped"]
        heard = talker.find("conversation.item.input_audio_transcription.completed")
    if done is None or first is None or heard is None or not stopped:
        raise RuntimeError(f"{said.name}: no answer: {talker.errors()}")
    seconds = heard["chammal"]["seconds"]
    work = stages.log()
    llm = next(one for one in work if one["stage"] == "llm")
    tts = next(one for one in work if one["stage"] == "tts")
    return Overhead(
        first - stopped[-1],
        seconds["after_endpoint"],
        seconds["waited"],
        first_piece_at(llm) - llm["asked"],
        tts["given"][0][0] - tts["asked"],
        done["response"]["chammal"]["seconds"]["overhead"],
    )


def first_piece_at(work: dict[str, Any]) -> float:
    """When the token was sent with which the first piece of speech is known to be whole."""
    cutter = SentenceCutter()
    for piece, (at, _) in zip(pieces(work["text"]), work["given"], strict=False):
        if cutter.feed(piece):
            return float(at)
    return float(work["given"][-1][0])
