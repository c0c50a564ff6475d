"""A real PgBouncer before the tests' PostgreSQL server, with fewer connections than a test has threads."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import socket
import subprocess
from contextlib import suppress
from urllib.parse import quote, urlencode

from programs import account, free_port, server_program
from real_servers import server_folder, wait_until
from sql_servers import PASSWORD, USER, emptied, shared

from rasa_core.tracker_store.sql import SqlTrackerStore

CONNECTIONS = 12
_SETTINGS = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {connections}
max_client_conn = 500
"""


class PgBouncer:
    """PgBouncer on a port of its own, in a mode of its own: ``transaction`` or ``session``."""

    def __init__(self, mode: str) -> None:
        self._program = server_program("pgbouncer", "pgbouncer")
        server, self.port = shared("postgresql"), free_port()
        self.folder = server_folder("pgbouncer")
        settings = {"server": server.port, "port": self.port, "folder": self.folder, "mode": mode}
        (self.folder / "settings").write_text(_SETTINGS.format(**settings, connections=CONNECTIONS))
        (self.folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
        user = []
        if os.geteuid() == 0:
            found = account("postgres")
            user = ["-u", found.pw_name]
            for path in (self.folder, self.folder / "settings", self.folder / "users"):
                os.chown(path, found.pw_uid, found.pw_gid)
        log = self.folder / "log"
        with log.open("wb") as output:
            command = [self._program, *user, str(self.folder / "settings")]
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        wait_until(self._is_ready, self._process, log)

    def url(self, database: str = "rasa", **options: object) -> str:
        address = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}"
        return f"{address}?{urlencode(options)}" if options else address

    def remove(self) -> None:
        """End it, and remove its files."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_ready(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False


@functools.cache
def shared_pooler(mode: str = "transaction") -> PgBouncer:
    """Return the pooler that all tests of this process share."""
    pooler = PgBouncer(mode)
    atexit.register(pooler.remove)
    return pooler


def empty_store() -> SqlTrackerStore:
    """Return a store without conversations, behind the pooler."""
    emptied("postgresql")
    return SqlTrackerStore.from_url(shared_pooler().url(pooler="transaction", timeout=20))
