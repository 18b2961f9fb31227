"""The page of results."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.conversation.barge_in import BargeIn
from bench.conversation.endings import Read
from bench.conversation.idle import SESSIONS, Idle
from bench.conversation.overhead import Overhead
from bench.conversation.quiet import QUIET_CORES
from bench.conversation.stand_ins import FIRST_TOKEN_SECONDS, TOKENS_PER_SECOND
from bench.conversation.turns import Chammal, OneAfterAnother, Pipecat, Turn
from bench.stt.audio import Clip
from bench.stt.table import Bar, spread, table

from chammal_api.realtime.clauses import Ending

PARTS = {
    "silence": "silence that ends the turn",
    "after_endpoint": "recognition after it",
    "waited": "waiting for more of an unfinished clause",
    "first_words": "first token of the language model",
    "first_sentence": "its first piece of speech",
    "first_sample": "first audio of that",
    "overhead": "all else, by the api's own account",
    "first_out": "first audio leaves the api",
}


@dataclass
class Figures:
    machine: str
    clips: list[Clip]
    overheads: list[Overhead] = field(default_factory=list)
    barge_ins: list[BargeIn] = field(default_factory=list)
    idle: Idle | None = None
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    endings: list[Read] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    """Cores that other processes took, for each figure."""


NOT_MEASURED = "Not measured."


def write(figures: Figures) -> str:
    sections = [
        "# A conversation, measured",
        f"`python -m bench.conversation`. {figures.machine}",
        _said(figures),
        "## Against others",
        *(_sides(figures) if figures.turns else [NOT_MEASURED]),
        "## Where the time goes",
        _parts(figures.turns[Chammal.name]) if figures.turns else NOT_MEASURED,
        "## What orchestration adds",
        *(_overhead(figures.overheads) if figures.overheads else [NOT_MEASURED]),
        "## Speaking while it speaks",
        *(_interruptions(figures.barge_ins) if figures.barge_ins else [NOT_MEASURED]),
        "## Sessions in which nobody speaks",
        *(_idle(figures.idle) if figures.idle else [NOT_MEASURED]),
        "## Unfinished clauses",
        _endings(figures.endings),
        *figures.missing,
    ]
    return "\n\n".join(sections) + "\n"


def _said(figures: Figures) -> str:
    return (
        f"{len(figures.clips)} recorded enquiries in Korean are spoken "
        "at the pace of speech, each into a new session with default settings; the microphone stays open. "
        "Whisper base and Kokoro are real, and the same on every side. The language model is a stand-in: "
        f"{FIRST_TOKEN_SECONDS:g} s to the first token, then {TOKENS_PER_SECOND:g} tokens/s, as Qwen2.5 1.5B under "
        "llama.cpp; it writes the same three or four sentences for all sides, and takes no processor time from "
        "recognition and speech. A figure may be taken again when other processes needed more than "
        f"{QUIET_CORES:g} cores; while those were taken that are here, they had {spread(figures.others)} cores."
    )


def _sides(figures: Figures) -> Iterator[str]:
    ours = _firsts(figures.turns[Chammal.name])
    rows = []
    for name, turns in figures.turns.items():
        firsts = _firsts(turns)
        answered = [first for first in firsts if not math.isnan(first)]
        until = [turn.silence_until for turn in turns if turn.silence_until]
        row = [name, f"{len(answered)} of {len(firsts)}"]
        row += (
            [spread(answered), f"{_ratio(firsts, ours):.2f}", spread(until) if until else ""] if answered else [""] * 3
        )
        rows.append(row)
    yield table(["side", "answered", "first audio after the last sound, s", "÷ ours", "its text is known, s"], rows)
    yield (
        "Median (lowest–highest); the ratio is the median over single turns. "
        f"`{OneAfterAnother.name}`: the same services by REST, without overlap: after the same silence as ours the "
        "recording is transcribed, then the whole reply written, then all of it spoken. "
        f"`{Pipecat.name}`: a bot as its examples make one, with its own turn detection (Silero and its smart-turn "
        "model), faster-whisper in its process with the same weights and int8, and our stand-in and our tts by its "
        "OpenAI clients."
    )
    bars = []
    for name, limit in ((OneAfterAnother.name, 2.0), (Pipecat.name, 1.0)):
        value = _ratio(_firsts(figures.turns[name]), ours) if name in figures.turns else None
        bars.append(Bar(f"first audio, {name} ÷ ours", value, limit, at_least=True).line())
    yield "\n".join(bars)


def _firsts(turns: Sequence[Turn]) -> list[float]:
    return [turn.first_audio for turn in turns]


def _ratio(values: Sequence[float], base: Sequence[float]) -> float:
    pairs = zip(values, base, strict=True)
    found = [value / ours for value, ours in pairs if not (math.isnan(value) or math.isnan(ours))]
    return statistics.median(found) if found else math.nan


def _parts(turns: Sequence[Turn]) -> str:
    rows = []
    for key, says in PARTS.items():
        values = [turn.parts[key] for turn in turns if key in turn.parts]
        if values:
            rows.append([f"`{key}`", says, spread(values)])
    return table(["`response.chammal.seconds`", "what it is", "s"], rows)


def _overhead(found: Sequence[Overhead]) -> Iterator[str]:
    added = [one.added * 1000 for one in found]
    rows = [
        ["endpoint told to first audio, at the client", spread([one.from_endpoint * 1000 for one in found], 0)],
        ["− stt, by its own clock", spread([one.after_endpoint * 1000 for one in found], 0)],
        ["− waiting for more of an unfinished clause", spread([one.waited * 1000 for one in found], 0)],
        ["− language model, from being asked to the token that ends the first piece", _ms(found, "llm")],
        ["− speech, from being asked to its first audio", _ms(found, "tts")],
        ["= what is added, two more hops by HTTP and the gateway with it", spread(added, 1)],
        ["the api's own `overhead`", spread([one.told * 1000 for one in found], 1)],
    ]
    yield "Speech is a stand-in here too, so that each stage tells its time by its own clock."
    yield table(["", "ms"], rows)
    yield Bar("added by orchestration, median, ms", statistics.median(added), 30.0).line()


def _ms(found: Sequence[Overhead], name: str) -> str:
    return spread([getattr(one, name) * 1000 for one in found], 0)


def _interruptions(found: Sequence[BargeIn]) -> Iterator[str]:
    rows = [
        ["first sound to `speech_started`", spread([one.noticed * 1000 for one in found], 0)],
        ["`speech_started` to the last audio of the answer", spread([one.audio * 1000 for one in found], 0)],
        ["… to `response.done` with `cancelled`", spread([one.done * 1000 for one in found], 0)],
        ["… until language model and speech were hung up on", spread([one.work * 1000 for one in found], 0)],
    ]
    yield f"{len(found)} times; {sum(one.answered for one in found)} got an answer to what was said then."
    yield table(["", "ms"], rows)
    slowest = max(max(one.audio, one.done, one.work) for one in found) * 1000
    yield Bar("slowest of all these after `speech_started`, ms", slowest, 100.0).line()


def _idle(found: Idle) -> Iterator[str]:
    rows = [
        ["no session", f"{found.none:.1%}"],
        [f"{SESSIONS} sessions that send nothing", f"{found.silent:.1%}"],
        [f"{SESSIONS} sessions that send silence, which is listened to", f"{found.open_microphones:.1%}"],
    ]
    yield table(["api, stt and gateway together", "of a core"], rows)
    yield Bar(f"{SESSIONS} idle sessions, % of a core", (found.silent - found.none) * 100, 5.0).line()


def _endings(found: Sequence[Read]) -> str:
    heads = ["Korean sentences of labelled calls", "", "taken as whole", "doubtful: a little longer", "open: longer"]
    rows = [[read.says, str(read.count), *(f"{read.shares[how]:.1%}" for how in Ending)] for read in found]
    return table(heads, rows)
