"""A PostgreSQL of the tests' own, whose processes are killed and paused like those of a service."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import OperationalError

from tests.faults.service import free_port

START_SECONDS = 30
FILLED = "filled"


class Postgres:
    """Raises FileNotFoundError where it is not installed, KeyError where it has no user."""

    def __init__(self) -> None:
        programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="chammal-pg-", dir="/tmp"))  # its user must get there
        self._user: str | None = None
        if os.geteuid() == 0:  # it refuses to run as root
            self._user = "postgres"
            owner = pwd.getpwnam(self._user)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self.port = free_port()
        self._data = self._folder / "data"
        initdb = [programs / "initdb", "-D", self._data, "-U", "chammal", "-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run(
            [*initdb, "--no-sync"],
            check=True,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            user=self._user,
            group=self._user,
        )
        self._program = programs / "postgres"
        self._databases = count()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["-k", self._folder, "-p", str(self.port), "-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._program, "-D", self._data, *options],
                cwd=self._folder,
                user=self._user,
                group=self._user,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                self.tell("postgres", "SELECT 1")
            except OperationalError:
                assert time.monotonic() < give_up, (self._folder / "log").read_text()[-2000:]
                time.sleep(0.1)
            else:
                return

    def url(self, database: str, port: int | None = None) -> str:
        """`port`: of a proxy before it."""
        return f"postgresql://chammal@127.0.0.1:{port or self.port}/{database}"

    def tell(self, database: str, *statements: str) -> None:
        with self._engine(database).connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def hold(self, database: str, table: str) -> Connection:
        """With a lock that lets nobody read or write, until it is closed."""
        connection = self._engine(database).connect()
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        return connection

    def _engine(self, database: str) -> Engine:
        url = self.url(database).replace("://", "+psycopg://")
        return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args=_SOON)

    def make(self, template: str = "template1", name: str | None = None) -> str:
        """The name of a new database."""
        name = name or f"calls_{next(self._databases)}"
        self.tell("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def signal(self, number: signal.Signals) -> None:
        """To all of its processes, each of which is in a group of its own."""
        for pid in self._pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(30)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _pids(self) -> list[int]:
        assert self.process is not None
        server = self.process.pid
        found = subprocess.run(["pgrep", "-P", str(server)], capture_output=True, text=True, check=False).stdout
        return [server, *map(int, found.split())]


_SOON = {"connect_timeout": 2}


def _programs() -> Path:
    found = shutil.which("initdb")
    candidates = [Path(found).parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists():
            return folder
    raise FileNotFoundError("PostgreSQL is not installed")
