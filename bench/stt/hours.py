"""Memory of the stt service while it transcribes a recording of hours: `python -m bench.stt.hours [--hours 6]`.

The recording is the two-channel call of CHAMMAL_TEST_AUDIO every ten minutes and silence between, as FLAC at 8 kHz,
sent with channels=split; with --continuous an English reader without a pause, in one channel. Both are sent with
stream=true. Prints the memory of all processes of the service when idle and at the peak.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path

import av
import httpx2
import numpy as np
from bench.options import add_models
from bench.stt.audio import Samples, decode, decode_channels
from bench.stt.machine import megabytes
from bench.stt.sides import ROOT, Chammal

AUDIO = Path(os.environ.get("CHAMMAL_TEST_AUDIO", ROOT.parent / "shared" / "audio"))
CALL = "ko_call_two_channel_8k.wav"
READER = "en_katiesteve_mono.wav"
RATE = 8_000
PART_SECONDS = 599
"""Ten minutes, a little less: six hours of them are within the service's limit."""


def calls() -> Samples:
    part = np.zeros((RATE * PART_SECONDS, 2), np.int16)
    call = decode_channels(AUDIO / CALL, RATE).T
    part[: len(call)] = call
    return part


def reader() -> Samples:
    return np.resize(decode(AUDIO / READER, RATE), RATE * PART_SECONDS).reshape(-1, 1)


def build(path: Path, hours: int, part: Samples) -> None:
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE)
        stream.layout, stream.format = ("mono", "stereo")[part.shape[1] - 1], "s16"
        queue = av.AudioFifo()
        for _ in range(hours * 6):
            frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout=stream.layout.name)
            frame.sample_rate = RATE
            queue.write(frame)
            while (piece := queue.read(4096)) is not None:
                container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def transcribe(address: str, path: Path, fields: dict[str, str]) -> dict[str, object]:
    fields = {**fields, "stream": "true", "response_format": "verbose_json"}
    last: dict[str, object] = {}
    with (
        path.open("rb") as recording,
        httpx2.stream(
            "POST", f"{address}/v1/audio/transcriptions", files={"file": recording}, data=fields, timeout=15_000
        ) as answer,
    ):
        for line in answer.iter_lines():
            if line.startswith("data:"):
                last = json.loads(line[5:])
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=6)
    parser.add_argument("--continuous", action="store_true", help="speech without a pause")
    parser.add_argument("--model", default="whisper-base")
    add_models(parser)
    arguments = parser.parse_args()
    hours, continuous = arguments.hours, arguments.continuous
    fields = {"language": "en"} if continuous else {"language": "ko", "channels": "split"}
    with tempfile.TemporaryDirectory() as workshop:
        path = Path(workshop) / "hours.flac"
        build(path, hours, reader() if continuous else calls())
        service = Chammal(arguments.models_dir / arguments.model, threads=1)
        service.start()
        try:
            address = f"http://127.0.0.1:{service.port}"
            transcribe(
                address, AUDIO / (READER if continuous else CALL), fields
            )  # every process is up after it, with the model
            idle = megabytes(service.pid)
            peaks, over = [idle], threading.Event()

            def watch() -> None:
                while not over.wait(0.5):
                    peaks.append(megabytes(service.pid))

            watcher = threading.Thread(target=watch)
            watcher.start()
            begun = time.monotonic()
            try:
                done = transcribe(address, path, fields)
            finally:
                over.set()
                watcher.join()
        finally:
            service.stop()
    if done.get("type") != "transcript.text.done":
        raise SystemExit(f"it ended with {done}")
    print(
        f"{hours} h: {idle:.0f} MB idle, {max(peaks):.0f} MB at the peak (+{max(peaks) - idle:.0f} MB), "
        f"{time.monotonic() - begun:.0f} s, {len(str(done['text']))} characters"
    )


if __name__ == "__main__":
    main()
