"""The marks of reviewers on conversations, and lists of changed conversations, for each engine.

A mark says that a person has reviewed a conversation, with a note and tags. It is stored beside the conversation, and
is deleted with it. A mark is no event: no decision of the bot depends on it. An engine gets its table of marks, in one
step, at the first use of marks; a store whose conversations nobody reviews has no such table.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary, proxy

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.support.strict_json import encode, is_number
from rasa_core.tracker_store.base import TrackerStore
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.memory import InMemoryTrackerStore
from rasa_core.tracker_store.sqlite import SqliteTrackerStore

LONGEST_NOTE: Final = 10_000
MOST_TAGS: Final = 20
LONGEST_TAG: Final = 60
_unfit = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class ReviewError(StoreError, ValueError):
    """Data for a mark is invalid."""


class Changed(NamedTuple):
    """A changed conversation: its id, its version, and the time of its last change, Unix time in seconds."""

    sender_id: str
    version: int
    updated: float


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of a reviewer on a conversation.

    Attributes
    ----------
    reviewed : bool
        Whether the conversation needs no further review until it goes on.
    note : str
        The comment of the reviewer.
    tags : tuple of str
        Tags by which a search finds the conversation.
    version : int
        The version of the conversation at the time of the review.
    at : float
        The time of the review, Unix time in seconds.
    """

    reviewed: bool = False
    note: str = ""
    tags: tuple[str, ...] = ()
    version: int = 0
    at: float = 0.0

    @classmethod
    def from_json(cls, content: object, version: int, at: float | None = None) -> Mark:
        """Return the mark in an object with ``reviewed``, ``note`` and ``tags``, all of which may be left out.

        Raises
        ------
        ReviewError
            If the object is invalid; the message says what is expected.
        """
        given = dict(content) if isinstance(content, Mapping) else {"": None}
        reviewed, note, tags = given.pop("reviewed", False), given.pop("note", ""), given.pop("tags", [])
        if given or not isinstance(reviewed, bool) or not isinstance(note, str) or not isinstance(tags, list):
            raise ReviewError('a mark has "reviewed", true or false, a text "note", and a list of texts "tags".')
        if len(note) > LONGEST_NOTE or len(tags) > MOST_TAGS:
            raise ReviewError(f"a note has at most {LONGEST_NOTE} characters, and {MOST_TAGS} tags.")
        if not all(isinstance(tag, str) and 0 < len(tag) <= LONGEST_TAG and not _unfit.search(tag) for tag in tags):
            raise ReviewError(f"a tag is a text of 1 to {LONGEST_TAG} characters, none of them a control character.")
        moment = time.time() if at is None else at
        return cls(reviewed, note, tuple(dict.fromkeys(tags)), version, moment)

    def as_dict(self) -> dict[str, Any]:
        """Return the mark as plain data for JSON."""
        return {
            **{"reviewed": self.reviewed, "note": self.note, "tags": list(self.tags)},
            **{"version": self.version, "at": self.at},
        }

    def counts_for(self, version: int) -> bool:
        """Return whether a conversation at this version needs no further review."""
        return self.reviewed and self.version >= version


def mark_from_json(content: object) -> Mark:
    """Return the mark in data from `Mark.as_dict`, an empty mark for None; raise `ReviewError` for other data."""
    if content is None:
        return Mark()
    given = dict(content) if isinstance(content, Mapping) else {}
    version, at = given.pop("version", None), given.pop("at", None)
    if not is_number(at) or not isinstance(version, int) or isinstance(version, bool):
        raise ReviewError('a "mark" has the "version" that was looked at, and "at", the Unix time of that.')
    return Mark.from_json(given, version, float(at))


def stored_mark(text: str | bytes) -> Mark:
    """Return the mark that an engine has stored."""
    given = json.loads(text)
    return Mark(given["reviewed"], given["note"], tuple(given["tags"]), given["version"], given["at"])


