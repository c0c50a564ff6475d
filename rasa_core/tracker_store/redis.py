"""Tracker store in Redis 6 or newer, or in a Redis Cluster, for all processes of many machines.

Trust
    Whoever can write to the database can change conversations, but cannot make this process run code: events
    are JSON. Conversations that Rasa Core 0.9 pickled under bare ids are neither read nor changed.
Durability
    A commit is one atomic step of the server. Whether an acknowledged commit survives a crash of the server depends on
    its configuration: ``docs/state.rst`` has a table. Without ``maxmemory-policy noeviction``, Redis drops keys when
    memory runs short; a commit to a conversation that lost a key is refused.
Locks
    The lock of a conversation is a lease: a key with a random token of the holder, which expires after `LEASE` seconds.
    While a process holds leases, one thread renews all of them, so a lease lasts as long as the work. If the process
    dies, the lease expires within `LEASE` seconds. A process that is stopped for longer loses its leases without
    noticing. Then two writers may work on one conversation, and the later commit fails, since it expects a version that
    is no longer stored. So a lost lease costs a repeated turn, but no event, and commits need not check the lease.
Keys
    ``rasa_core:{id}:head`` is a hash, ``rasa_core:{id}:events`` a list of JSON, ``rasa_core:{id}:answers`` a
    hash; two sorted sets beside it order the answers by creation and by storing. All answers of a conversation expire a
    day after the last of them was stored. ``rasa_core:{id}:lease`` exists while a process works on the conversation.
    Two keys are common to all: ``rasa_core:layout`` has the version of this layout, and ``rasa_core:ids`` is a sorted
    set of ids. A new id is added before its conversation is stored, and a deleted one may stay a little longer, since a
    cluster cannot change both in one step; lists of conversations leave out such ids.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import SSLConnection, parse_url
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from rasa_core.domain import Domain
from rasa_core.exceptions import StoreError
from rasa_core.tracker_store import heads
from rasa_core.tracker_store.base import StoredAnswer, url_options
from rasa_core.tracker_store.heads import Head, check_commit, check_sender_id, conversation_id, version_conflict
from rasa_core.tracker_store.locks import Leases, MutexTable, PerProcess, busy_error, check_timeout, timeout_from, tries
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.redis_errors import DROPPED, MOST_CONNECTIONS, failure_of, translated
from rasa_core.tracker_store.redis_scripts import (
    ALL_PARTS,
    ANSWERS,
    COMMIT,
    DELETE,
    EXPIRE_ANSWERS,
    HOLD_LEASE,
    SCRIPTS,
    SET_LIFETIME,
    Keys,
    Word,
    answer_word,
    words_of_commit,
)
from rasa_core.trackers import DialogueStateTracker

LEASE, RENEWED = 4.0, 1.0
"""The time after which a lease expires, and the interval of renewals, in seconds."""

_LAYOUT = b"1"
_PAGE = 500
_FORM = "redis://user:password@host:6379/0; write /, ?, #, @ and % of a password as %2F, %3F, %23, %40 and %25"

Client: TypeAlias = Any  # A `redis.Redis` or a `RedisCluster`, whose types of answers depend on the command.


class RedisTrackerStore(EventLogStore):
    """Keeps conversations in Redis; each process, also a forked one, opens its own connection at its first use.

    Parameters
    ----------
    host, port, db, username, password
        The server, its database, and the user's name and password.
    ssl
        Whether to use TLS. The certificate authority of the server has to be known to the system, or to be in the file
        that the environment variable ``SSL_CERT_FILE`` names.
    cluster
        Whether the server is part of a Redis Cluster, whose other servers it names. A cluster has only database 0.
    key_prefix
        The beginning of the names of all keys; stores with different prefixes can use the same database.
    timeout
        How long to wait for a conversation that another request works on, in seconds.
    socket_timeout
        How long to wait for an answer of the server, in seconds.
    """

    def __init__(
        self,
        domain: Domain | None = None,
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        password: str | None = None,
        *,
        username: str | None = None,
        ssl: bool = False,
        cluster: bool = False,
        key_prefix: str = "rasa_core",
        timeout: float = 30.0,
        socket_timeout: float = 5.0,
    ) -> None:
        super().__init__(domain)
        if cluster and db:
            raise StoreError(f"a Redis Cluster has database 0 alone, not {db}.")
        self._timeout = check_timeout(timeout)
        self._keys = Keys(key_prefix)
        self._address = f"{'rediss' if ssl else 'redis'}://{f'[{host}]' if ':' in host else host}:{port}/{db}"
        self._closed = False
        # Redis 6 to 8 and all versions of redis-py know protocol 2. The client repeats no command; `_run` does.
        self._options: dict[str, Any] = {
            **{"username": username, "password": password, "max_connections": MOST_CONNECTIONS, "protocol": 2},
            **{"timeout": socket_timeout, "socket_timeout": check_timeout(socket_timeout)},
            **{"socket_connect_timeout": socket_timeout, "socket_keepalive": True, "retry": Retry(NoBackoff(), 0)},
        }
        self._cluster = cluster
        self._connected = PerProcess(self._connect)
        self._mutexes = MutexTable()
        self._leases = PerProcess(lambda: Leases(self._hold_lease, RENEWED))

    @classmethod
    def from_url(cls, url: str, domain: Domain | None = None) -> Self:
        """Return the store at ``redis://[[user]:password@]host[:port][/db]``, or ``rediss://`` for TLS.

        Options are ``timeout``, ``key_prefix``, and ``cluster=true`` for a Redis Cluster.
        """
        # Error messages do not quote parts of the URL that may belong to a password.
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise StoreError(f"the address of Redis has no valid port. Write {_FORM}.") from None
        if parts.scheme not in ("redis", "rediss") or "@" in parts.path + parts.query or parts.fragment:
            raise StoreError(f"this is no address of Redis. Write {_FORM}.")
        database = parts.path.strip("/")
        if database and not (database.isascii() and database.isdigit()):  # redis-py would ignore such a database.
            raise StoreError(f"the database of Redis is a number. Write {_FORM}.")
        said = parse_url(url.partition("?")[0])  # type: ignore[no-untyped-call]
        ssl = said.pop("connection_class", None) is SSLConnection
        options: dict[str, Any] = url_options(parts, ("cluster", "key_prefix", "timeout"))
        cluster = options.pop("cluster", "false").lower()
        if cluster not in ("true", "false"):
            raise StoreError(f"cluster is true or false, not {cluster!r}.")
        options["timeout"] = timeout_from(options)
        return cls(domain, **said, ssl=ssl, cluster=cluster == "true", **options)

    def close(self) -> None:
        """Release the leases, and close the connections; the store cannot be used afterwards."""
        for token, key in self._leases().end():
            self._give_back(key, token)
        self._closed = True
        connected = self._connected.made()
        if connected is not None:
            connected[0].close()

    def save(self, tracker: DialogueStateTracker, timeout: float | None = None) -> None:
        """Store the events of `tracker` that are not stored yet: see `EventLogStore.save`.

        Parameters
        ----------
        timeout
            Seconds after which the conversation expires in Redis; the next commit removes this limit again. The answers
            to requests with keys are kept for a day in any case.
        """
        if timeout is not None:
            check_timeout(timeout)
        super().save(tracker)
        if timeout is not None:
            sender_id = conversation_id(tracker.sender_id)
            self._complete_answers(sender_id)
            self._script(SET_LIFETIME, self._keys.of(sender_id, "head", "events"), [math.ceil(timeout * 1000)])

    def _complete_answers(self, sender_id: str) -> None:
        """Store the answers without references to the log, which will expire before them."""
        (key,) = self._keys.of(sender_id, "answers")
        for name in self._call("HKEYS", key):
            if answer := self.read_answer(sender_id, name.decode()):
                self._call("HSET", key, name, answer_word(self._complete(sender_id, answer)))

    @contextmanager
    def _lock(self, sender_id: str) -> Iterator[None]:
        deadline = time.monotonic() + self._timeout
        (key,), token = self._keys.of(sender_id, "lease"), secrets.token_hex(16).encode()
        # With a mutex, only one thread of this process at a time asks Redis for the lease of a conversation.
        with self._mutexes.hold(key, name=sender_id, timeout=self._timeout):
            for _ in tries(deadline, 0.001, 0.02):
                if self._hold_lease(key, token, take=1):
                    break
            else:
                raise busy_error(sender_id, self._timeout)
            self._leases().keep(token, key)
            try:
                yield
            finally:
                if self._leases().let_go(token):
                    self._give_back(key, token)

    def lock(self, sender_id: str) -> AbstractContextManager[None]:  # noqa: D102
        self._check_open()
        return self._lock(check_sender_id(sender_id))

    def _hold_lease(self, key: bytes, token: bytes, *, take: int = 0) -> bool:
        """Renew a lease or, with `take`, take it if it is free; return whether `token` has it then."""
        return bool(self._script(HOLD_LEASE, [key], [token, max(1, round(LEASE * 1000)), take]))

    def _give_back(self, key: bytes, token: bytes) -> None:
        with suppress(StoreError):  # If Redis cannot be reached, the lease expires.
            self._script(HOLD_LEASE, [key], [token, 0, 0])

    def read_head(self, sender_id: str) -> Head | None:  # noqa: D102
        (key,) = self._keys.of(check_sender_id(sender_id), "head")
        row = self._call("HMGET", key, "version", "origin", "fingerprint", "updated", "state")
        if row[0] is None:
            return None
        version, origin, fingerprint, updated, state = row
        return Head(int(version), int(origin), fingerprint.decode(), float(updated), state.decode())

    def read_events(self, sender_id: str, start: int, stop: int) -> list[str]:  # noqa: D102
        (key,) = self._keys.of(check_sender_id(sender_id), "events")
        return [event.decode() for event in self._call("LRANGE", key, max(start, 0), stop - 1)] if stop > 0 else []

    def commit(  # noqa: D102
        self,
        sender_id: str,
        expected_version: int,
        events: Sequence[str],
        head: Head,
        answer: StoredAnswer | None = None,
    ) -> None:
        keys = self._keys.of(check_sender_id(sender_id), *ALL_PARTS)
        check_commit(expected_version, events, head)
        words = words_of_commit(sender_id, expected_version, events, head, answer)
        if not expected_version:
            self._call("ZADD", self._keys.ids, 0, sender_id)
        outcome, number = self._script(COMMIT, keys, words, changing=True)
        if outcome == b"version":
            raise version_conflict(sender_id, expected_version, number)
        if outcome == b"length":
            raise StoreError(
                f"the log of conversation {sender_id!r} holds {number} events, and its head counts "
                f"{expected_version}: Redis dropped one of them. Set maxmemory-policy to noeviction, and delete "
                "the conversation."
            )
        if not expected_version:
            # A concurrent delete whose lease expired may have removed the id just before the commit.
            self._call("ZADD", self._keys.ids, 0, sender_id)

    def read_answer(self, sender_id: str, key: str) -> StoredAnswer | None:  # noqa: D102
        if (value := self._call("HGET", *self._keys.of(check_sender_id(sender_id), "answers"), key)) is None:
            return None
        about, _, text = value.partition(b"\n")
        request, version, complete, created = json.loads(about)
        return StoredAnswer(key, request, version, complete, created, text.decode())

    def expire_answers(self, before: float) -> int:  # noqa: D102
        removed = 0
        for page in self._pages(None, _PAGE):
            due = self._of_each(page, "ZCOUNT", "answers:created", "-inf", f"({before!r}")
            for sender_id, count in zip(page, due, strict=True):
                while count > 0:
                    keys = self._keys.of(sender_id, *ANSWERS)
                    count = self._script(EXPIRE_ANSWERS, keys, [repr(before), _PAGE], changing=True)
                    removed += count
            # An id has neither head nor answers if, for example, its conversation has expired.
            with_head, answered = self._of_each(page, "EXISTS", "head"), self._of_each(page, "EXISTS", "answers")
            self._forget_ids([one for one, *there in zip(page, with_head, answered, strict=True) if not any(there)])
        return removed

    def sender_ids(  # noqa: D102
        self, after: str | None = None, limit: int | None = None, *, idle_since: float | None = None
    ) -> list[str]:
        most = None if limit is None else max(limit, 0)
        found = (
            sender_id
            for page in self._pages(after, _PAGE if most is None else min(most + 20, _PAGE))
            for sender_id, updated in zip(page, self._of_each(page, "HGET", "head", "updated"), strict=True)
            if updated is not None and (idle_since is None or float(updated) < idle_since)
        )
        return list(islice(found, most))

    def delete(self, sender_id: str) -> bool:  # noqa: D102
        keys = self._keys.of(check_sender_id(sender_id), *ALL_PARTS)
        had = self._script(DELETE, keys, changing=True)
        self._forget_ids([sender_id])
        return bool(had)

    def _pages(self, after: str | None, size: int) -> Iterator[list[str]]:
        """Yield pages of the ids above `after`, in order; an id may have no conversation."""
        # The order of UTF-8 bytes is that of code points.
        start = b"-" if after is None else b"(" + check_sender_id(after).encode()
        while page := self._call("ZRANGEBYLEX", self._keys.ids, start, "+", "LIMIT", 0, size):
            yield [sender_id.decode() for sender_id in page]
            if len(page) < size:
                return
            start = b"(" + page[-1]

    def _of_each(self, sender_ids: Sequence[str], command: str, part: str, *words: Word) -> list[Any]:
        """Run a command on the same part of several conversations, in one round trip."""

        def run(client: Client, _: object) -> Any:
            pipeline = client.pipeline(transaction=False)
            for sender_id in sender_ids:
                pipeline.execute_command(command, *self._keys.of(sender_id, part), *words)
            return pipeline.execute()

        return list(self._run(run))

    def _forget_ids(self, sender_ids: Sequence[str]) -> None:
        """Remove ids from the list, except for those whose conversation has just started again."""
        if not sender_ids:
            return
        self._call("ZREM", self._keys.ids, *sender_ids)
        for sender_id, head in zip(sender_ids, self._of_each(sender_ids, "EXISTS", "head"), strict=True):
            if head:
                self._call("ZADD", self._keys.ids, 0, sender_id)

    # -- the server

    def _check_open(self) -> None:
        if self._closed:
            raise heads.closed_error(self._address)

    @property
    def red(self) -> Client:
        """The client of this process. As in 0.9, a subclass may set another client in its constructor."""
        return self._connected()[0]

    @red.setter
    def red(self, client: Client) -> None:
        # Such a subclass calls the constructor of `TrackerStore` alone, before or after this.
        RedisTrackerStore.__init__(self, vars(self).get("domain"))
        self._connected = PerProcess(lambda: self._prepared(client))

    def _connect(self) -> tuple[Client, dict[str, Any]]:
        """Return a client, after checking the layout on its server, and the scripts by their texts."""
        pool, address = redis.BlockingConnectionPool, self._address
        if self._cluster:
            client: Client = RedisCluster.from_url(address, connection_pool_class=pool, **self._options)
        else:
            client = redis.Redis.from_pool(pool.from_url(address, **self._options))
        return self._prepared(client)

    def _prepared(self, client: Client) -> tuple[Client, dict[str, Any]]:
        found = client.execute_command("GET", self._keys.layout)
        if found is None:  # If several processes start at the same time, one of them sets the version.
            client.execute_command("SET", self._keys.layout, _LAYOUT, "NX")
            found = client.execute_command("GET", self._keys.layout)
        if found != _LAYOUT:
            has = (found or b"none").decode(errors="replace")
            raise heads.layout_error(self._address, has, _LAYOUT.decode(), "key_prefix")
        return client, {text: client.register_script(text) for text in SCRIPTS}

    def _run(self, operation: Callable[[Client, dict[str, Any]], Any], changing: bool = False) -> Any:
        """Run an operation; repeat it once after a lost connection, unless it is `changing` data."""
        self._check_open()
        try:
            try:
                return operation(*self._connected())
            except redis.ConnectionError as error:
                if changing or failure_of(error)[1] != DROPPED:
                    raise
                return operation(*self._connected())
        except (redis.RedisError, RedisClusterException, OSError) as error:
            raise translated(error, self._address, changing) from error

    def _call(self, *words: Word) -> Any:
        """Run one command, which must be safe to repeat."""
        return self._run(lambda client, _: client.execute_command(*words))

    def _script(self, text: str, keys: Sequence[bytes], words: Sequence[Word] = (), changing: bool = False) -> Any:
        return self._run(lambda _, scripts: scripts[text](keys, words), changing)
