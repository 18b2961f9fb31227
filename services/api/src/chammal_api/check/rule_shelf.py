"""The rule sets of a folder, one YAML file each, read anew when they change. A broken file takes nothing away."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import Gauge
from pydantic import ValidationError

from chammal_api.check.rules import RuleSet
from chammal_kit.logs import component_logger

log = component_logger("Rules")

RULES = Path("rules")
"""Below the folder that the service runs in, or else of this package."""
MAX_FILE_BYTES = 4 << 20
_LOOK_SECONDS = 1.0
_SHOWN_ERRORS = 3

BROKEN = Gauge("chammal_rules_broken", "1: a file of rules cannot be read, what it held before stays in force.")

Mark = tuple[int, int, int]


class RulesBroken(ValueError):
    """The text says what is wrong, and where in the file."""


class RuleSetUnknown(LookupError):
    """No rule set of this name is in force."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, which YAML would let win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for number, key in enumerate(keys) if key in keys[:number]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_rules(path: Path) -> RuleSet:
    """Raises RulesBroken."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise RulesBroken(f"{path.name}: larger than {MAX_FILE_BYTES:,} bytes")
        return RuleSet.model_validate(yaml.load(text, Loader=_Loader))  # noqa: S506  a SafeLoader
    except OSError as error:
        raise RulesBroken(f"{path.name} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise RulesBroken(f"{path.name}: {_told(error)}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise RulesBroken(f"{path.name} is not readable YAML: {' '.join(str(error).split())[:300]}") from error


def _told(error: ValidationError) -> str:
    rows = [f"{'.'.join(map(str, row['loc'])) or 'the file'}: {row['msg']}" for row in error.errors(include_url=False)]
    more = len(rows) - _SHOWN_ERRORS
    return "; ".join(rows[:_SHOWN_ERRORS]) + (f"; and {more} more" if more > 0 else "")


def rules_folder(told: Path) -> Path:
    """`told`; the rule sets that come with this package where the default folder is not there."""
    if told != RULES or told.exists():
        return told
    log.info("There is no folder %s here: the rule sets of the package are in force.", told)
    return Path(__file__).parents[1] / "rules"


class RuleShelf:
    """Looks at its folder once a second at most, when it is asked for something."""

    def __init__(self, folder: Path, default: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._default = default
        self._clock = clock
        self._look_at = clock() + _LOOK_SECONDS
        self._marks: dict[Path, Mark] = {}
        self._sets: dict[Path, RuleSet] = {}
        self._broken: dict[Path, str] = {}
        self._missing: str | None = None
        self._look()

    @property
    def problems(self) -> list[str]:
        """What is wrong with files whose former content stays in force, or with the folder."""
        self.refresh()
        by_name = self._by_name()
        missing = [] if self._default in by_name else [f"no rule set {self._default!r} in {self._folder.name}"]
        return [*sorted(self._broken.values()), *([self._missing] if self._missing else []), *missing]

    @property
    def default(self) -> str:
        return self._default

    def all(self) -> list[RuleSet]:
        self.refresh()
        return sorted(self._by_name().values(), key=lambda one: (one.name != self._default, one.name))

    def get(self, name: str | None = None) -> RuleSet:
        """Raises RuleSetUnknown."""
        self.refresh()
        wanted = name or self._default
        found = self._by_name().get(wanted)
        if found is None:
            raise RuleSetUnknown(f"There is no rule set {wanted!r}.")
        return found

    def refresh(self) -> None:
        if self._clock() >= self._look_at:
            self._look()

    def _by_name(self) -> dict[str, RuleSet]:
        return {self._sets[path].name: self._sets[path] for path in sorted(self._sets, reverse=True)}

    def _look(self) -> None:
        self._look_at = self._clock() + _LOOK_SECONDS
        self._look_at_folder()
        BROKEN.set(bool(self._broken or self._missing or self._default not in self._by_name()))

    def _look_at_folder(self) -> None:
        try:
            paths = sorted(path for path in self._folder.iterdir() if path.suffix in (".yaml", ".yml"))
        except OSError as error:
            told = f"the folder of rules {self._folder.name} cannot be read: {error.strerror}"
            missing = f"{told}; CHAMMAL_API_RULES_DIR names it"
            if self._missing != missing:
                log.error("%s", missing)
            self._missing = missing
            return
        self._missing = None
        for gone in set(self._sets) | set(self._broken):
            if gone not in paths:
                self._forget(gone)
        for path in paths:
            self._look_at_file(path)

    def _look_at_file(self, path: Path) -> None:
        try:
            stat = path.stat()
            mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._marks.get(path) == mark:
                return
            self._marks[path] = mark
            read = read_rules(path)
            self._refuse_twin(path, read)
        except (RulesBroken, OSError) as error:
            log.error("The rules from before stay in force. %s", error)
            self._broken[path] = str(error)
            return
        self._broken.pop(path, None)
        known = self._sets.get(path)
        if known is not None and known != read and (known.name, known.version) == (read.name, read.version):
            log.warning(
                "%s has changed and is still version %s: verdicts cannot be told apart", path.name, read.version
            )
        self._sets[path] = read
        log.info("Rule set %s %s: %d elements, from %s", read.name, read.version, len(read.elements), path.name)

    def _refuse_twin(self, path: Path, read: RuleSet) -> None:
        twin = next((other for other, known in self._sets.items() if other != path and known.name == read.name), None)
        if twin is not None:
            raise RulesBroken(f"{path.name}: {twin.name} is a rule set {read.name!r} already")

    def _forget(self, path: Path) -> None:
        """The default stays in force: whoever moves its file for a moment takes no rules away."""
        self._marks.pop(path, None)
        known = self._sets.get(path)
        if known is not None and known.name == self._default:
            if path not in self._broken:
                log.error("The rules from before stay in force. %s is gone", path.name)
            self._broken[path] = f"{path.name} is gone"
            return
        self._broken.pop(path, None)
        self._sets.pop(path, None)
        if known is not None:
            log.warning("Rule set %s is in force no more: %s is gone", known.name, path.name)