class Reviews(ABC):
    """The marks and the changed conversations of one store; `reviews_of` returns them."""

    @abstractmethod
    def read(self, sender_id: str) -> Mark:
        """Return the mark of a conversation, an empty mark if it has none."""

    @abstractmethod
    def write(self, sender_id: str, mark: Mark) -> None:
        """Store the mark of a conversation; it replaces an earlier mark."""

    @abstractmethod
    def marks_since(self, moment: float) -> Iterable[tuple[str, Mark]]:
        """Return the marks that were written at a Unix time or later."""

    @abstractmethod
    def changed_since(self, moment: float) -> Iterable[Changed]:
        """Return the conversations that changed at a Unix time or later, in any order."""

    @abstractmethod
    def count(self) -> int:
        """Return the number of conversations in the store."""


class _OfAnyStore(Reviews):
    """Marks in the memory of this process, for custom stores, which have no place for marks."""

    def __init__(self, store: TrackerStore) -> None:
        self._store = store
        # The store keeps the marks, so that its copy for another model has them, too.
        self._marks: dict[str, Mark] = store.__dict__.setdefault("_review_marks", {})

    def read(self, sender_id: str) -> Mark:
        return self._marks.get(sender_id, Mark())

    def write(self, sender_id: str, mark: Mark) -> None:
        self._marks[sender_id] = mark

    def marks_since(self, moment: float) -> Iterable[tuple[str, Mark]]:
        return [(sender_id, mark) for sender_id, mark in list(self._marks.items()) if mark.at >= moment]

    def changed_since(self, moment: float) -> Iterator[Changed]:
        for sender_id in self._store.keys():  # noqa: SIM118  (a store is no dictionary)
            tracker = self._store.retrieve(sender_id)
            if tracker is not None:
                updated = tracker.latest_event_time or 0.0
                if updated >= moment:
                    yield Changed(sender_id, tracker.version, updated)

    def count(self) -> int:
        return sum(1 for _ in self._store.keys())  # noqa: SIM118


class _OfMemory(_OfAnyStore):
    """Marks of an `InMemoryTrackerStore`."""

    def __init__(self, store: InMemoryTrackerStore) -> None:
        super().__init__(store)
        self._heads = store._heads

    def changed_since(self, moment: float) -> Iterator[Changed]:
        for sender_id, head in list(self._heads.items()):
            if head.updated >= moment:
                yield Changed(sender_id, head.version, head.updated)

    def read(self, sender_id: str) -> Mark:
        # The mark of a deleted conversation is deleted, as in the engines with tables.
        if sender_id not in self._heads:
            self._marks.pop(sender_id, None)
        return super().read(sender_id)

    def count(self) -> int:
        return len(self._heads)


_SQLITE: Final = (
    "CREATE TABLE IF NOT EXISTS reviews (sender_id TEXT PRIMARY KEY, at REAL NOT NULL, mark TEXT NOT NULL) "
    "WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS heads_updated ON heads (updated)",
    "CREATE TRIGGER IF NOT EXISTS reviews_go AFTER DELETE ON heads BEGIN "
    "DELETE FROM reviews WHERE sender_id = OLD.sender_id; END",
)


