"""Progress of downloads and batches: a bar on a terminal, one line for every tenth elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from chammal.sources import Meter


class ConsoleReporter:
    """Writes to stderr, so that stdout stays for results."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    @contextmanager
    def meter(self, label: str, total: int, done: int) -> Iterator[Meter]:
        if not self.console.is_terminal:
            yield PlainMeter(self, label, total, done)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            yield _BarMeter(progress, progress.add_task(label, total=total, completed=done))

    @contextmanager
    def count(self, label: str, total: int) -> Iterator[Meter]:
        """Of things, one after another."""
        if not self.console.is_terminal:
            yield PlainCount(self, label, total)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console) as progress:
            yield _BarMeter(progress, progress.add_task(label, total=total))


class _BarMeter:
    def __init__(self, progress: Progress, task: object) -> None:
        self._progress = progress
        self._task = task

    def advance(self, count: int) -> None:
        self._progress.advance(self._task, count)  # type: ignore[arg-type]


class PlainMeter:
    def __init__(self, reporter: ConsoleReporter, label: str, total: int, done: int) -> None:
        self._reporter, self._label, self._total, self._done = reporter, label, total, done
        self._told = done * 10 // total
        reporter.say(f"{label}: {megabytes(total - done)} to fetch")

    def advance(self, count: int) -> None:
        self._done += count
        tenths = self._done * 10 // self._total
        if tenths > self._told:
            self._told = tenths
            self._reporter.say(f"{self._label}: {tenths * 10} % of {megabytes(self._total)}")


class PlainCount:
    def __init__(self, reporter: ConsoleReporter, label: str, total: int) -> None:
        self._reporter, self._label, self._total = reporter, label, total
        self._done = self._told = 0

    def advance(self, count: int) -> None:
        self._done += count
        tenths = self._done * 10 // self._total
        if tenths > self._told:
            self._told = tenths
            self._reporter.say(f"{self._label}: {self._done} of {self._total}")


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 10e6 else f"{size / 1e6:,.0f} MB"
