"""One writer a conversation, across the processes and machines that use one Redis.

A holder puts a random token under the conversation's lease key, which runs out by itself after `LEASE`
seconds. While any lease of a store is held, one thread of the store renews them all, so a lease lasts as long
as the work, and a process that dies frees it within `LEASE` seconds. Only who has the token can release it.

A process that stands still for longer than that (a paused machine, a server out of reach) loses its leases
without knowing. Then two writers may work on one conversation, and the later commit fails: it names a version
that is no longer stored. So a lost lease costs a repeated turn, never an event, and commits need not check it;
to refuse a commit whose lease ran out while nobody else took it would only repeat turns for nothing.

Threads of one process are ordered by a mutex first, so each process asks Redis for a conversation once at a
time.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rasa_core.exceptions import StoreError
from rasa_core.tracker_store._redis_scripts import RELEASE_LEASE, RENEW_LEASE, TAKE_LEASE
from rasa_core.tracker_store._redis_server import Server
from rasa_core.tracker_store.locks import MutexTable, busy_error

LEASE, RENEWED = 4.0, 1.0
"""How long a lease lasts, and how often it is renewed, in seconds."""

_FIRST_WAIT, _LONGEST_WAIT = 0.001, 0.02


class Leases:
    """The leases that one store holds on `server`; the store tells them of forks before it tells the server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._mutexes = MutexTable()
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Start without leases: those of the parent stay the parent's."""
        self._changed = threading.Condition(threading.Lock())
        self._held: dict[bytes, bytes] = {}
        self._stopping = False
        self._renewing: threading.Thread | None = None

    def before_fork(self) -> None:
        """End the thread, and let no lease be taken or given back."""
        self._changed.acquire()
        self._stopping = True
        self._changed.notify_all()
        thread = self._renewing
        self._changed.wait_for(lambda: self._renewing is None)
        if thread is not None:
            thread.join()

    def after_fork_in_parent(self) -> None:
        """Go on renewing."""
        self._stopping = False
        self._start_renewing()
        self._changed.release()

    def close(self) -> None:
        """Give back all leases, and end the thread."""
        with self._changed:
            held, self._held = self._held, {}
            self._stopping = True
            self._changed.notify_all()
        for token, key in held.items():
            self._release(key, token)

    @contextmanager
    def hold(self, key: bytes, *, name: str, timeout: float) -> Iterator[None]:
        """Hold the lease under `key` while the block runs; errors as in `MutexTable.hold`."""
        deadline = time.monotonic() + timeout
        with self._mutexes.hold(key, name=name, timeout=timeout):
            token = secrets.token_hex(16).encode()
            self._take(key, token, name, deadline, timeout)
            self._keep(key, token)
            try:
                yield
            finally:
                if self._let_go(token):
                    self._release(key, token)

    def _take(self, key: bytes, token: bytes, name: str, deadline: float, timeout: float) -> None:
        wait = _FIRST_WAIT
        while not self._server.run(TAKE_LEASE, [key], [token, _milliseconds(LEASE)]):
            left = deadline - time.monotonic()
            if left <= 0:
                raise busy_error(name, timeout)
            # Waiting processes ask at different moments, so that none is always a little too late.
            time.sleep(min(wait * random.uniform(0.5, 1.0), left))
            wait = min(wait * 2, _LONGEST_WAIT)

    def _release(self, key: bytes, token: bytes) -> None:
        # If Redis cannot be reached, the lease runs out by itself.
        with suppress(StoreError):
            self._server.run(RELEASE_LEASE, [key], [token])

    def _keep(self, key: bytes, token: bytes) -> None:
        with self._changed:
            self._held[token] = key
            self._start_renewing()

    def _let_go(self, token: bytes) -> bool:
        """Return whether this process still had it: after a fork, or when the store was closed, it has not."""
        with self._changed:
            return self._held.pop(token, None) is not None

    def _start_renewing(self) -> None:
        if self._held and self._renewing is None and not self._stopping:
            self._renewing = threading.Thread(target=self._renew, name="rasa_core leases", daemon=True)
            self._renewing.start()

    def _renew(self) -> None:
        while held := self._due():
            for token, key in held:
                with suppress(StoreError):
                    self._server.run(RENEW_LEASE, [key], [token, _milliseconds(LEASE)])

    def _due(self) -> list[tuple[bytes, bytes]]:
        """Wait until it is time; return no lease to end the thread, so that no idle store has one."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, RENEWED)
            if self._stopping or not self._held:
                self._renewing = None
                self._changed.notify_all()
                return []
            return list(self._held.items())


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