class _OfSqlite(Reviews):
    """Marks in a table of the SQLite file."""

    def __init__(self, store: SqliteTrackerStore) -> None:
        self._connections = store._connections
        with self._connections.writing() as connection:
            for statement in _SQLITE:
                connection.execute(statement)

    def read(self, sender_id: str) -> Mark:
        with self._connections.reading() as connection:
            found = connection.execute("SELECT mark FROM reviews WHERE sender_id = ?", (sender_id,)).fetchone()
        return Mark() if found is None else stored_mark(found[0])

    def write(self, sender_id: str, mark: Mark) -> None:
        with self._connections.writing() as connection:
            row = (sender_id, mark.at, encode(mark.as_dict()))
            connection.execute("INSERT OR REPLACE INTO reviews (sender_id, at, mark) VALUES (?, ?, ?)", row)

    def marks_since(self, moment: float) -> list[tuple[str, Mark]]:
        with self._connections.reading() as connection:
            rows = connection.execute("SELECT sender_id, mark FROM reviews WHERE at >= ?", (moment,)).fetchall()
        return [(sender_id, stored_mark(text)) for sender_id, text in rows]

    def changed_since(self, moment: float) -> list[Changed]:
        select = "SELECT sender_id, version, updated FROM heads WHERE updated >= ? ORDER BY updated"
        with self._connections.reading() as connection:
            return [Changed(*row) for row in connection.execute(select, (moment,))]

    def count(self) -> int:
        with self._connections.reading() as connection:
            (number,) = connection.execute("SELECT count(*) FROM heads INDEXED BY heads_updated").fetchone()
        return int(number)


class _OfServer(Reviews):
    """Marks beside the conversations of a server, which stay where theirs is deleted.

    Each is stored with the beginning of its conversation, and counts for none that has another.
    """

    def __init__(self, store: Any) -> None:
        self._store: Any = proxy(store)  # A strong reference would keep the store alive.

    def _beginning(self, sender_id: str) -> str:
        rows = self._store.read_events(sender_id, 0, 1)
        return hashlib.blake2b(rows[0].encode(), digest_size=8).hexdigest() if rows else ""

    def _text_of(self, sender_id: str, mark: Mark) -> str:
        return encode({**mark.as_dict(), "begun": self._beginning(sender_id)})

    def _mark_in(self, sender_id: str, text: str | bytes) -> Mark:
        return stored_mark(text) if json.loads(text)["begun"] == self._beginning(sender_id) else Mark()

    def _marks_in(self, texts: Iterable[tuple[str, str | bytes]]) -> list[tuple[str, Mark]]:
        marks = [(sender_id, self._mark_in(sender_id, text)) for sender_id, text in texts]
        return [(sender_id, mark) for sender_id, mark in marks if mark != Mark()]


_SQL: Final = (
    "CREATE TABLE IF NOT EXISTS rasa_core_reviews (sender_id {id} NOT NULL, at DOUBLE PRECISION NOT NULL, "
    "mark {text} NOT NULL, PRIMARY KEY (sender_id)) {storage}"
)
_SQL_PUT: Final = "INSERT INTO rasa_core_reviews (sender_id, at, mark) VALUES (%(id)s, %(at)s, %(mark)s)"


