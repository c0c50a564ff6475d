"""MySQL and MariaDB through PyMySQL. A commit is a transaction that changes the head first."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import pymysql  # type: ignore[import-untyped]
from pymysql.constants import CLIENT  # type: ignore[import-untyped]

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store import sql_connections as sql
from rasa_core.tracker_store.sql_connections import Database, query

_LOCK = "SELECT GET_LOCK(%(lock)s, %(seconds)s)"
_UNLOCK = "SELECT RELEASE_LOCK(%(lock)s)"
_NEXT_HEAD = (
    "UPDATE rasa_core_heads SET version = %(version)s, origin = %(origin)s, fingerprint = %(fingerprint)s, "
    "updated = %(updated)s, state = %(state)s WHERE sender_id = %(sender_id)s AND version = %(expected)s"
)
_FIRST_HEAD = (
    "INSERT INTO rasa_core_heads (sender_id, version, origin, fingerprint, updated, state) "
    "VALUES (%(sender_id)s, %(version)s, %(origin)s, %(fingerprint)s, %(updated)s, %(state)s)"
)
_ADD_EVENT = "INSERT INTO rasa_core_events (sender_id, seq, event) VALUES (%s, %s, %s)"
_PUT_ANSWER = (
    "INSERT INTO rasa_core_answers (sender_id, request_key, request, version, complete, created, answer) VALUES "
    "(%(sender_id)s, %(answer_key)s, %(answer_request)s, %(answer_version)s, %(answer_complete)s, "
    "%(answer_created)s, %(answer_text)s) "
    "ON DUPLICATE KEY UPDATE request = VALUES(request), version = VALUES(version), complete = VALUES(complete), "
    "created = VALUES(created), answer = VALUES(answer)"
)

_PACKET = "Raise max_allowed_packet on the server."
_SURELY_FITS = 100_000  # Even if escaping doubles its size, such a text is below `max_allowed_packet` of any server.
_READ_ONLY = "Connect to the primary server, or make the server writable."
_DISK = "The disk of the server is full, or fails."
_MEANINGS: dict[int, sql.Meaning] = {
    **dict.fromkeys((1020, 1062, 1213), sql.CLASH),
    **dict.fromkeys((0, 1053, 1152, 1184, 1927, 2006, 2013, 2014, 2027, 2055), sql.LOST),
    **dict.fromkeys((2002, 2003, 2005, 2026), sql.LOST),  # Errors while connecting.
    **dict.fromkeys((1205, 1317, 1969, 3024, 3058), sql.SLOW),
    **dict.fromkeys((1040, 1203, 1226), sql.FULL),
    1041: (StoreUnavailableError, "The server has too little memory; try again, or give it more."),
    **dict.fromkeys((1290, 1792, 1836), (StoreUnavailableError, _READ_ONLY)),
    **dict.fromkeys((3, 1021, 1026, 1030, 1114), (StoreUnavailableError, _DISK)),
    **dict.fromkeys((1044, 1045, 1046, 1049, 1130, 1142, 1227, 1698), sql.RIGHTS),
    **dict.fromkeys((1054, 1146), sql.LAYOUT),
    1153: (StoreError, _PACKET),
}


class MySQL(Database):
    """A database of MySQL or MariaDB; parameters as for `Database`."""

    driver = "mysql+pymysql"
    error = pymysql.err.Error
    schema = "DATABASE()"
    types: ClassVar = {
        "id": "VARBINARY(2000)",
        "key": "VARBINARY(255)",
        "text": "LONGTEXT",
        "index": ", INDEX rasa_core_answers_created (created)",
        "shown": "CONVERT(sender_id USING utf8mb4)",
    }
    storage = "ENGINE = InnoDB CHARSET = utf8mb4"

    def connector(self) -> Callable[[], Any]:  # noqa: D102
        if not self.url.database:
            raise StoreError(f"{self.address} names no database: write mysql://user:password@host/database.")
        wait = max(math.ceil(self.timeout), 1)
        options = {
            "charset": "utf8mb4",
            "client_flag": CLIENT.FOUND_ROWS,  # An update that changes no value counts as one row, too.
            "connect_timeout": wait,
            "read_timeout": self.timeout + sql.GRACE,
            "write_timeout": self.timeout + sql.GRACE,
            # The SQL mode is set, since it decides whether backslashes escape.
            "init_command": f"SET SESSION sql_mode = 'STRICT_ALL_TABLES', innodb_lock_wait_timeout = {wait}",
            **self.options,
        }
        try:
            inspect.signature(pymysql.connect).bind(**options)
        except TypeError as error:
            raise StoreError(f"cannot use the tracker store {self.address}: {error}. {sql.OPTIONS[1]}") from error
        return partial(_connected, options)

    @staticmethod
    def socket(connection: Any) -> int:  # noqa: D102
        return -1 if connection._sock is None else int(connection._sock.fileno())

    def lock(self, cursor: Any, name: bytes, seconds: float) -> bool:  # noqa: D102
        return query(cursor, _LOCK, {"lock": self._lock_name(name), "seconds": seconds}) == [(1,)]

    def unlock(self, cursor: Any, name: bytes, *, last: bool) -> None:  # noqa: D102
        query(cursor, _UNLOCK, {"lock": self._lock_name(name)})

    def append(self, cursor: Any, parameters: dict[str, Any], events: Sequence[str]) -> bool:  # noqa: D102
        self._check_size(cursor, [*events, parameters["state"], parameters.get("answer_text", "")])
        sender_id, expected = parameters["sender_id"], parameters["expected"]
        cursor.execute("START TRANSACTION")
        changed = cursor.execute(_NEXT_HEAD, parameters)
        if not changed and not expected:
            changed = cursor.execute(_FIRST_HEAD, parameters)  # An existing head is an error: a duplicate key.
        if changed and events:
            # PyMySQL joins the rows to statements of up to 1 MB.
            cursor.executemany(_ADD_EVENT, [(sender_id, seq, text) for seq, text in enumerate(events, expected)])
        if changed and "answer_key" in parameters:
            cursor.execute(_PUT_ANSWER, parameters)
        cursor.execute("COMMIT" if changed else "ROLLBACK")
        return bool(changed)

    def diagnosis(self, error: Exception) -> tuple[str, sql.Meaning]:  # noqa: D102
        code = error.args[0] if error.args else None
        reason = str(error.args[1]) if len(error.args) > 1 else str(error)
        if code in _MEANINGS:
            return reason or "the connection was lost", _MEANINGS[code]
        return f"{reason} (error {code})", sql.UNKNOWN

    def _lock_name(self, name: bytes) -> str:
        """Return a lock name of at most 64 characters that depends on the database: the server's names are global."""
        place = str(self.url.database).encode()
        return "rasa_core:" + hashlib.blake2b(place + b"\0" + name, digest_size=20).hexdigest()

    def _check_size(self, cursor: Any, texts: Sequence[str]) -> None:
        """Raise an error for a text above `max_allowed_packet`, for which the server would close the connection."""
        if len(max(texts, key=len)) < _SURELY_FITS:
            return
        ((packet,),) = query(cursor, "SELECT @@max_allowed_packet")
        for text in texts:
            if len(cursor.connection.escape(text)) > packet - 16384:  # 16 KiB for the rest of the statement.
                raise StoreError(
                    f"cannot use the tracker store {self.address}: an event or state of {len(text)} bytes does not "
                    f"fit into its max_allowed_packet of {packet} bytes. {_PACKET}"
                )


def _connected(options: dict[str, Any]) -> Any:
    connection = pymysql.connect(**options, autocommit=True)
    connection.cursor().execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    return connection
