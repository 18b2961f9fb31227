"""Where a benchmark finds its recordings and its models."""

import argparse
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def add_audio(parser: argparse.ArgumentParser) -> None:
    """`--audio`, else CHAMMAL_TEST_AUDIO."""
    default = Path(os.environ.get("CHAMMAL_TEST_AUDIO") or ROOT.parent / "shared" / "audio")
    parser.add_argument("--audio", type=Path, default=default)


def add_models(parser: argparse.ArgumentParser) -> None:
    """`--models-dir`, else CHAMMAL_MODELS_DIR; an absolute path either way."""
    default = os.environ.get("CHAMMAL_MODELS_DIR") or str(ROOT / "models")
    parser.add_argument("--models-dir", type=lambda told: Path(told).resolve(), default=default)
