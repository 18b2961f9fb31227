"""`python -m chammal_stt` serves; `python -m chammal_stt --openapi` prints the OpenAPI document."""

import json
import sys

from chammal_kit.logs import configure_logging
from chammal_kit.serve import serve
from chammal_stt.app import create
from chammal_stt.settings import SttSettings


def main() -> None:
    settings = SttSettings()
    app = create(settings)
    if "--openapi" in sys.argv[1:]:
        sys.stdout.write(json.dumps(app.openapi(), ensure_ascii=False, indent=2) + "\n")
        return
    configure_logging(settings)
    serve(app, settings)


if __name__ == "__main__":
    main()
