"""`python -m chammal_stt` serves; with `--openapi` it prints the OpenAPI document instead."""

from chammal_kit.serve import main
from chammal_stt.app import create
from chammal_stt.settings import SttSettings

if __name__ == "__main__":
    settings = SttSettings()
    main(create(settings), settings, websockets=True)
