"""`make bench`: every benchmark, one after another. They take about 10 minutes; each also runs alone."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RUNS = (
    ("upload_memory.py",),
    ("stt_overhead.py",),
    ("gateway.py", "--out", str(HERE / "results" / "gateway.md")),
)

if __name__ == "__main__":
    failed = [
        run[0] for run in RUNS if subprocess.run([sys.executable, HERE / run[0], *run[1:]], check=False).returncode
    ]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
