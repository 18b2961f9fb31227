"""`make bench`: every benchmark, one after another. They take about an hour; each also runs alone."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RUNS = (
    (str(HERE / "upload_memory.py"),),
    (str(HERE / "calls_search.py"),),
    ("-m", "bench.calls_accept"),
    ("-m", "bench.gateway"),
    ("-m", "bench.stt"),
    ("-m", "bench.conversation"),
    ("-m", "bench.spoken", "--out", "bench/results/spoken.md"),
)

if __name__ == "__main__":
    failed = [
        " ".join(run) for run in RUNS if subprocess.run([sys.executable, *run], cwd=HERE.parent, check=False).returncode
    ]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
