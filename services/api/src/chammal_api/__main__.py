"""`python -m chammal_api` serves; with `--openapi` it prints the OpenAPI document instead."""

import json
import sys

from chammal_api.app import create
from chammal_api.settings import ApiSettings
from chammal_kit.logs import configure_logging
from chammal_kit.serve import serve


def main() -> None:
    settings = ApiSettings()
    app = create(settings)
    if sys.argv[1:] == ["--openapi"]:
        json.dump(app.openapi(), sys.stdout, ensure_ascii=False, indent=1, sort_keys=True)
        sys.stdout.write("\n")
        return
    configure_logging(settings)
    serve(app, settings)


if __name__ == "__main__":
    main()
