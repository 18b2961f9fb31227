"""One live session of half an hour in real time, with partials: `python -m bench.stt.half_hour [--minutes 30]`.

A caller speaks one enquiry after another over `WS /v1/stream`, default settings. Prints, for every five minutes, the
memory of all processes of the service, how late finals came and how far reading fell behind, and writes the table to
bench/results/live-session.md unless the session was shorter.
"""

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

from bench.options import add_audio, add_models
from bench.stt import live, machine
from bench.stt.audio import Library
from bench.stt.score import characters
from bench.stt.sides import ROOT, Chammal
from bench.stt.table import Bar, spread, table

WHOLE_MINUTES = 30
PART_SECONDS = 300
SAMPLE_SECONDS = 5.0
GROWTH_MEGABYTES = 10.0
RESULTS = ROOT / "bench" / "results" / "live-session.md"

Memory = list[tuple[float, float]]
"""Seconds on the clock of `time.perf_counter`, and megabytes of all processes."""


def main() -> None:
    arguments = parse()
    cores = machine.use_cores(2)
    seconds = arguments.minutes * 60
    with tempfile.TemporaryDirectory() as workshop:
        library = Library(arguments.audio, Path(workshop))
        clips = live.said(library.live, seconds)
        stream = library.joined("live", clips, seconds)
        service = Chammal(arguments.models_dir / "whisper-base", threads=len(cores))
        service.start()
        try:
            live.speak(service.port, library.joined("warm", clips[:2], 20), stream.samples()[: 20 * live.RATE])
            memory: Memory = []
            over = threading.Event()
            watcher = threading.Thread(target=watch, args=(service.pid, memory, over))
            watcher.start()
            try:
                session = live.speak(service.port, stream, stream.samples())
            finally:
                over.set()
                watcher.join()
        finally:
            service.stop()
    reference = " ".join(clip.reference for clip in clips)
    rate = characters(reference, " ".join(final["text"] for _, final in session.finals)).rate
    text = document(machine.description(len(cores)), seconds, session, memory, rate)
    print(text)
    if arguments.minutes >= WHOLE_MINUTES:
        RESULTS.write_text(text, encoding="utf-8")


def watch(pid: int, memory: Memory, over: threading.Event) -> None:
    while not over.wait(SAMPLE_SECONDS):
        memory.append((time.perf_counter(), machine.megabytes(pid)))


def document(where: str, seconds: float, session: live.Session, memory: Memory, rate: float) -> str:
    rows = [part(first, session, memory) for first in range(0, int(seconds), PART_SECONDS)]
    heads = ["minutes", "memory, MB", "finals", "final after endpoint, s", "partials dropped"]
    first, middle, last = (
        statistics.median(held(memory, session.begun, begin, begin + PART_SECONDS))
        for begin in (0, seconds / 2, seconds - PART_SECONDS)
    )
    bars = [
        Bar("memory, last five minutes − the first five of the second half, MB", last - middle, GROWTH_MEGABYTES),
        Bar("delay of finals in the last quarter − in the first, s", live.trend(session), 0.5),
        Bar("the most that reading audio fell behind, s", session.late, 0.5),
        Bar("flickers of stable text", float(session.flickers), 0.0),
        Bar("errors", float(len(session.errors)), 0.0),
    ]
    done = session.done - session.finished
    promises = "\n".join(bar.line() for bar in bars)
    return f"""# A live session of {seconds / 60:.0f} minutes

`python -m bench.stt.half_hour`. {where}

One caller speaks one enquiry after another, in real time over `WS /v1/stream`, default settings:
{len(session.finals)} finals, {session.partials} partials, character error rate {rate:.3f}, `done` {done:.2f} s after
the last sample.

{table(heads, rows)}

Memory grew by {middle - first:.0f} MB in the first half, while decoders and buffers met their longest utterances.

{promises}
"""


def part(first: int, session: live.Session, memory: Memory) -> list[str]:
    last = first + PART_SECONDS
    finals = [final for _, final in session.finals if first <= live.endpoint(final) < last]
    delays = [
        delay
        for delay, (_, final) in zip(session.delays(), session.finals, strict=True)
        if first <= live.endpoint(final) < last
    ]
    return [
        f"{first // 60}–{last // 60}",
        spread(held(memory, session.begun, first, last)),
        str(len(finals)),
        spread(delays),
        str(sum(final["partials_dropped"] for final in finals)),
    ]


def held(memory: Memory, begun: float, first: float, last: float) -> list[float]:
    return [megabytes for at, megabytes in memory if first <= at - begun < last]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=WHOLE_MINUTES)
    add_audio(parser)
    add_models(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
