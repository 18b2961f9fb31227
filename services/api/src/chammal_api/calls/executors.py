"""Who works on calls: every process has a name that outlives it, and a heart-beat that does not.

A process takes the first name in its folder that nobody holds, so one that is started again after kill -9 is the same
executor and resumes its own work at once. Where it is not started again, another one that shares the database sees that
the heart-beat stopped, and adopts the work.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

BEAT_SECONDS = 5.0
DEAD_SECONDS = 30.0
"""Without a beat. Of two that work on one call for a moment, the store and the database of workflows believe one."""
_SUFFIX = ".executor"
_TABLES_LOCK = 0x6368616E  # "chan": of PostgreSQL's advisory locks

_tables = sa.MetaData()
_executors = sa.Table(
    "chammal_executors",
    _tables,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("beat_at", sa.BigInteger, nullable=False),
    comment="Processes that analyse calls; seconds on the database's clock.",
)


@contextmanager
def own_name(folder: Path) -> Iterator[str]:
    """A name that no other living process has, held until the end of the block or of the process."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*sorted(folder.glob(f"*{_SUFFIX}")), folder / f"{uuid.uuid4().hex}{_SUFFIX}"):
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            continue
        try:
            yield path.name.removesuffix(_SUFFIX)
        finally:
            os.close(held)
        return
    raise OSError(f"no name could be taken in {folder}")


class Executors:
    """All methods block. Raises SQLAlchemyError."""

    def __init__(self, engine: sa.Engine, own: str) -> None:
        self._engine = engine
        self._own = own
        clock = (
            "CAST(strftime('%s', 'now') AS INTEGER)"
            if engine.dialect.name == "sqlite"
            else "extract(epoch from now())::bigint"
        )
        self._now = sa.literal_column(clock, sa.BigInteger)

    def create(self) -> None:
        """Several processes may start at once."""
        with self._engine.begin() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _TABLES_LOCK})
            _tables.create_all(connection, checkfirst=True)

    def beat(self) -> None:
        with self._engine.begin() as connection:
            beaten = connection.execute(
                _executors.update().where(_executors.c.id == self._own).values(beat_at=self._now)
            )
            if not beaten.rowcount:
                connection.execute(_executors.insert().values(id=self._own, beat_at=self._now))

    def dead(self) -> list[str]:
        with self._engine.connect() as connection:
            long_ago = self._now - int(DEAD_SECONDS)
            query = sa.select(_executors.c.id).where(_executors.c.id != self._own, _executors.c.beat_at < long_ago)
            return list(connection.scalars(query))

    def bury(self, executor: str) -> None:
        """Once its work was adopted; a process that was only asleep is back with its next beat."""
        with self._engine.begin() as connection:
            connection.execute(
                _executors.delete().where(
                    _executors.c.id == executor, _executors.c.beat_at < self._now - int(DEAD_SECONDS)
                )
            )

    def leave(self) -> None:
        """In good order: whoever is left adopts at once."""
        with self._engine.begin() as connection:
            connection.execute(_executors.update().where(_executors.c.id == self._own).values(beat_at=0))
