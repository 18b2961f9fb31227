"""`python -m chammal_stt.decoder_process SOCKET MEMORY_BYTES FILE_BYTES`: the sandboxed child that decodes media."""

import io
import json
import os
import sys
import wave

from chammal_stt import media, sandbox
from chammal_stt.channel import Channel, Disconnected
from chammal_stt.messages import SAMPLE_RATE, DecodeJob, DecodeOutcome, DecodeReply, Hello
from chammal_stt.parent import end_with_parent


def main(arguments: list[str]) -> None:
    end_with_parent()
    descriptor, memory_bytes, file_bytes = map(int, arguments)
    channel = Channel.inherited(descriptor)
    warm = _try_one_second()
    defences = sandbox.enter(memory_bytes, file_bytes)
    error = None if warm.outcome is DecodeOutcome.OK else f"cannot decode a second of silence: {warm.detail}"
    channel.send(Hello(os.getpid(), [str(defence) for defence in defences], error))
    while True:
        try:
            body, descriptors = channel.receive()
        except (Disconnected, KeyboardInterrupt):
            return
        if not body:
            continue
        source, target = descriptors
        channel.send(_run(DecodeJob(**json.loads(body)), source, target))


def _run(job: DecodeJob, source: int, target: int) -> DecodeReply:
    sandbox.limit_cpu(job.cpu_seconds)
    try:
        with open(source, "rb", buffering=1 << 16) as upload:
            upload.seek(0)
            return media.decode(upload, target, job.max_samples, split=job.split)
    finally:
        os.close(target)


def _try_one_second() -> DecodeReply:
    """Loads what decoding loads on first use, while files may still be opened."""
    upload = io.BytesIO()
    with wave.open(upload, "wb") as recording:
        recording.setparams((2, 2, 8_000, 0, "NONE", ""))
        recording.writeframes(bytes(4 * 8_000))
    upload.seek(0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        return media.decode(upload, nowhere, 2 * SAMPLE_RATE, split=True)
    finally:
        os.close(nowhere)


if __name__ == "__main__":
    main(sys.argv[1:])
