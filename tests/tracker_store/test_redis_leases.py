"""The leases of the Redis store within one process: waiting, renewal, loss and release."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from programs import until
from small_commits import head

pytest.importorskip("redis", reason="install it with: pip install redis")

from processes import is_free, said, worker
from redis_engines import empty_store
from redis_servers import shared_server

from rasa_core.exceptions import StoreUnavailableError, VersionConflictError
from rasa_core.tracker_store import Head
from rasa_core.tracker_store import redis as redis_store
from rasa_core.tracker_store.redis import RedisTrackerStore

LEASE = b"rasa_core:{a}:lease"


@pytest.fixture
def store() -> Iterator[RedisTrackerStore]:
    with empty_store() as opened:
        yield opened


@pytest.fixture
def other(store: RedisTrackerStore) -> Iterator[RedisTrackerStore]:
    """Yield a store that knows of the first only through Redis, as one of another machine."""
    with RedisTrackerStore(host="127.0.0.1", port=shared_server().port, timeout=0.1) as opened:
        yield opened


def url() -> str:
    return f"{shared_server().url}?timeout=20"


def renewing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "rasa_core leases"]


def test_a_busy_conversation_is_given_up_after_the_timeout(store: RedisTrackerStore, other: RedisTrackerStore) -> None:
    with (
        store.lock("a"),
        pytest.raises(StoreUnavailableError, match=r"conversation 'a' was busy for 0\.1 s"),
        other.lock("a"),
    ):
        pass


def test_a_lease_is_gone_when_its_block_is_left(store: RedisTrackerStore) -> None:
    with shared_server().client() as client:
        with store.lock("a"):
            assert 0 < client.pttl(LEASE) <= 10_000
        assert not client.exists(LEASE)


def test_what_was_committed_behind_a_lost_lease_stays(store: RedisTrackerStore, other: RedisTrackerStore) -> None:
    with shared_server().client() as client, store.lock("a"):
        client.delete(LEASE)
        with other.lock("a"):
            other.commit("a", 0, ["other"], head(1))
        with pytest.raises(VersionConflictError, match="at version 1, not 0"):
            store.commit("a", 0, ["late"], head(1))
    assert store.read_events("a", 0, 9) == ["other"]


def test_leaving_a_block_does_not_free_the_lease_of_somebody_else(
    store: RedisTrackerStore, other: RedisTrackerStore
) -> None:
    with shared_server().client() as client:
        with store.lock("a"):
            client.set(LEASE, "the token of another machine")
        with pytest.raises(StoreUnavailableError, match="busy"), other.lock("a"):
            pass


def test_a_lost_lease_is_not_renewed_over_that_of_somebody_else(
    store: RedisTrackerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "RENEWED", 0.01)
    with shared_server().client() as client, store.lock("a"), store.lock("b"):
        client.set(LEASE, "the token of another machine", px=60_000)
        # As the lease of b is renewed after that of a, the second time it grows tells of a whole round.
        for _ in range(2):
            client.pexpire("rasa_core:{b}:lease", 2000)
            until(lambda: client.pttl("rasa_core:{b}:lease") > 2000)
        assert client.get(LEASE) == b"the token of another machine"
        assert client.pttl(LEASE) > 10_000


def test_one_thread_renews_all_leases_and_ends_when_none_is_held(
    store: RedisTrackerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "RENEWED", 0.02)
    before = set(renewing())
    with store.lock("a"), store.lock("b"):
        (thread,) = set(renewing()) - before
    thread.join(10)
    assert not thread.is_alive()
    with store.lock("a"):
        assert len(set(renewing()) - before) == 1


def test_closing_a_store_gives_its_leases_back(store: RedisTrackerStore, other: RedisTrackerStore) -> None:
    with store.lock("a"):
        store.close()
        with other.lock("a"):
            pass


# -- other processes


def test_the_lease_of_a_process_that_lives_does_not_run_out(store: RedisTrackerStore) -> None:
    with worker("hold", url(), "a", lease=1.2) as process, shared_server().client() as client:
        assert said(process) == "held"
        (key,) = client.keys("*:lease")
        renewals = 0
        left = client.pttl(key)
        deadline = time.monotonic() + 20
        while renewals < 5 and time.monotonic() < deadline:
            before, left = left, client.pttl(key)
            renewals += left > before
            time.sleep(0.01)
        assert renewals == 5  # Longer than the lease.
        assert not is_free(url(), "a")


def test_a_process_that_slept_through_its_lease_overwrites_nothing(store: RedisTrackerStore) -> None:
    store.commit("a", 0, ["first"], head(1))
    with worker("sleep_through_the_lease", url(), lease=0.5) as process:
        assert said(process) == "held"
        with store.lock("a"):
            store.commit("a", 1, ["second"], Head(2, 0, "model", 6.0, "{}"))
            os.kill(process.pid, signal.SIGCONT)
            assert "conversation 'a' is at version 2, not 1" in said(process)
            process.wait()
            assert not is_free(url(), "a")
    assert store.read_events("a", 0, 9) == ["first", "second"]
