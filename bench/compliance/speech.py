"""A scripted call, spoken: two voices of our tts, one on each channel at 8 kHz, and what our stt makes of it."""

import io
from collections.abc import Iterable, Mapping

import av
import httpx2
import numpy as np
from bench.stt.audio import Samples

from chammal_api.calls.utterances import to_transcript
from chammal_contracts.asr import Transcription
from chammal_contracts.checks import Speaker, Utterance

RATE = 8000
GAP_SECONDS = 0.45
VOICES: Mapping[Speaker, str] = {Speaker.AGENT: "nova", Speaker.CUSTOMER: "onyx"}
"""A woman and a man."""
CHANNEL: Mapping[Speaker, int] = {Speaker.AGENT: 0, Speaker.CUSTOMER: 1}


class Telephone:
    """Speaks with the tts service and listens with the stt service, whose addresses it is told."""

    def __init__(self, tts: str, stt: str) -> None:
        self._tts, self._stt = tts, stt
        self._http = httpx2.Client(timeout=600)

    def call(self, utterances: Iterable[Utterance]) -> list[Utterance]:
        """What is heard of it: other turns, other ids, other words."""
        answer = self._http.post(
            f"{self._stt}/v1/audio/transcriptions",
            files={"file": ("call.wav", self._recording(utterances), "audio/wav")},
            data={"channels": "split", "language": "ko", "response_format": "verbose_json"},
        ).raise_for_status()
        return to_transcript(Transcription.model_validate(answer.json())).utterances

    def _recording(self, utterances: Iterable[Utterance]) -> bytes:
        pieces: list[Samples] = []
        for utterance in utterances:
            spoken = self._spoken(utterance)
            piece = np.zeros((2, len(spoken) + round(GAP_SECONDS * RATE)), np.int16)
            piece[CHANNEL[utterance.speaker], : len(spoken)] = spoken
            pieces.append(piece)
        return _mulaw(np.concatenate(pieces, axis=1))

    def _spoken(self, utterance: Utterance) -> Samples:
        body = {"input": utterance.text, "voice": VOICES[utterance.speaker], "response_format": "wav"}
        answer = self._http.post(f"{self._tts}/v1/audio/speech", json=body).raise_for_status()
        with av.open(io.BytesIO(answer.content), "r") as container:
            resampler = av.AudioResampler(format="s16p", layout="mono", rate=RATE)
            frames = [made for frame in container.decode(audio=0) for made in resampler.resample(frame)]
            frames += resampler.resample(None)
        spoken: Samples = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)[0].astype(
            np.int16, copy=False
        )
        return spoken


def _mulaw(channels: Samples) -> bytes:
    made = io.BytesIO()
    with av.open(made, "w", format="wav") as container:
        stream = container.add_stream("pcm_mulaw", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(channels.T).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return made.getvalue()
