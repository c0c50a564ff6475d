"""Conversations in Redis 6 or newer, or in a Redis Cluster: for all processes of many machines.

Trust
    Whoever can write to the database can change conversations, but cannot make this process run code: events
    are JSON. What Rasa Core 0.9 pickled under bare ids is neither read nor changed.
Durability
    A commit is one step of the server: it is there as a whole or not at all, whenever a process or the server
    dies. Whether a commit that was acknowledged is still there after the server died is up to its
    configuration. With ``appendonly yes`` and ``appendfsync always``, all of them are, a power cut included.
    With ``appendfsync everysec``, its default, the death of the server alone loses none, and a power cut about
    the last second; with ``appendfsync no``, what the kernel had not yet written, some 30 seconds on Linux. With
    RDB snapshots alone, which is what Redis does unless it is told otherwise, either loses everything since the
    last snapshot: minutes, or an hour. Replicas follow a little later, so a failover can lose the last commits
    in any of these settings.

    Set ``maxmemory-policy noeviction``. Any other lets Redis drop conversations when memory runs short; a commit
    to a conversation that lost its log or its head that way is refused.
Order
    A lease gives each conversation one writer at a time: see `rasa_core.tracker_store._redis_leases`. Safety
    does not depend on it, since every commit names its version.
Keys
    ``rasa_core:{id}:head`` is a hash, ``rasa_core:{id}:events`` a list of JSON, ``rasa_core:{id}:answers`` a
    hash; beside it are two sorted sets of their keys, by when they were created and stored. A day after the last
    answer was stored, all answers of the conversation are gone. ``rasa_core:{id}:lease`` is there while somebody
    works on the conversation. Two keys are for all: ``rasa_core:layout`` holds the version of this layout, and
    ``rasa_core:ids`` is a sorted set of ids. An id is in it before its conversation is, and may stay a little
    longer, since a cluster cannot change both in one step; a list of conversations leaves it out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Self

from rasa_core.exceptions import StoreError
from rasa_core.tracker_store._forks import ForkAware
from rasa_core.tracker_store._redis_keys import Keys
from rasa_core.tracker_store._redis_leases import Leases
from rasa_core.tracker_store._redis_scripts import COMMIT, DELETE, EXPIRE_ANSWERS, SET_LIFETIME
from rasa_core.tracker_store._redis_server import Address, Server, Word
from rasa_core.tracker_store._redis_url import RedisUrl
from rasa_core.tracker_store.base import ANSWERS_KEPT, StoredAnswer
from rasa_core.tracker_store.locks import check_timeout
from rasa_core.tracker_store.log_store import EventLogStore, Head, check_commit, check_sender_id, version_conflict

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

_PAGE = 500
_MOST_EVENTS = 1_000_000  # Redis takes 1,048,576 words in one command.


class RedisTrackerStore(EventLogStore, ForkAware):
    """Keeps conversations in Redis; connects at the first use.

    Parameters
    ----------
    domain
        The domain of the trackers; an `Agent` sets it by `bind`.
    host, port, db, username, password
        The server, its database, and how to log in.
    ssl
        Whether to speak TLS. The server's certificate has to be known to the system, or to be in the file that the
        environment variable ``SSL_CERT_FILE`` names.
    cluster
        Whether the server is part of a Redis Cluster, which finds the others. It has database 0 alone.
    key_prefix
        What the names of all keys start with; stores with different ones share a database unseen.
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
        EventLogStore.__init__(self, domain)
        if cluster and db:
            raise StoreError(f"a Redis Cluster has database 0 alone, not {db}.")
        self._timeout = check_timeout(timeout)
        self._keys = Keys(key_prefix)
        address = Address(host, port, db, username, password, ssl, cluster, check_timeout(socket_timeout))
        self._server = Server(address, self._keys.layout)
        self._leases = Leases(self._server)
        ForkAware.__init__(self)  # Last: from here on a fork calls the methods below.

    @classmethod
    def from_url(cls, url: str, domain: Domain | None = None) -> Self:
        """Return the store at ``redis://[[user]:password@]host[:port][/db]``, or ``rediss://`` for TLS.

        Options are ``timeout``, ``key_prefix``, and ``cluster=true`` for a Redis Cluster.
        """
        said = RedisUrl.parse(url)
        return cls(
            domain,
            said.host or "localhost",
            6379 if said.port is None else said.port,
            said.db,
            said.password,
            username=said.username,
            ssl=said.ssl,
            cluster=said.cluster,
            key_prefix="rasa_core" if said.key_prefix is None else said.key_prefix,
            timeout=30.0 if said.timeout is None else said.timeout,
        )

    def before_fork(self) -> None:
        """Wait for the operations under way, and close every connection."""
        self._leases.before_fork()
        self._server.before_fork()

    def after_fork_in_parent(self) -> None:  # noqa: D102
        self._server.after_fork_in_parent()
        self._leases.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Start without connections, and without the leases of the parent."""
        self._server.after_fork_in_child()
        self._leases.after_fork_in_child()

    def close(self) -> None:
        """Close the connections; the store cannot be used afterwards."""
        self._leases.close()
        self._server.close()

    def save(self, tracker: DialogueStateTracker, timeout: float | None = None) -> None:
        """Store what `tracker` has and the store has not: see `EventLogStore.save`.

        Parameters
        ----------
        timeout
            Seconds after which Redis is to forget the conversation, unless it goes on before: the next commit
            keeps it for good again. The answers to requests with keys stay for their day.
        """
        if timeout is not None:
            check_timeout(timeout)
        super().save(tracker)
        if timeout is not None:
            keys = [self._keys.head(tracker.sender_id), self._keys.events(tracker.sender_id)]
            self._server.run(SET_LIFETIME, keys, [math.ceil(timeout * 1000)])

    def lock(self, sender_id: str) -> AbstractContextManager[None]:  # noqa: D102
        self._server.check_open()
        key = self._keys.lease(check_sender_id(sender_id))
        return self._leases.hold(key, name=sender_id, timeout=self._timeout)

    def read_head(self, sender_id: str) -> Head | None:  # noqa: D102
        key = self._keys.head(check_sender_id(sender_id))
        row = self._server.call("HMGET", key, "version", "origin", "fingerprint", "updated", "state")
        if row[0] is None:
            return None
        version, origin, fingerprint, updated, state = row
        return Head(int(version), int(origin), fingerprint.decode(), float(updated), state.decode())

    def read_events(self, sender_id: str, start: int, stop: int) -> list[str]:  # noqa: D102
        key = self._keys.events(check_sender_id(sender_id))
        start = max(start, 0)
        if stop <= start:
            return []
        return [row.decode() for row in self._server.call("LRANGE", key, start, stop - 1)]

    def commit(  # noqa: D102
        self,
        sender_id: str,
        expected_version: int,
        events: Sequence[str],
        head: Head,
        answer: StoredAnswer | None = None,
    ) -> None:
        keys = self._keys.all_of(check_sender_id(sender_id))
        check_commit(expected_version, events, head)
        words = _words_of_commit(sender_id, expected_version, events, head, answer)
        if not expected_version:
            self._server.call("ZADD", self._keys.ids, 0, sender_id)
        outcome, number = self._server.run(COMMIT, keys, words, changing=True)
        if outcome == b"version":
            raise version_conflict(sender_id, expected_version, number)
        if outcome == b"length":
            raise StoreError(
                f"the log of conversation {sender_id!r} holds {number} events, and its head counts "
                f"{expected_version}: Redis dropped one of them. Set maxmemory-policy to noeviction, and delete "
                "the conversation."
            )
        if not expected_version:
            # A delete that lost its lease may have removed the id just before the commit.
            self._server.call("ZADD", self._keys.ids, 0, sender_id)

    def read_answer(self, sender_id: str, key: str) -> StoredAnswer | None:  # noqa: D102
        answers, _, _ = self._keys.answers(check_sender_id(sender_id))
        value = self._server.call("HGET", answers, key)
        return None if value is None else _answer(key, value)

    def expire_answers(self, before: float) -> int:  # noqa: D102
        removed = 0
        for page in self._pages(None, _PAGE):
            answers = [self._keys.answers(sender_id) for sender_id in page]
            due = self._server.call_many([("ZCOUNT", created, "-inf", f"({before!r}") for _, created, _ in answers])
            for keys, count in zip(answers, due, strict=True):
                while count > 0:
                    count = self._server.run(EXPIRE_ANSWERS, keys, [repr(before), _PAGE], changing=True)
                    removed += count
            self._forget_ids(self._without_keys(page))
        return removed

    def sender_ids(  # noqa: D102
        self, after: str | None = None, limit: int | None = None, *, idle_since: float | None = None
    ) -> list[str]:
        found: list[str] = []
        if limit is not None and limit <= 0:
            return found
        for page in self._pages(after, _PAGE if limit is None else min(limit + 20, _PAGE)):
            times = self._server.call_many([("HGET", self._keys.head(sender_id), "updated") for sender_id in page])
            for sender_id, updated in zip(page, times, strict=True):
                if updated is not None and (idle_since is None or float(updated) < idle_since):
                    found.append(sender_id)
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    def delete(self, sender_id: str) -> bool:  # noqa: D102
        keys = self._keys.all_of(check_sender_id(sender_id))
        had = self._server.run(DELETE, keys, changing=True)
        self._forget_ids([sender_id])
        return bool(had)

    def _pages(self, after: str | None, size: int) -> Iterator[list[str]]:
        """Yield the ids above `after`, in order; some may have no conversation."""
        # UTF-8 sorts as code points do.
        start = b"-" if after is None else b"(" + check_sender_id(after).encode()
        while page := self._server.call("ZRANGEBYLEX", self._keys.ids, start, "+", "LIMIT", 0, size):
            yield [sender_id.decode() for sender_id in page]
            if len(page) < size:
                return
            start = b"(" + page[-1]

    def _without_keys(self, sender_ids: Sequence[str]) -> list[str]:
        """Return the ids that have neither a head nor answers, such as those whose lifetime ended."""
        heads = self._server.call_many([("EXISTS", self._keys.head(sender_id)) for sender_id in sender_ids])
        answers = self._server.call_many([("EXISTS", self._keys.answers(sender_id)[0]) for sender_id in sender_ids])
        found = zip(sender_ids, heads, answers, strict=True)
        return [sender_id for sender_id, head, answer in found if not head and not answer]

    def _forget_ids(self, sender_ids: Sequence[str]) -> None:
        """Remove ids from the list, but for those that have a conversation, as one that just started may."""
        if not sender_ids:
            return
        self._server.call("ZREM", self._keys.ids, *sender_ids)
        heads = self._server.call_many([("EXISTS", self._keys.head(sender_id)) for sender_id in sender_ids])
        for sender_id, head in zip(sender_ids, heads, strict=True):
            if head:
                self._server.call("ZADD", self._keys.ids, 0, sender_id)


def _words_of_commit(
    sender_id: str, expected_version: int, events: Sequence[str], head: Head, answer: StoredAnswer | None
) -> list[Word]:
    """Return the arguments of `COMMIT`."""
    if len(events) > _MOST_EVENTS:
        raise StoreError(
            f"{len(events)} events of conversation {sender_id!r} are too many for one commit: Redis takes "
            f"{_MOST_EVENTS}. Commit them in parts."
        )
    words: list[Word] = [expected_version, head.version, head.origin, head.fingerprint, repr(head.updated), head.state]
    if answer is None:
        words += ["", "", ""]
    else:
        if not math.isfinite(answer.created):
            raise StoreError(f"the time of the answer {answer.key!r} is {answer.created}, not a Unix time.")
        about = json.dumps([answer.request, answer.version, answer.complete, answer.created])
        words += [answer.key, f"{about}\n{answer.text}", repr(float(answer.created))]
    return [*words, int(ANSWERS_KEPT), *events]


def _answer(key: str, value: bytes) -> StoredAnswer:
    about, _, text = value.partition(b"\n")
    request, version, complete, created = json.loads(about)
    return StoredAnswer(key, request, version, complete, created, text.decode())
