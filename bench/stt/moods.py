"""How well the rules of docs/voice.md tell moods that were acted: `python -m bench.stt.moods FOLDER`.

FOLDER holds clips of RAVDESS (Livingstone and Russo 2018, zenodo.org/records/1188976; CC BY-NC-SA, so they are not
here): 03-01-EMOTION-INTENSITY-STATEMENT-REPETITION-ACTOR.wav. Each actor is one live session, the clips in random order
(several orders are averaged). Prints what moods were told of what was acted, without and with the running baseline,
and writes bench/results/moods.md with --write.
"""

import argparse
import random
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.stt.audio import RATE, decode
from bench.stt.sides import ROOT
from bench.stt.table import table

from chammal_contracts.voice import Emotion, VoiceFeatures
from chammal_stt.voice.measure import Audio, Measured
from chammal_stt.voice.pitch import PitchDetector
from chammal_stt.voice.rules import VoiceRules
from chammal_stt.voice.speaker import Speaker, features

ACTED = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgusted",
    "08": "surprised",
}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
RIGHT = {
    "neutral": {Emotion.NEUTRAL},
    "calm": {Emotion.CALM},
    "happy": {Emotion.HAPPY, Emotion.EXCITED},
    "sad": {Emotion.SAD},
    "angry": {Emotion.ANGRY},
}
ORDERS = 5
RESULTS = ROOT / "bench" / "results" / "moods.md"

Told = dict[str, Counter[Emotion]]
"""By what was acted."""


@dataclass(frozen=True)
class Take:
    actor: str
    acted: str
    voice: VoiceFeatures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    takes = read(arguments.folder)
    text = document(takes)
    print(text)
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


def read(folder: Path) -> list[Take]:
    detector, takes = PitchDetector(), []
    for path in sorted(folder.rglob("03-01-*.wav")):
        _, _, emotion, _, statement, _, actor = path.stem.split("-")
        audio: Audio = decode(path).astype(np.float32) / np.float32(32_768)
        measured = Measured(audio, detector.contour(audio)).stretch(0.0, len(audio) / RATE)
        if measured is not None:
            takes.append(Take(actor, ACTED[emotion], features(measured, STATEMENTS[statement], "en")))
    return takes


def listen(takes: list[Take], *, adapting: bool) -> Told:
    told: Told = defaultdict(Counter)
    for order in range(ORDERS):
        for actor in sorted({take.actor for take in takes}):
            session = [take for take in takes if take.actor == actor]
            random.Random(order).shuffle(session)
            speaker = Speaker(VoiceRules())
            for take in session:
                emotion = speaker.judge(take.voice, "en").emotion
                told[take.acted][emotion] += 1
                if adapting:
                    speaker.learn(take.voice, "en", emotion)
    return told


def document(takes: list[Take]) -> str:
    actors = sorted({take.actor for take in takes})
    parts = [
        f"# Moods that were acted\n\n`python -m bench.stt.moods FOLDER`: {len(takes)} clips of RAVDESS by actors "
        f"{', '.join(actors)}, two sentences in eight moods. Each actor is one live session; {ORDERS} random orders. "
        "Rows are what was acted, columns the share of what was told. The rules have no word for fear, disgust and "
        "surprise. Recall is the mean over the five moods that they have; a guess has 0.20."
    ]
    for title, adapting in (("Without the baseline", False), ("With the running baseline", True)):
        told = listen(takes, adapting=adapting)
        rows = [
            [acted, *(f"{told[acted][emotion] / told[acted].total():.2f}" for emotion in Emotion)]
            for acted in ACTED.values()
        ]
        parts += [f"## {title}", table(["acted", *Emotion], rows), f"Recall {recall(told):.2f}."]
    return "\n\n".join(parts) + "\n"


def recall(told: Told) -> float:
    return statistics.mean(
        sum(told[acted][emotion] for emotion in right) / told[acted].total() for acted, right in RIGHT.items()
    )


if __name__ == "__main__":
    main()
