"""MySQL and MariaDB through PyMySQL."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import pymysql  # type: ignore[import-untyped]
from sqlalchemy import URL
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.schema import ExecutableDDLElement

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store import _sql_tables as tables
from rasa_core.tracker_store._sql_database import GRACE, ClashError, Database

_READ_COMMITTED = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
_LOCK = "SELECT GET_LOCK(%(lock)s, %(seconds)s)"
_UNLOCK = "SELECT RELEASE_LOCK(%(lock)s)"

_RETRY = "Try again."
_RESTARTING = "The server is stopping, starting or out of reach: check the address, and try again when it runs."
_SLOW = "The server is too busy; try again, or give the store a longer timeout."
_LIMIT = "The server has too many connections or too little memory; try again, or raise its limits."
_RIGHTS = "Check user, password, database and rights, on the server and in the URL."
_READ_ONLY = "Connect to the primary server, or make the server writable."
_DISK = "The disk of the server is full, or fails."
_LAYOUT = "Its tables were changed or removed; restore them, or use another database."
_PACKET = "Raise max_allowed_packet on the server."
_CLASHES = {1020, 1062, 1213}
_INDEX_EXISTS = 1061
_LOST = {0, 1053, 1152, 1184, 1927, 2006, 2013, 2014, 2027, 2055}
_UNAVAILABLE = {
    **dict.fromkeys((1040, 1041, 1203, 1226), _LIMIT),
    **dict.fromkeys((1205, 1317, 1969, 3024, 3058), _SLOW),
    **dict.fromkeys((1290, 1792, 1836), _READ_ONLY),
    **dict.fromkeys((3, 1021, 1026, 1030, 1114), _DISK),
    **dict.fromkeys((*_LOST, 2002, 2003, 2005, 2026), _RESTARTING),
}
_MISTAKES = {
    **dict.fromkeys((1044, 1045, 1046, 1049, 1130, 1142, 1227, 1698), _RIGHTS),
    **dict.fromkeys((1054, 1146), _LAYOUT),
    1153: _PACKET,
}


class MySQL(Database):
    """A database of MySQL or MariaDB; parameters as for `Database`."""

    error = pymysql.err.Error
    schema = "DATABASE()"
    index_if_not_exists = False  # MariaDB alone has that.

    def __init__(self, url: URL, timeout: float) -> None:
        self.dialect = MySQLDialect_pymysql(dbapi=pymysql, paramstyle="pyformat")
        super().__init__(url, timeout)
        if not url.database:
            raise StoreError(f"{self.address} names no database: write {url.drivername}://user:password@host/database.")
        (options,) = self.dialect.create_connect_args(url)[1:]
        # The mode is set, too, so that backslashes mean the same wherever the server stands.
        mode = f"SET SESSION sql_mode = 'STRICT_ALL_TABLES', innodb_lock_wait_timeout = {max(math.ceil(timeout), 1)}"
        self._options: dict[str, Any] = {
            "charset": "utf8mb4",
            "connect_timeout": max(math.ceil(timeout), 1),
            "read_timeout": timeout + GRACE,
            "write_timeout": timeout + GRACE,
            "init_command": mode,
            **options,
        }
        self._packet = 0
        put = mysql.insert(tables.ANSWERS)
        others = {one.name: put.inserted[one.name] for one in tables.ANSWERS.c if not one.primary_key}
        self._next_head = self._sql(tables.NEXT_HEAD)
        self._first_head = self._sql(tables.FIRST_HEAD)
        self._add_event = self._sql(tables.ADD_EVENT)
        self._put_answer = self._sql(put.on_duplicate_key_update(others))

    def connect(self) -> Any:
        try:
            connection = pymysql.connect(**self._options, autocommit=True)
        except TypeError as error:
            raise self._failure(StoreError, error, str(error), "Check the options in the URL.") from error
        try:
            self.change(connection, _READ_COMMITTED)
            ((self._packet,),) = self.rows(connection, "SELECT @@max_allowed_packet")
        except BaseException:
            connection.close()
            raise
        return connection

    def socket(self, connection: Any) -> int:
        return int(connection._sock.fileno())

    def abandon(self, connection: Any) -> None:
        connection._force_close()

    def lock(self, connection: Any, name: bytes, seconds: float) -> bool:
        asked = {"lock": self._lock_name(connection, name), "seconds": max(seconds, 0)}
        return self.rows(connection, _LOCK, asked) == [(1,)]

    def unlock(self, connection: Any, name: bytes) -> None:
        self.rows(connection, _UNLOCK, {"lock": self._lock_name(connection, name)})

    def append(
        self, connection: Any, expected: int, events: Sequence[str], head: dict[str, object], answer: dict[str, object]
    ) -> bool:
        self._check_size(connection, [*events, str(head["state"]), str(answer.get("answer", ""))])
        rows = [
            {"sender_id": head["sender_id"], "seq": seq, "event": event} for seq, event in enumerate(events, expected)
        ]
        self.change(connection, "START TRANSACTION")
        changed = self.change(connection, self._next_head, {**head, "id": head["sender_id"], "expected": expected})
        if not changed and not expected:
            changed = self._start(connection, head)
        if changed and rows:
            with connection.cursor() as cursor:
                cursor.executemany(self._add_event, rows)  # PyMySQL joins them to statements of up to 1 MB.
        if changed and answer:
            self.change(connection, self._put_answer, answer)
        self.change(connection, "COMMIT" if changed else "ROLLBACK")
        return bool(changed)

    def define(self, connection: Any, statement: ExecutableDDLElement) -> None:
        try:
            super().define(connection, statement)
        except pymysql.err.OperationalError as error:
            if _code(error) != _INDEX_EXISTS:
                raise

    def is_lost(self, error: Exception) -> bool:
        return _code(error) in _LOST

    def translated(self, error: Exception) -> StoreError:
        code = _code(error)
        reason = str(error.args[1]) if len(error.args) > 1 else str(error)
        if code in _CLASHES:
            return self._failure(ClashError, error, reason, _RETRY)
        if code in _UNAVAILABLE:
            reason = reason or "the connection was lost"
            return self._failure(StoreUnavailableError, error, reason, _UNAVAILABLE[code])
        if code in _MISTAKES:
            return self._failure(StoreError, error, reason, _MISTAKES[code])
        return self._failure(StoreError, error, f"{reason} (error {code})", "See the log of the server.")

    def _start(self, connection: Any, head: dict[str, object]) -> int:
        """Add a head unless there is one; return how many were added."""
        try:
            return self.change(connection, self._first_head, head)
        except pymysql.err.IntegrityError:
            return 0

    def _lock_name(self, connection: Any, name: bytes) -> str:
        """Return a name for a lock, which the server keeps in one list for all databases; 64 characters at most."""
        place = connection.db if isinstance(connection.db, bytes) else str(connection.db).encode()
        return "rasa_core:" + hashlib.blake2b(place + b"\0" + name, digest_size=20).hexdigest()

    def _check_size(self, connection: Any, texts: Sequence[str]) -> None:
        """Refuse what the server would answer by closing the connection."""
        room = self._packet - 16384  # For the rest of the statement.
        for text in texts:
            if 2 * len(text) > room and len(connection.escape(text)) > room:
                raise StoreError(
                    f"cannot use the tracker store {self.address}: an event or state of {len(text)} bytes does not fit "
                    f"into its max_allowed_packet of {self._packet} bytes. {_PACKET}"
                )


def _code(error: Exception) -> int:
    """Return the number of an error of the server or the driver, -1 if it has none."""
    code = error.args[0] if error.args else -1
    return code if isinstance(code, int) else -1
