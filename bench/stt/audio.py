"""The recordings that all sides hear, as files: those of CHAMMAL_TEST_AUDIO and what is cut or joined from them."""

import json
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

RATE = 16_000
GAP_SECONDS = 0.7
LONG_SECONDS = 240
CALL = "ko_call_two_channel_8k.wav"
READERS = "en_stereo_two_readers.wav"

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Clip:
    """A file and what is said in it."""

    name: str
    path: Path
    seconds: float
    language: str
    reference: str
    channel_references: tuple[str, ...] = ()
    """Left, right; only of recordings with a speaker a channel."""

    def samples(self) -> Samples:
        """One channel at 16 kHz, for sides that cannot read files."""
        return decode(self.path)


class Library:
    """Reads the manifest; writes what it cuts and joins into `workshop`."""

    def __init__(self, audio: Path, workshop: Path) -> None:
        self._audio = audio
        self._workshop = workshop
        self._entries: list[dict[str, Any]] = json.loads((audio / "manifest.json").read_text(encoding="utf-8"))

    @cached_property
    def naver(self) -> list[Clip]:
        """Short restaurant enquiries."""
        return self._clips("ko_naver_")

    @cached_property
    def azure(self) -> list[Clip]:
        """Narrations."""
        return self._clips("ko_azure_")

    @cached_property
    def call(self) -> Clip:
        entry = self._entry(CALL)
        sides = tuple(" ".join(turn["text"] for turn in entry["turns"] if turn["channel"] == side) for side in "LR")
        return Clip("call", self._audio / CALL, entry["seconds"], "ko", entry["reference"], sides)

    @cached_property
    def english(self) -> list[Clip]:
        readers = self._entry(READERS)
        sides = tuple(part.partition(":")[2].strip() for part in readers["reference"].split("|"))
        stereo = Clip("en_stereo_two_readers", self._audio / READERS, readers["seconds"], "en", " ".join(sides), sides)
        return [*self._clips("en_jfk"), stereo]

    @cached_property
    def turns(self) -> list[Clip]:
        """What one speaker of the call says, cut out of that speaker's channel: mu-law at 8 kHz, as it was recorded."""
        channels = decode_channels(self.call.path, 8000)
        clips = []
        for number, turn in enumerate(self._entry(CALL)["turns"]):
            voice = channels["LR".index(turn["channel"])]
            name = f"call_turn_{number}"
            path = self._workshop / f"{name}.wav"
            write_mulaw(path, voice[round(turn["start"] * 8000) : round(turn["end"] * 8000)])
            clips.append(Clip(name, path, round(turn["end"] - turn["start"], 2), "ko", turn["text"]))
        return clips

    @property
    def short(self) -> list[Clip]:
        """3 to 6 s long."""
        return [clip for clip in (*self.naver, *self.turns) if 3 <= clip.seconds <= 6]

    @cached_property
    def four_minutes(self) -> Clip:
        """Narrations, enquiries and the call, one after another."""
        encore = [clip for clip in self.naver if clip.seconds > 4.9]
        parts = [self.azure[0], *self.naver, self.call, self.azure[1], *encore]
        return self.joined("four_minutes", parts, LONG_SECONDS)

    @cached_property
    def live(self) -> list[Clip]:
        """What somebody says into a live session, one utterance after another; each without a long pause in it."""
        return [clip for clip in self.naver if clip.seconds >= 3]

    def joined(self, name: str, parts: Sequence[Clip], seconds: float) -> Clip:
        gap = np.zeros(round(GAP_SECONDS * RATE), np.int16)
        joined = np.concatenate([piece for clip in parts for piece in (clip.samples(), gap)])
        samples = np.zeros(round(seconds * RATE), np.int16)
        if len(joined) - len(gap) > len(samples):
            raise ValueError(f"{name}: the parts are {len(joined) / RATE:.1f} s, more than {seconds:.1f}")
        kept = joined[: len(samples)]
        samples[: len(kept)] = kept
        path = self._workshop / f"{name}.wav"
        write_wave(path, samples)
        return Clip(name, path, seconds, parts[0].language, " ".join(clip.reference for clip in parts))

    def telephone(self, clips: Sequence[Clip]) -> list[Clip]:
        """The same at 8 kHz in mu-law."""
        made = []
        for clip in clips:
            path = self._workshop / f"{clip.path.stem}_8k.wav"
            write_mulaw(path, decode(clip.path, 8000))
            made.append(Clip(f"{clip.name}_8k", path, clip.seconds, clip.language, clip.reference))
        return made

    def _clips(self, prefix: str) -> list[Clip]:
        return [
            Clip(
                Path(entry["file"]).stem,
                self._audio / entry["file"],
                entry["seconds"],
                entry["language"],
                entry["reference"],
            )
            for entry in self._entries
            if entry["file"].startswith(prefix)
        ]

    def _entry(self, file: str) -> dict[str, Any]:
        return next(entry for entry in self._entries if entry["file"] == file)


def decode(path: Path, rate: int = RATE) -> Samples:
    """All channels mixed into one."""
    return _resampled(path, "mono", rate)[0]


def decode_channels(path: Path, rate: int = RATE) -> Samples:
    """Two channels, a row each."""
    return _resampled(path, "stereo", rate)


def _resampled(path: Path, layout: str, rate: int) -> Samples:
    resampler = av.AudioResampler(format="s16p", layout=layout, rate=rate)
    with av.open(str(path)) as container:
        frames = [made for frame in container.decode(audio=0) for made in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1).astype(np.int16, copy=False)


def write_wave(path: Path, samples: Samples, rate: int = RATE) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def write_mulaw(path: Path, samples: Samples) -> None:
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_mulaw", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 8000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
