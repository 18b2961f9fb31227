"""`chammal models fetch | list | verify`."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chammal.fetch import Fetcher, FetchFailed
from chammal.progress import ConsoleReporter, megabytes
from chammal.settings import UpSettings
from chammal_kit.models import (
    Located,
    Manifest,
    Model,
    ModelCorrupt,
    ModelMissing,
    find,
    is_complete,
    load_manifest,
)


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    models = commands.add_parser("models", help="fetch, list and verify model weights")
    actions = models.add_subparsers(required=True, metavar="ACTION")
    for name, run, text in (
        ("fetch", fetch, "download what is missing (all defaults, or the ids given) and verify it"),
        ("list", show, "what the manifest knows and what is here"),
        ("verify", verify, "read every byte that is here and compare its sha256"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.set_defaults(run=run)
        action.add_argument("--models-dir", type=Path, default=None, help="default: CHAMMAL_MODELS_DIR or ./models")
        action.add_argument("--manifest", type=Path, default=None, help="default: models/manifest.toml")
        if name != "list":
            action.add_argument("ids", nargs="*", metavar="ID")


def fetch(arguments: argparse.Namespace) -> int:
    manifest, folder = _manifest(arguments)
    reporter = ConsoleReporter()
    return 0 if fetch_all(_chosen(manifest, arguments.ids), Fetcher(manifest, folder, reporter)) else 1


def fetch_all(models: list[Model], fetcher: Fetcher) -> bool:
    """Fetches what is missing and says what is where. False when something could not be had."""
    complete = True
    for model in models:
        if model.fetched_by != "chammal":
            fetcher.reporter.say(f"{model.id}: {model.fetched_by} fetches it by itself when it starts")
            continue
        try:
            fetcher.reporter.say(_found(fetcher.fetch(model.id)))
        except FetchFailed as error:
            fetcher.reporter.say(str(error))
            complete = False
    return complete


def _found(located: Located) -> str:
    instead = f", the equivalent of {located.asked.id}" if located.is_equivalent else ""
    return f"{located.model.id}{instead}: verified in {located.path}"


def show(arguments: argparse.Namespace) -> int:
    manifest, folder = _manifest(arguments)
    table = Table("id", "role", "size", "licence", "languages", "default", "here", box=None, pad_edge=False)
    for model in manifest.model:
        table.add_row(
            model.id,
            model.role,
            megabytes(model.size) if model.files else "",
            model.licence,
            ", ".join(model.languages),
            "yes" if model.default else "",
            _state(manifest, model, folder),
        )
    Console(highlight=False).print(table)
    return 0


def _state(manifest: Manifest, model: Model, folder: Path) -> str:
    if model.fetched_by != "chammal":
        return f"by {model.fetched_by}"
    return "yes" if is_complete(manifest, folder, model.id) else "no"


def verify(arguments: argparse.Namespace) -> int:
    manifest, folder = _manifest(arguments)
    reporter = ConsoleReporter()
    good = True
    for model in _chosen(manifest, arguments.ids):
        if model.fetched_by != "chammal":
            continue
        try:
            reporter.say(_found(find(manifest, folder, model.id)))
        except (ModelMissing, ModelCorrupt) as error:
            reporter.say(str(error))
            good = False
    return 0 if good else 1


def _manifest(arguments: argparse.Namespace) -> tuple[Manifest, Path]:
    settings = UpSettings()
    return load_manifest(arguments.manifest or settings.models_manifest), arguments.models_dir or settings.models_dir


def _chosen(manifest: Manifest, ids: list[str]) -> list[Model]:
    return [manifest.get(model_id) for model_id in ids] or [model for model in manifest.model if model.default]
