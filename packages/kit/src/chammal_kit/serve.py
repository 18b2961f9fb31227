"""Runs an app under uvicorn, as all services are run."""

import json
import sys

import uvicorn
from fastapi import FastAPI

from chammal_kit.logs import configure_logging
from chammal_kit.settings import ServiceSettings

KEEP_ALIVE_SECONDS = 30
"""Longer than the 4 s after which our own clients drop an idle connection, so that no request meets a closed one."""


def serve(app: FastAPI, settings: ServiceSettings) -> None:
    """Blocks until SIGINT or SIGTERM, then finishes what is in flight."""
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def main(app: FastAPI, settings: ServiceSettings) -> None:
    """A service's command line: it serves, or with `--openapi` prints the description of its interface."""
    if sys.argv[1:] == ["--openapi"]:
        sys.stdout.write(json.dumps(app.openapi(), ensure_ascii=False, indent=2) + "\n")
        return
    configure_logging(settings)
    serve(app, settings)
