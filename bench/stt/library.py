"""faster-whisper itself, in a process of its own: `python library.py MODEL THREADS BATCH`; a JSON line in, one out."""

import json
import sys
from typing import Any

from faster_whisper import BatchedInferencePipeline, WhisperModel


def main() -> None:
    directory, threads, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    model = WhisperModel(directory, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True)
    options: dict[str, Any] = {"batch_size": batch} if batch else {}
    transcriber = BatchedInferencePipeline(model) if batch else model
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        path, language = json.loads(line)
        segments, _ = transcriber.transcribe(path, language=language, **options)
        print(json.dumps("".join(segment.text for segment in segments)), flush=True)


if __name__ == "__main__":
    main()
