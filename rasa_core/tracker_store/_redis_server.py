"""Connections to Redis: one server or a cluster, their number, forks, and repeating what may be repeated.

redis-py keeps the connections. At most `_MOST` operations run at one time, so there are at most as many
connections to a server. While the process forks none runs and no connection is open; afterwards both processes
open new ones. A connection that broke is replaced at the next operation, so a store goes on when its server is
back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, cast

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException
from redis.retry import Retry

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store._redis_errors import DRIVER_ERRORS, is_dropped, translated
from rasa_core.tracker_store._redis_scripts import Script

_LAYOUT = b"1"
_MOST = 64

Word: TypeAlias = str | bytes | int | float
Reply: TypeAlias = Any  # What Redis answers depends on the command.


class _Client(Protocol):
    """What `redis.Redis` and `RedisCluster` have in common, as far as it is used here."""

    def execute_command(self, *words: Word) -> Reply: ...

    def pipeline(self, transaction: bool) -> Any: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is, and how to speak to it; as in `RedisTrackerStore`."""

    host: str
    port: int
    db: int
    username: str | None
    password: str | None = field(repr=False)
    ssl: bool
    cluster: bool
    socket_timeout: float

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.ssl else 'redis'}://{host}:{self.port}/{self.db}"

    def open(self) -> _Client:
        """Return a client that never repeats anything by itself."""
        # Protocol 2 is what all of Redis 6 to 8 and redis-py 5 to 8 speak alike.
        options: dict[str, Any] = {
            "username": self.username,
            "password": self.password,
            "ssl": self.ssl,
            "socket_timeout": self.socket_timeout,
            "socket_connect_timeout": self.socket_timeout,
            "socket_keepalive": True,
            "protocol": 2,
        }
        once = Retry(NoBackoff(), 0)
        if not self.cluster:
            return cast(_Client, redis.Redis(self.host, self.port, self.db, retry=once, **options))
        if redis.VERSION < (6,):
            return cast(_Client, RedisCluster(self.host, self.port, cluster_error_retry_attempts=0, **options))
        return cast(_Client, RedisCluster(self.host, self.port, retry=once, **options))


class Server:
    """The server at `address`, as one store uses it, which tells it of forks; made without connecting.

    Parameters
    ----------
    layout_key
        Names the key that holds the version of the store's layout.
    """

    def __init__(self, address: Address, layout_key: bytes) -> None:
        self._address = address
        self._layout_key = layout_key
        self._closed = False
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Start without connections."""
        self._changed = threading.Condition(threading.Lock())
        self._running = 0
        self._client: _Client | None = None
        self._layout_is_known = False

    def before_fork(self) -> None:
        """Wait for the operations under way, and close every connection."""
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._running)
        self._disconnect()

    def after_fork_in_parent(self) -> None:
        """Let the other threads go on."""
        self._changed.release()

    def close(self) -> None:
        """Close the connections, now or when the operations under way have ended."""
        with self._changed:
            self._closed = True
            if not self._running:
                self._disconnect()

    def check_open(self) -> None:
        """Raise `StoreError` if the store was closed."""
        if self._closed:
            raise StoreError(f"the tracker store {self._address} is closed: make a new one.")

    def call(self, *words: Word, changing: bool = False) -> Reply:
        """Run one command.

        Parameters
        ----------
        changing
            Whether running it twice would differ from running it once. Whatever may be repeated is repeated, once,
            if the connection drops.
        """
        return self._run(lambda client: client.execute_command(*words), changing)

    def call_many(self, commands: Sequence[Sequence[Word]]) -> list[Reply]:
        """Run commands that may be repeated, in one go."""

        def run(client: _Client) -> list[Reply]:
            pipeline = client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return cast(list[Reply], pipeline.execute())

        return self._run(run, changing=False) if commands else []

    def run(self, script: Script, keys: Sequence[bytes], words: Sequence[Word] = (), changing: bool = False) -> Reply:
        """Run a script; `changing` as for `call`."""

        def run(client: _Client) -> Reply:
            try:
                return client.execute_command("EVALSHA", script.digest, len(keys), *keys, *words)
            except NoScriptError:  # The server is new, or was restarted.
                return client.execute_command("EVAL", script.text, len(keys), *keys, *words)

        return self._run(run, changing)

    def _run(self, operation: Callable[[_Client], Reply], changing: bool) -> Reply:
        with self._in_turn():
            try:
                try:
                    return operation(self._connected())
                except redis.ConnectionError as error:
                    if changing or not is_dropped(error):
                        raise
                    return operation(self._connected())
            except DRIVER_ERRORS as error:
                if isinstance(error, RedisClusterException):
                    self._forget_client()
                raise translated(error, str(self._address), changing=changing) from error

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        with self._changed:
            self.check_open()
            if not self._changed.wait_for(lambda: self._running < _MOST, self._address.socket_timeout):
                raise StoreUnavailableError(
                    f"cannot use the tracker store {self._address}: all its {_MOST} connections are busy. Try again."
                )
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                if self._closed and not self._running:
                    self._disconnect()
                self._changed.notify_all()

    def _connected(self) -> _Client:
        client = self._client
        if client is None:
            # Outside of the guard: a cluster is asked for its nodes here.
            client = self._address.open()
            with self._changed:
                self._client = client = self._client or client
        if not self._layout_is_known:
            self._check_layout(client)
            self._layout_is_known = True
        return client

    def _check_layout(self, client: _Client) -> None:
        found = client.execute_command("GET", self._layout_key)
        if found is None:
            # Of several processes that start at once, one sets it.
            client.execute_command("SET", self._layout_key, _LAYOUT, "NX")
            found = client.execute_command("GET", self._layout_key)
        if found != _LAYOUT:
            layout = found.decode(errors="replace") if found else found
            raise StoreError(
                f"the tracker store {self._address} has layout {layout}, and this rasa_core reads layout "
                f"{_LAYOUT.decode()}: it was written by another version of rasa_core. Use that version, or "
                "another key_prefix."
            )

    def _forget_client(self) -> None:
        """Look for the cluster anew at the next operation; others may still use this client."""
        with self._changed:
            self._client = None

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(*DRIVER_ERRORS):
                client.close()
