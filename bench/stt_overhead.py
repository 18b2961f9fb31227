"""What the stt service costs on top of faster-whisper, in processor seconds of all processes (user + system).

    python bench/stt_overhead.py [--rounds 5] [--models-dir DIR] [FILE ...]

Starts the service with one recogniser, and a second process that calls faster-whisper directly with the same model,
threads and parameters; then both take the same files in turn. Prints a markdown table.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2

ROOT = Path(__file__).resolve().parent.parent
PORT = 8991
TICKS = os.sysconf("SC_CLK_TCK")

# The same calls the service makes, without the service: a path in, a line out.
DIRECT = """
import sys
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8", cpu_threads=1)
vad = {"threshold": 0.35, "min_silence_duration_ms": 2000, "speech_pad_ms": 600} if sys.argv[2] == "vad" else None
print("ready", flush=True)
for line in sys.stdin:
    path, language = line.split("\\t")
    segments, _ = model.transcribe(path, language=language.strip(), vad_filter=vad is not None, vad_parameters=vad)
    print(sum(len(segment.text) for segment in segments), flush=True)
"""


@dataclass
class Direct:
    """faster-whisper in a process of its own."""

    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls, model: Path, vad: str) -> "Direct":
        process = subprocess.Popen(
            [sys.executable, "-c", DIRECT, str(model), vad], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        direct = cls(process)
        direct.line()
        return direct

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def transcribe(self, path: Path, language: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{path}\t{language}\n")
        self.process.stdin.flush()
        self.line()


def cpu_seconds(root: int) -> float:
    """Of the process and all below it that live; every worker here lives throughout."""
    children: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            times[int(entry.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    total, pending = 0.0, [root]
    while pending:
        pid = pending.pop()
        total += times.get(pid, 0.0)
        pending += children.get(pid, [])
    return total


def start_service(models: Path) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "CHAMMAL_STT_PORT": str(PORT),
        "CHAMMAL_STT_WORKERS": "1",
        "CHAMMAL_STT_CPU_THREADS": "1",
        "CHAMMAL_STT_DECODERS": "1",
        "CHAMMAL_STT_LOG_LEVEL": "WARNING",
        "CHAMMAL_MODELS_DIR": str(models),
        "CHAMMAL_MODELS_MANIFEST": str(ROOT / "models" / "manifest.toml"),
    }
    service = subprocess.Popen([sys.executable, "-m", "chammal_stt"], env=environment)
    for _ in range(300):
        try:
            if httpx2.get(f"http://127.0.0.1:{PORT}/ready").status_code == 200:
                return service
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    service.terminate()
    raise SystemExit("the stt service did not become ready")


def over_http(client: httpx2.Client, path: Path, language: str) -> None:
    with path.open("rb") as recording:
        answer = client.post(
            f"http://127.0.0.1:{PORT}/v1/audio/transcriptions",
            files={"file": (path.name, recording)},
            data={"language": language},
        )
    answer.raise_for_status()


def measure(models: Path, files: list[Path], rounds: int) -> None:
    model = models / "whisper-base"
    plain, vad = Direct.start(model, "plain"), Direct.start(model, "vad")
    service = start_service(models)
    print("| file | direct, s | direct with VAD, s | over HTTP, s | HTTP / direct | HTTP / direct with VAD |")
    print("|---|---|---|---|---|---|")
    try:
        with httpx2.Client(timeout=300) as client:
            for path in files:
                language = path.name[:2]
                calls = {
                    plain.process.pid: lambda p=path, n=language: plain.transcribe(p, n),
                    vad.process.pid: lambda p=path, n=language: vad.transcribe(p, n),
                    service.pid: lambda p=path, n=language: over_http(client, p, n),
                }
                spent: dict[int, list[float]] = {pid: [] for pid in calls}
                for round_number in range(rounds + 1):
                    for pid, call in calls.items():
                        before = cpu_seconds(pid)
                        call()
                        if round_number:  # the first warms caches
                            spent[pid].append(cpu_seconds(pid) - before)
                print(row(path.name, *spent.values()))
    finally:
        for process in (plain.process, vad.process, service):
            process.terminate()
            process.wait()


def row(name: str, plain: list[float], vad: list[float], http: list[float]) -> str:
    middle = [statistics.median(values) for values in (plain, vad, http)]
    cells = [f"{median:.2f} ({min(v):.2f}–{max(v):.2f})" for median, v in zip(middle, (plain, vad, http), strict=True)]
    return f"| {name} | {' | '.join(cells)} | {middle[2] / middle[0]:.3f} | {middle[2] / middle[1]:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    audio = Path(os.environ.get("CHAMMAL_TEST_AUDIO", ROOT.parent / "shared" / "audio"))
    parser.add_argument("files", nargs="*", type=Path, default=[audio / "en_jfk.flac", audio / "ko_azure_1.wav"])
    parser.add_argument("--rounds", type=int, default=5)
    default_models = os.environ.get("CHAMMAL_MODELS_DIR", ROOT / "models")
    parser.add_argument("--models-dir", type=Path, default=default_models)
    arguments = parser.parse_args()
    measure(Path(arguments.models_dir).resolve(), [path.resolve() for path in arguments.files], arguments.rounds)


if __name__ == "__main__":
    main()
