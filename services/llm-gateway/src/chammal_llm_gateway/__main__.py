"""`python -m chammal_llm_gateway` serves; with `--openapi` it prints the committed description of its interface."""

import json
import sys

from chammal_kit.logs import configure_logging
from chammal_kit.serve import serve
from chammal_llm_gateway.app import create
from chammal_llm_gateway.settings import LlmSettings


def main() -> None:
    settings = LlmSettings()
    app = create(settings)
    if "--openapi" in sys.argv[1:]:
        sys.stdout.write(json.dumps(app.openapi(), ensure_ascii=False, indent=2) + "\n")
        return
    configure_logging(settings)
    serve(app, settings)


if __name__ == "__main__":
    main()
