"""Real SQL servers for tests: PostgreSQL and MariaDB, each on a port and with a data folder of its own.

``shared("postgresql")`` starts a server at its first call and stops it when the process ends. Tests that stop, kill or
pause a server share another one.
"""

from __future__ import annotations

import atexit
import functools
import glob
import itertools
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import pymysql
from programs import account, free_port, program, server_program
from real_servers import server_folder, wait_until

from rasa_core.tracker_store.sql import SqlTrackerStore

USER, PASSWORD = "rasa", "p@ss:w/rd"
TABLES = ("rasa_core_heads", "rasa_core_events", "rasa_core_answers")


class SqlServer(ABC):
    """A server that listens on the loopback interface; it keeps port and data when it is started again.

    Parameters
    ----------
    durable
        False: what it acknowledged may be lost if the machine crashes, though not if the server alone does.
    options
        Further arguments of the server's program.
    """

    scheme: str
    account: str

    def __init__(self, *options: str, durable: bool = False) -> None:
        self._server, self._creator = self._programs()
        self._prefix = self._as_account()
        self.port = free_port()
        self.folder = server_folder(self.scheme)
        self.data = self.folder / "data"
        self._log = self.folder / "log"
        self._options = options
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()

    def url(self, database: str = "rasa", *, password: str = PASSWORD, **options: object) -> str:
        address = f"{self.scheme}://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"
        return f"{address}?{urlencode(options)}" if options else address

    def start(self) -> None:
        """Start, and return when it answers."""
        if not self.data.exists():
            self._own(self.folder)
            self._create()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment()
            )
        wait_until(self.is_ready, self._process, self._log)

    def stop(self) -> None:
        """End it as a service manager does."""
        self._end(self._stop_signal)

    def kill(self) -> None:
        """End it, with all processes that it started, as a crash does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it, unless it is stopped or dead, and start it."""
        self.stop()
        self.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it hang: connections are accepted, and nothing is answered."""
        self._signal(signal.SIGSTOP)
        try:
            while not all(map(_is_stopped, self._pids())):  # The signal reaches one thread after the other.
                time.sleep(0.001)
            yield
        finally:
            self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop it, and remove its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self) -> str:
        """Make an empty database, and return its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        with suppress(psycopg.Error, pymysql.err.Error):
            self.execute("SELECT 1")
            return True
        return False

    @abstractmethod
    def execute(self, *statements: str, database: str | None = None) -> list[tuple[object, ...]]:
        """Run statements as the owner of everything, each by itself; return the rows of the last."""

    @staticmethod
    @abstractmethod
    def _programs() -> tuple[str, str]:
        """Return the programs that serve, and that make the data folder; skip the test if one is missing."""

    @abstractmethod
    def _create(self) -> None: ...

    @abstractmethod
    def _command(self) -> list[str]: ...

    _stop_signal: signal.Signals

    def _own(self, folder: Path) -> None:
        """Give `folder` to the account that the server runs as: none of them runs as root."""
        if os.geteuid() == 0:
            user = account(self.account)
            os.chown(folder, user.pw_uid, user.pw_gid)

    def _as_account(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        user = account(self.account)
        setpriv = program("setpriv", "util-linux")
        return [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            [*self._prefix, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=self._environment(),
        )
        assert done.returncode == 0, done.stdout.decode(errors="replace")

    def _environment(self) -> dict[str, str]:
        """Return the environment: a MariaDB that starts removes the temporary tables of all that share its folder."""
        return {**os.environ, "TMPDIR": str(self.folder)}

    def _pids(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if number == signal.SIGKILL:
            self._kill_all(process)
        else:
            process.send_signal(number)
            process.wait()
        self._process = None

    def _kill_all(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the server and its child processes; a new PostgreSQL refuses its data while one of them is left."""
        process.send_signal(signal.SIGSTOP)  # So that it starts no more of them.
        pids = self._pids()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        while not all(map(_is_gone, pids)):
            time.sleep(0.001)


class PostgresServer(SqlServer):
    """PostgreSQL."""

    scheme = "postgresql"
    account = "postgres"
    _stop_signal = signal.SIGINT

    def execute(self, *statements: str, database: str | None = None) -> list[tuple[object, ...]]:
        address = self.url(database or "postgres")
        with psycopg.connect(address, connect_timeout=5, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @staticmethod
    def _programs() -> tuple[str, str]:
        folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
        postgres, initdb = (server_program(name, "postgresql", *folders) for name in ("postgres", "initdb"))
        return postgres, initdb

    def _create(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        self._own(password)
        options = ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--auth=scram-sha-256"]
        self._run(self._creator, f"--pgdata={self.data}", f"--username={USER}", f"--pwfile={password}", *options)

    def _command(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            **({} if self._durable else {"fsync": "off"}),
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*self._prefix, self._server, "-D", str(self.data), *arguments, *self._options]

    def start(self) -> None:
        new = not self.data.exists()
        super().start()
        if new:
            self.execute("CREATE DATABASE rasa")


class MariaServer(SqlServer):
    """MariaDB."""

    scheme = "mariadb"
    account = "mysql"
    _stop_signal = signal.SIGTERM

    def execute(self, *statements: str, database: str | None = None) -> list[tuple[object, ...]]:
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, database=database, autocommit=True
        )
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    @staticmethod
    def _programs() -> tuple[str, str]:
        mariadbd, install = (server_program(name, "mariadb-server") for name in ("mariadbd", "mariadb-install-db"))
        return mariadbd, install

    def _create(self) -> None:
        self._run(self._creator, "--no-defaults", f"--datadir={self.data}", "--skip-test-db", "--skip-name-resolve")
        begin = self.folder / "begin.sql"
        begin.write_text(
            f"CREATE USER IF NOT EXISTS {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO {USER}@'127.0.0.1' WITH GRANT OPTION;\nCREATE DATABASE IF NOT EXISTS rasa;\n"
        )
        self._own(begin)

    def _command(self) -> list[str]:
        settings = {
            "datadir": self.data,
            "port": self.port,
            "bind-address": "127.0.0.1",
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "init-file": self.folder / "begin.sql",
            "innodb-buffer-pool-size": "32M",
            "innodb-flush-log-at-trx-commit": 1 if self._durable else 2,
        }
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        return [*self._prefix, self._server, "--no-defaults", "--skip-name-resolve", *arguments, *self._options]


def _is_gone(pid: int) -> bool:
    """Tell whether a process has ended, though its parent may not have looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _is_stopped(pid: int) -> bool:
    """Tell whether no thread of a process runs."""
    states = [task.read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) <= {"T", "t", "Z"}


SERVERS: dict[str, type[SqlServer]] = {"postgresql": PostgresServer, "mariadb": MariaServer}


@contextmanager
def running(name: str, *options: str, durable: bool = False) -> Iterator[SqlServer]:
    """Run a server of its own."""
    server = SERVERS[name](*options, durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@functools.cache
def shared(name: str, use: str = "whole") -> SqlServer:
    """Return a server that tests of this process share; the database ``rasa`` is there to be emptied.

    Tests may kill and pause that for the use ``mortal``; each leaves it running.
    """
    server = SERVERS[name]()
    atexit.register(server.remove)
    server.start()
    return server


@functools.cache
def _with_tables(name: str) -> SqlServer:
    server = shared(name)
    with SqlTrackerStore(url=server.url(), timeout=20) as store:
        store.sender_ids(limit=1)
    return server


def emptied(name: str) -> SqlServer:
    """Return the server that all tests share, without conversations."""
    server = _with_tables(name)
    server.execute(*(f"DELETE FROM {table}" for table in TABLES), database="rasa")
    return server


def empty_store(name: str) -> SqlTrackerStore:
    """Return a store without conversations, on the server that all tests share."""
    return SqlTrackerStore(url=emptied(name).url(), timeout=20)
