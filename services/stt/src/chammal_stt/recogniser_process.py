"""`python -m chammal_stt.recogniser_process SOCKET MODEL_DIRECTORY OPTIONS`: the child that holds Whisper.

faster-whisper brings an OpenMP runtime that must not share a process with the asyncio server. OPTIONS are the JSON of
WhisperOptions.
"""

import json
import os
import resource
import sys
from pathlib import Path

import numpy as np

from chammal_stt.channel import Channel, Disconnected
from chammal_stt.messages import SAMPLE_BYTES, Hello, Piece, RecogniseReply
from chammal_stt.parent import end_with_parent
from chammal_stt.voice.listener import VoiceListener, with_voice
from chammal_stt.whisper import Audio, Whisper, WhisperOptions


def main(arguments: list[str]) -> None:
    descriptor, directory, options = arguments
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    channel = Channel.inherited(int(descriptor))
    try:
        whisper = Whisper(Path(directory), WhisperOptions(**json.loads(options)))
        whisper.try_one_second()
    except Exception as error:  # noqa: BLE001  the process boundary: the web process reports it in /ready
        channel.send(Hello(os.getpid(), error=f"{type(error).__name__}: {error}"))
        return
    channel.send(Hello(os.getpid()))
    listener = VoiceListener()
    while True:
        try:
            body, descriptors = channel.receive()
            pieces = [Piece(**piece) for piece in json.loads(body)["pieces"]]
            channel.send(_run(whisper, listener, pieces, descriptors))
        except (Disconnected, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
            return


def _run(whisper: Whisper, listener: VoiceListener, pieces: list[Piece], descriptors: list[int]) -> RecogniseReply:
    try:
        audios = [_read(descriptor, piece) for descriptor, piece in zip(descriptors, pieces, strict=True)]
        voices = listener.begin(audios, pieces)
        found = zip(whisper.recognise(audios, pieces), pieces, voices, strict=True)
        return RecogniseReply([with_voice(recognition, piece, voice) for recognition, piece, voice in found])
    except Exception as error:  # noqa: BLE001  the process boundary: the failure belongs to one batch
        return RecogniseReply(error=f"{type(error).__name__}: {error}")
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _read(descriptor: int, piece: Piece) -> Audio:
    frame = SAMPLE_BYTES * piece.channels
    data = os.pread(descriptor, piece.samples * frame, piece.first * frame)
    samples = np.frombuffer(data[: len(data) // frame * frame], np.int16)[piece.channel :: piece.channels]
    return samples.astype(np.float32) / np.float32(32_768)


if __name__ == "__main__":
    main(sys.argv[1:])
