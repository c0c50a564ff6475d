"""What a database server has to offer to the SQL stores, whatever its dialect and driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from sqlalchemy import URL, ClauseElement, Dialect
from sqlalchemy.schema import ExecutableDDLElement

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store import _sql_tables as tables
from rasa_core.tracker_store.base import StoredAnswer
from rasa_core.tracker_store.log_store import Head

GRACE = 1.0
"""How much later than the server this side gives up, in seconds, so that the server's own message comes first."""


class ClashError(StoreUnavailableError):
    """The server undid a commit because another one was in its way."""


class Database(ABC):
    """A database on a server: how to connect, what to say, and what its errors mean.

    Parameters
    ----------
    url
        Where it is; the query holds options of the driver.
    timeout
        Longest wait for an answer, in seconds.

    Attributes
    ----------
    error : type[Exception]
        Root of the driver's errors.
    dialect : Dialect
        The SQL of the server.
    schema : str
        What the server calls the place of new tables.
    index_if_not_exists : bool
        Whether it can make an index only if there is none.
    storage : tuple of str
        Statements about how it keeps the tables, run when they were made.
    address : str
        The URL as it may be shown: without password and options.
    """

    error: type[Exception]
    dialect: Dialect
    schema: str
    index_if_not_exists = True
    storage: tuple[str, ...] = ()

    def __init__(self, url: URL, timeout: float) -> None:
        self.address = URL.create(
            url.drivername, username=url.username, host=url.host, port=url.port, database=url.database
        ).render_as_string()
        secrets = [url.password, *(value for name, value in url.query.items() if "pass" in name)]
        self._secrets = [secret for secret in secrets if isinstance(secret, str) and secret]
        self._timeout = timeout
        self._read_head = self._sql(tables.READ_HEAD)
        self._read_events = self._sql(tables.READ_EVENTS)
        self._read_answer = self._sql(tables.READ_ANSWER)
        self._oldest_answers = self._sql(tables.OLDEST_ANSWERS)
        self._expire_answers = self._sql(tables.EXPIRE_ANSWERS)
        self._expire_oldest_answers = self._sql(tables.EXPIRE_OLDEST_ANSWERS)
        self._remove = [self._sql(statement) for statement in tables.REMOVE]

    # -- what servers differ in

    @abstractmethod
    def connect(self) -> Any:
        """Return a new connection of the driver, on which each statement is a transaction of its own."""

    @abstractmethod
    def socket(self, connection: Any) -> int:
        """Return the file descriptor of an open connection."""

    @abstractmethod
    def abandon(self, connection: Any) -> None:
        """Close the descriptor of a connection of the parent process, and tell the server nothing."""

    @abstractmethod
    def lock(self, connection: Any, name: bytes, seconds: float) -> bool:
        """Take a lock that lives as long as the connection; return False if it was not free for that long."""

    @abstractmethod
    def unlock(self, connection: Any, name: bytes) -> None:
        """Give the lock back."""

    @abstractmethod
    def append(
        self, connection: Any, expected: int, events: Sequence[str], head: dict[str, object], answer: dict[str, object]
    ) -> bool:
        """Store a commit, all or nothing; return False, and store nothing, if the version is not `expected`.

        Parameters
        ----------
        head, answer
            Their columns by name; `answer` is empty if there is none.
        """

    @abstractmethod
    def is_lost(self, error: Exception) -> bool:
        """Tell whether an error of the driver means that the connection is gone."""

    @abstractmethod
    def translated(self, error: Exception) -> StoreError:
        """Return what an error of the driver means for the caller."""

    # -- what they have in common

    def rows(self, connection: Any, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows that a query gives."""
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def change(self, connection: Any, sql: str, parameters: Mapping[str, object] | None = None) -> int:
        """Return how many rows a statement changed."""
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return int(cursor.rowcount)

    def ping(self, connection: Any) -> None:
        """Raise an error of the driver if the connection is dead."""
        self.rows(connection, "SELECT 1")

    def define(self, connection: Any, statement: ExecutableDDLElement) -> None:
        """Make a table or an index, unless it is there."""
        self.change(connection, tables.compiled(statement, self.dialect))

    def head(self, connection: Any, key: bytes) -> Head | None:
        """Return a head, None if there is none."""
        rows = self.rows(connection, self._read_head, {"id": key})
        return Head(*rows[0]) if rows else None

    def events(self, connection: Any, key: bytes, start: int, stop: int) -> list[str]:
        """Return the rows of the log from `start` to before `stop`."""
        found = self.rows(connection, self._read_events, {"id": key, "start": start, "stop": stop})
        return [event for (event,) in found]

    def answer(self, connection: Any, key: bytes, name: str) -> StoredAnswer | None:
        """Return the answer with the key `name`, None if there is none."""
        rows = self.rows(connection, self._read_answer, {"id": key, "key": name.encode()})
        if not rows:
            return None
        request, version, complete, created, text = rows[0]
        return StoredAnswer(name, request, version, bool(complete), created, text)

    def expire(self, connection: Any, before: float) -> int:
        """Remove some of the answers from before a time, the oldest first; return how many."""
        oldest = self.rows(connection, self._oldest_answers, {"before": before})
        if not oldest:
            return self.change(connection, self._expire_answers, {"before": before})
        return self.change(connection, self._expire_oldest_answers, {"until": oldest[0][0]})

    def sender_ids(
        self, connection: Any, after: bytes | None, limit: int | None, idle_since: float | None
    ) -> list[str]:
        """Return ids in order."""
        statement = tables.sender_ids(
            after=after is not None, limit=limit is not None, idle_since=idle_since is not None
        )
        asked = {"after": after, "limit": limit, "idle_since": idle_since}
        return [bytes(key).decode() for (key,) in self.rows(connection, self._sql(statement), asked)]

    def remove(self, connection: Any, key: bytes) -> bool:
        """Remove all rows of a conversation; return whether there was a head."""
        self.change(connection, "START TRANSACTION")
        removed = [self.change(connection, sql, {"id": key}) for sql in self._remove]
        self.change(connection, "COMMIT")
        return removed[0] > 0

    def _sql(self, statement: ClauseElement) -> str:
        return tables.compiled(statement, self.dialect)

    def _failure(self, kind: type[StoreError], error: Exception, reason: str, remedy: str) -> StoreError:
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        reason = " ".join(reason.split()).rstrip(".") or type(error).__name__
        return kind(f"cannot use the tracker store {self.address}: {reason}. {remedy}")


def head_row(key: bytes, head: Head) -> dict[str, object]:
    """Return the columns of a head."""
    version, origin, fingerprint, updated, state = astuple(head)
    return {
        "sender_id": key,
        "version": version,
        "origin": origin,
        "fingerprint": fingerprint,
        "updated": updated,
        "state": state,
    }


def answer_row(key: bytes, answer: StoredAnswer | None) -> dict[str, object]:
    """Return the columns of an answer; nothing if there is none."""
    if answer is None:
        return {}
    return {
        "sender_id": key,
        "request_key": answer.key.encode(),
        "request": answer.request,
        "version": answer.version,
        "complete": int(answer.complete),
        "created": answer.created,
        "answer": answer.text,
    }
