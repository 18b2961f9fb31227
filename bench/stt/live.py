"""e. Live sessions: how soon a final comes, for one speaker and for two at once, and whether it stays that way."""

import json
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, takewhile
from pathlib import Path
from typing import Any

from bench.stt.audio import GAP_SECONDS, RATE, Clip, Library, Samples, write_wave
from bench.stt.run import Run, report
from bench.stt.score import characters
from bench.stt.sides import Chammal, Side
from bench.stt.table import Bar, spread, table
from websockets.sync.client import ClientConnection, connect

STREAM_SECONDS = 120
QUICK_SECONDS = 20
FRAME_SECONDS = 0.04
TAIL_SECONDS = 2.0
DIRECT_TIMES = 2


@dataclass
class Session:
    """What one client sent and got."""

    begun: float = 0.0
    """When the first sample was sent."""
    late: float = 0.0
    """The most that sending was behind time: the server did not read."""
    finished: float = 0.0
    done: float = 0.0
    finals: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    """With the time each came."""
    partials: int = 0
    flickers: int = 0
    """Partials and finals that do not begin with the stable text of the partial before them."""
    errors: list[str] = field(default_factory=list)

    def delays(self) -> list[float]:
        """Seconds from the sample that completed the silence to the final."""
        return [at - self.begun - endpoint(final) for at, final in self.finals]


def endpoint(final: dict[str, Any]) -> float:
    """Second of the stream in which the utterance was held to be over."""
    return float(final["end"] + final["seconds"]["silence"])


def measure(run: Run, library: Library) -> str:
    sides = run.sides("direct", "chammal")
    chammal = sides.get("chammal")
    if not isinstance(chammal, Chammal):
        return "Not measured."
    seconds = QUICK_SECONDS if run.quick else STREAM_SECONDS
    clips = said(library.live, seconds)
    stream = library.joined("live", clips, seconds)
    samples, rows, bars = stream.samples(), [], []
    for speakers in (1, 2):
        with ThreadPoolExecutor(speakers) as pool:
            sessions = list(pool.map(lambda _: speak(chammal.port, stream, samples), range(speakers)))
        delays = [delay for session in sessions for delay in session.delays()]
        direct = [took for session in sessions for took in direct_seconds(sides["direct"], session, samples)]
        ratios = [delay / took for delay, took in zip(delays, direct, strict=True)]
        report(f"e {speakers}: {len(delays)} finals, errors: {[error for s in sessions for error in s.errors]}")
        rows.append(row(speakers, clips, sessions, direct, ratios))
        bars += bars_of(speakers, sessions, ratios)
    heads = ["sessions", "utterances", "final after speech, s", "final after endpoint, s", "direct, s", "ratio"]
    heads += ["90th percentile", "last quarter − first, s", "end of stream to `done`, s", "partials", "dropped"]
    heads += ["flickers", "errors", "CER"]
    text = (
        f"{len(clips)} enquiries, one after another, {seconds} s in real time over `WS /v1/stream`, default settings. "
        "A final's delay runs from sending the sample that completes the silence; direct is faster-whisper on the same "
        "stretch of audio, on an otherwise idle machine."
    )
    return "\n\n".join([text, table(heads, rows), "\n".join(bar.line() for bar in bars)])


def said(clips: list[Clip], seconds: float) -> list[Clip]:
    """As many as fit, over and over, with silence at the end."""
    used = 0.0

    def fits(clip: Clip) -> bool:
        nonlocal used
        used += clip.seconds + GAP_SECONDS
        return used <= seconds - TAIL_SECONDS

    return list(takewhile(fits, cycle(clips)))


