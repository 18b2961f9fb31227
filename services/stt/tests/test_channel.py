import os
import socket

from chammal_stt.channel import LENGTH, Channel
from chammal_stt.settings import SttSettings


def test_the_largest_batch_arrives_with_all_its_descriptors() -> None:
    largest = next(limit.le for limit in SttSettings.model_fields["batch_size"].metadata if hasattr(limit, "le"))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    sent = os.open(os.devnull, os.O_RDONLY)
    with ours, theirs:
        socket.send_fds(ours, [LENGTH.pack(2) + b"{}"], [sent] * largest)
        body, received = Channel(theirs).receive()
    for descriptor in [sent, *received]:
        os.close(descriptor)
    assert (body, len(received)) == (b"{}", largest)
