"""Character error rate of the running stt service: `python bench/stt_accuracy.py [--url http://127.0.0.1:8003]`.

Every recording of CHAMMAL_TEST_AUDIO (default ../shared/audio) that has a reference text. Punctuation and spaces do not
count. The mean is over files; the total weighs each file by its length.
"""

import argparse
import json
import os
import re
import unicodedata
from pathlib import Path

import httpx2

AUDIO = Path(os.environ.get("CHAMMAL_TEST_AUDIO", Path(__file__).parents[2] / "shared" / "audio"))


def letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


def edits(said: str, heard: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(heard, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def transcribe(client: httpx2.Client, path: Path, language: str) -> str:
    answer = client.post(
        "/v1/audio/transcriptions",
        files={"file": (path.name, path.read_bytes())},
        data={"model": "whisper-1", "language": language, "response_format": "json"},
    )
    answer.raise_for_status()
    return str(answer.json()["text"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8003")
    rows: dict[str, list[tuple[int, int]]] = {}
    print("| file | seconds | CER | heard |\n|---|---|---|---|")
    with httpx2.Client(base_url=parser.parse_args().url, timeout=600, trust_env=False) as client:
        for entry in json.loads((AUDIO / "manifest.json").read_text(encoding="utf-8")):
            # the stereo clip's reference is by channel, and channels are mixed here
            if not entry["reference"] or entry["file"] == "en_stereo_two_readers.wav":
                continue
            heard = transcribe(client, AUDIO / entry["file"], entry["language"])
            said = letters(entry["reference"])
            wrong = edits(said, letters(heard))
            rows.setdefault(entry["language"], []).append((wrong, len(said)))
            print(f"| {entry['file']} | {entry['seconds']} | {wrong / len(said):.3f} | {heard[:60]} |", flush=True)
    for language, counts in rows.items():
        mean = sum(wrong / length for wrong, length in counts) / len(counts)
        total = sum(wrong for wrong, _ in counts) / sum(length for _, length in counts)
        print(f"\n{language}: mean CER {mean:.3f}, total CER {total:.3f}, {len(counts)} files")


if __name__ == "__main__":
    main()