class _OfSql(_OfServer):
    """Marks in a table of the database."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self._database: Any = store._database
        make = _SQL.format_map({**self._database.types, "storage": self._database.storage})
        self._database.write(lambda cursor: cursor.execute(make))
        with suppress(StoreError):  # The index exists, or may not be made; without it, listing changes takes longer.
            index = "CREATE INDEX rasa_core_heads_updated ON rasa_core_heads (updated)"
            self._database.write(lambda cursor: cursor.execute(index))

    def read(self, sender_id: str) -> Mark:
        select = "SELECT mark FROM rasa_core_reviews WHERE sender_id = %(id)s"
        rows = self._database.read(select, {"id": sender_id.encode()})
        return self._mark_in(sender_id, rows[0][0]) if rows else Mark()

    def write(self, sender_id: str, mark: Mark) -> None:
        row = {"id": sender_id.encode(), "at": mark.at, "mark": self._text_of(sender_id, mark)}

        def replace(cursor: Any) -> None:
            # "Insert or replace" has another syntax in each database; DELETE and INSERT work in all of them.
            cursor.execute("DELETE FROM rasa_core_reviews WHERE sender_id = %(id)s", row)
            cursor.execute(_SQL_PUT, row)

        self._database.write(replace)

    def marks_since(self, moment: float) -> list[tuple[str, Mark]]:
        select = "SELECT sender_id, mark FROM rasa_core_reviews WHERE at >= %(moment)s"
        rows = self._database.read(select, {"moment": moment})
        return self._marks_in((bytes(key).decode(), text) for key, text in rows)

    def changed_since(self, moment: float) -> list[Changed]:
        select = "SELECT sender_id, version, updated FROM rasa_core_heads WHERE updated >= %(moment)s ORDER BY updated"
        rows = self._database.read(select, {"moment": moment})
        return [Changed(bytes(key).decode(), int(version), float(updated)) for key, version, updated in rows]

    def count(self) -> int:
        return int(self._database.read("SELECT count(*) FROM rasa_core_heads", {})[0][0])


class _OfRedis(_OfServer):
    """Marks in one hash. Redis has no index of changes: to list them, the head of every conversation is read."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self._key = bytes(store._keys.ids) + b":reviews"

    def read(self, sender_id: str) -> Mark:
        text = self._store._call("HGET", self._key, sender_id)
        return Mark() if text is None else self._mark_in(sender_id, text)

    def write(self, sender_id: str, mark: Mark) -> None:
        self._store._call("HSET", self._key, sender_id, self._text_of(sender_id, mark))

    def marks_since(self, moment: float) -> list[tuple[str, Mark]]:
        found = self._store._call("HGETALL", self._key)
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return self._marks_in((name.decode(), text) for name, text in pairs if json.loads(text)["at"] >= moment)

    def changed_since(self, moment: float) -> Iterator[Changed]:
        for page in self._store._pages(None, 1000):
            rows = self._store._of_each(page, "HMGET", "head", "version", "updated")
            for sender_id, (version, updated) in zip(page, rows, strict=True):
                if version is not None and float(updated) >= moment:
                    yield Changed(sender_id, int(version), float(updated))

    def count(self) -> int:
        return int(self._store._call("ZCARD", self._store._keys.ids))


# One object for each store, made once, since it may have to make tables; it goes with its store.
_made: WeakKeyDictionary[TrackerStore, Reviews] = WeakKeyDictionary()


def reviews_of(store: TrackerStore) -> Reviews:
    """Return the marks and changed conversations of a store."""
    if store not in _made:
        _made[store] = _make(store)
    return _made[store]


def marks_in(store: TrackerStore) -> Reviews | None:
    """Return the marks of a store, None if it has no table of marks; the store is only read."""
    if store in _made:
        return _made[store]
    if isinstance(store, SqliteTrackerStore):
        with store._connections.reading() as connection:
            is_there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'reviews'").fetchone()
        return reviews_of(store) if is_there else None
    database = getattr(store, "_database", None)
    if database is not None:
        try:
            # Each database lists its tables in another way; but a query on a missing table fails in all of them.
            database.read("SELECT 1 FROM rasa_core_reviews WHERE at < 0", {})
        except StoreUnavailableError:
            raise
        except StoreError:
            return None
    return reviews_of(store)


def _make(store: TrackerStore) -> Reviews:
    if isinstance(store, InMemoryTrackerStore):
        return _OfMemory(store)
    if isinstance(store, SqliteTrackerStore):
        return _OfSqlite(store)
    if isinstance(store, EventLogStore):  # No import of engines here: their drivers may not be installed.
        kinds = {"SqlTrackerStore": _OfSql, "RedisTrackerStore": _OfRedis}
        named = next((kinds[kind.__name__] for kind in type(store).__mro__ if kind.__name__ in kinds), None)
        if named is not None:
            return named(store)
    return _OfAnyStore(store)


def newest(store: TrackerStore, most: int, left_out: Callable[[Sequence[str]], Sequence[str]]) -> Iterator[str]:
    """Yield the ids of the conversations that changed last, the latest first.

    Parameters
    ----------
    most
        The largest number of ids.
    left_out
        A function that takes all ids, and returns the ones that may be yielded.
    """
    changed = sorted(reviews_of(store).changed_since(0.0), key=lambda one: (-one.updated, one.sender_id))
    yield from left_out([one.sender_id for one in changed])[:most]
