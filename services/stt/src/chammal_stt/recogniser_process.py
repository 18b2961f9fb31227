"""`python -m chammal_stt.recogniser_process SOCKET MODEL_DIRECTORY COMPUTE_TYPE THREADS`: the child that holds Whisper.

faster-whisper brings an OpenMP runtime that must not share a process with the asyncio server.
"""

import json
import os
import resource
import sys
from pathlib import Path

import numpy as np

from chammal_stt.channel import Channel, Disconnected
from chammal_stt.messages import Hello, RecogniseJob, RecogniseReply
from chammal_stt.whisper import Abandoned, Whisper


def main(arguments: list[str]) -> None:
    descriptor, directory, compute_type, threads = arguments
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    channel = Channel.inherited(int(descriptor))
    try:
        whisper = Whisper(Path(directory), compute_type, int(threads))
        whisper.try_one_second()
    except Exception as error:  # noqa: BLE001  the process boundary: the web process reports it in /ready
        channel.send(Hello(os.getpid(), error=f"{type(error).__name__}: {error}"))
        return
    channel.send(Hello(os.getpid()))
    while True:
        try:
            body, descriptors = channel.receive()
            if body:
                channel.send(_run(whisper, channel, RecogniseJob(**json.loads(body)), descriptors[0]))
        except (Disconnected, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
            return


def _run(whisper: Whisper, channel: Channel, job: RecogniseJob, descriptor: int) -> RecogniseReply:
    try:
        with open(descriptor, "rb") as recording:
            samples = np.memmap(recording, dtype=np.int16, mode="r", shape=(job.samples,))
            return whisper.transcribe(samples, job, channel.interrupted)
    except Abandoned:
        return RecogniseReply(abandoned=True)
    except Exception as error:  # noqa: BLE001  the process boundary: the failure belongs to one request
        return RecogniseReply(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
