"""How much of what tts says is understood: sentences spoken by our text-to-speech, then heard by our speech-to-text.

    python -m bench.spoken [--sentences held] [--voices alloy,ash] [--out bench/results/spoken.md]

Real processes over HTTP, default settings. The rate also holds the recogniser's own mistakes. Punctuation, spaces (in
Korean) and case do not count; a number may be heard in digits or in words.
"""

import argparse
import json
import tempfile
import urllib.request
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.mesh import Mesh
from bench.spoken.sentences import Sentence, read
from bench.stt.machine import description
from bench.stt.score import Score, total
from bench.stt.table import Bar, table

BARS = {"ko": ("CER of Korean", 0.15), "en": ("WER of English", 0.07)}
SECONDS = 120.0


@dataclass(frozen=True)
class Heard:
    sentence: Sentence
    voice: str
    text: str

    @property
    def score(self) -> Score:
        return self.sentence.score(self.text)


def measure(mesh: Mesh, sentences: Sequence[Sentence], voice: str) -> list[Heard]:
    found = []
    for sentence in sentences:
        heard = Heard(sentence, voice, transcribe(mesh, speak(mesh, sentence, voice), sentence.language))
        found.append(heard)
        print(f"{voice} {heard.score.rate:.2f} {sentence.text} → {heard.text}", flush=True)
    return found


def speak(mesh: Mesh, sentence: Sentence, voice: str) -> bytes:
    body = json.dumps({"input": sentence.text, "voice": voice, "response_format": "wav"}).encode()
    return _post(f"{mesh.url('tts')}/v1/audio/speech", body, "application/json")


def transcribe(mesh: Mesh, audio: bytes, language: str) -> str:
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="language"\r\n\r\n{language}\r\n--{boundary}\r\n'
    head += 'Content-Disposition: form-data; name="file"; filename="spoken.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    body = head.encode() + audio + f"\r\n--{boundary}--\r\n".encode()
    answer = _post(f"{mesh.url('stt')}/v1/audio/transcriptions", body, f"multipart/form-data; boundary={boundary}")
    return str(json.loads(answer)["text"])


def _post(url: str, body: bytes, kind: str) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        told: bytes = answer.read()
        return told


def report(heard: Sequence[Heard], name: str) -> str:
    lines = [
        "# What is understood of what tts says",
        f"`python -m bench.spoken --sentences {name}`. {description(2)}",
        "Sentences that our text-to-speech speaks (Kokoro, int8) and our speech-to-text hears (Whisper base, int8), "
        "over HTTP with default settings. The rate also holds the recogniser's own mistakes: on people's Korean "
        "narration it has a CER of 0.06 ([speech.md](speech.md)).",
    ]
    voices = list(dict.fromkeys(one.voice for one in heard))
    rows = [
        [
            voice,
            *(_rate([one for one in heard if (one.voice, one.sentence.language) == (voice, lang)]) for lang in BARS),
        ]
        for voice in voices
    ]
    lines.append(table(["voice", "Korean CER", "English WER"], rows))
    bars = [
        Bar(f"{said}, {voices[0]}", total(scores).rate, limit)
        for language, (said, limit) in BARS.items()
        if (scores := [one.score for one in heard if one.sentence.language == language and one.voice == voices[0]])
    ]
    lines.append("\n".join(bar.line() for bar in bars))
    wrong = [one for one in heard if one.voice == voices[0] and one.score.wrong]
    rows = [[f"{one.score.rate:.2f}", _cell(one.sentence.text), _cell(one.text)] for one in wrong]
    lines += [f"## Heard with mistakes ({voices[0]})", table(["rate", "said", "heard"], rows)]
    return "\n\n".join(lines) + "\n"


def _rate(heard: Sequence[Heard]) -> str:
    return f"{total(one.score for one in heard).rate:.3f} ({len(heard)})" if heard else "–"


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sentences", default="held")
    parser.add_argument("--voices", default="alloy", help="the first one's rates are held against the bars")
    parser.add_argument("--languages", default="ko,en")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    sentences = [one for language in asked.languages.split(",") for one in read(asked.sentences, language)]
    with tempfile.TemporaryDirectory() as folder:
        mesh = Mesh(Path(folder), {})
        try:
            mesh.start("stt", "tts")
            heard = [one for voice in asked.voices.split(",") for one in measure(mesh, sentences, voice)]
        finally:
            mesh.stop()
    text = report(heard, asked.sentences)
    print(text)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
