"""`python -m chammal_tts` serves; `python -m chammal_tts --openapi` prints the OpenAPI document."""

import json
import sys

from chammal_kit.logs import configure_logging
from chammal_kit.serve import serve
from chammal_tts.app import create
from chammal_tts.settings import TtsSettings


def main() -> None:
    settings = TtsSettings()
    app = create(settings)
    if "--openapi" in sys.argv[1:]:
        sys.stdout.write(json.dumps(app.openapi(), ensure_ascii=False, indent=2) + "\n")
        return
    configure_logging(settings)
    serve(app, settings)


if __name__ == "__main__":
    main()