def row(
    speakers: int, clips: list[Clip], sessions: list[Session], direct: list[float], ratios: list[float]
) -> list[str]:
    delays = [delay for session in sessions for delay in session.delays()]
    finals = [final for session in sessions for _, final in session.finals]
    reference = " ".join(clip.reference for clip in clips)
    heard = [" ".join(final["text"] for _, final in session.finals) for session in sessions]
    rates = [characters(reference, text).rate for text in heard]
    return [
        str(speakers),
        str(len(finals)),
        spread([delay + final["seconds"]["silence"] for delay, final in zip(delays, finals, strict=True)]),
        spread(delays),
        spread(direct),
        f"{statistics.median(ratios):.2f}",
        f"{high(ratios):.2f}",
        f"{statistics.median(trend(session) for session in sessions):+.2f}",
        spread([session.done - session.finished for session in sessions]),
        str(sum(session.partials for session in sessions)),
        str(sum(final["partials_dropped"] for final in finals)),
        str(sum(session.flickers for session in sessions)),
        str(sum(len(session.errors) for session in sessions)),
        f"{statistics.mean(rates):.3f}",
    ]


def bars_of(speakers: int, sessions: list[Session], ratios: list[float]) -> list[Bar]:
    who = f"{speakers} session{'s' if speakers > 1 else ''}"
    bars = (
        [] if speakers > 1 else [Bar(f"{who}: final after endpoint ÷ direct, median", statistics.median(ratios), 1.3)]
    )
    lag = max(session.late for session in sessions)
    grown = statistics.median(trend(session) for session in sessions)
    bars.append(Bar(f"{who}: delay of finals in the last quarter − in the first, s", grown, 0.5))
    bars.append(Bar(f"{who}: the most that reading audio fell behind, s", lag, 0.5))
    return bars


def high(values: list[float]) -> float:
    """90th percentile."""
    return sorted(values)[int(0.9 * (len(values) - 1))]


def trend(session: Session) -> float:
    """Seconds by which finals came later at the end of the stream than at its beginning."""
    delays = session.delays()
    quarter = max(1, len(delays) // 4)
    return statistics.median(delays[-quarter:]) - statistics.median(delays[:quarter])


def speak(port: int, stream: Clip, samples: Samples, **options: object) -> Session:
    """`options` are more fields of `start`."""
    session = Session()
    with connect(f"ws://127.0.0.1:{port}/v1/stream", proxy=None, max_size=None) as socket:
        socket.send(json.dumps({"type": "start", "sample_rate": RATE, "language": stream.language} | options))
        ready = json.loads(socket.recv(60))
        if ready["type"] != "ready":
            raise RuntimeError(f"the session did not begin: {ready}")
        listener = threading.Thread(target=listen, args=(socket, session))
        listener.start()
        frame = round(FRAME_SECONDS * RATE)
        session.begun = time.perf_counter()
        for first in range(0, len(samples), frame):
            due = session.begun + (first + frame) / RATE  # a frame is sent when it has been said
            time.sleep(max(0.0, due - time.perf_counter()))
            socket.send(samples[first : first + frame].tobytes())
            session.late = max(session.late, time.perf_counter() - due)
        session.finished = time.perf_counter()
        socket.send(json.dumps({"type": "finish"}))
        listener.join(120)
    return session


def listen(socket: ClientConnection, session: Session) -> None:
    """Until the server hangs up."""
    stable: dict[int, str] = {}
    for message in socket:
        now, event = time.perf_counter(), json.loads(message)
        match event["type"]:
            case "partial":
                session.partials += 1
                session.flickers += not event["text"].startswith(stable.get(event["utterance"], ""))
                stable[event["utterance"]] = event["stable"]
            case "final":
                session.flickers += not event["text"].startswith(stable.get(event["utterance"], ""))
                session.finals.append((now, event))
            case "error":
                session.errors.append(event["detail"])
            case "done":
                session.done = now


def direct_seconds(direct: Side, session: Session, samples: Samples) -> list[float]:
    """How long faster-whisper takes for each utterance, from what was said to where the endpoint was."""
    took = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (_, final) in enumerate(session.finals):
            path = Path(folder) / f"{number}.wav"
            write_wave(path, samples[round(final["start"] * RATE) : round(final["end"] * RATE)])
            clip = Clip(path.stem, path, final["end"] - final["start"], "ko", "")
            times = []
            for _ in range(DIRECT_TIMES):
                begun = time.perf_counter()
                direct.transcribe(clip)
                times.append(time.perf_counter() - begun)
            took.append(statistics.median(times))
    return took
