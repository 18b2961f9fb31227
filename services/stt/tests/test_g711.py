import av
import numpy as np
import pytest

from chammal_contracts.live import AudioEncoding
from chammal_stt.live.g711 import expand


@pytest.mark.parametrize(
    ("encoding", "codec"), [(AudioEncoding.G711_ULAW, "pcm_mulaw"), (AudioEncoding.G711_ALAW, "pcm_alaw")]
)
def test_every_code_means_what_ffmpeg_says(encoding: AudioEncoding, codec: str) -> None:
    codes = bytes(range(256))
    decoder = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = 8_000, "mono"
    frames = decoder.decode(av.Packet(codes))
    assert np.array_equal(expand(encoding, codes), frames[0].to_ndarray()[0])
