"""`python -m chammal_tts` serves; with `--openapi` it prints the OpenAPI document instead."""

from chammal_kit.serve import main
from chammal_tts.app import create
from chammal_tts.settings import TtsSettings

if __name__ == "__main__":
    settings = TtsSettings()
    main(create(settings), settings)
