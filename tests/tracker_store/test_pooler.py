"""PostgreSQL behind a pooler, which is named or detected, and with a limit of connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from at_once import at_once
from pgbouncer import empty_store, shared_pooler
from small_commits import head
from sql_servers import shared

from rasa_core.domain import Domain
from rasa_core.events import SlotSet
from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store import store_from_url
from rasa_core.tracker_store.sql import SqlTrackerStore


@pytest.fixture
def store() -> Iterator[SqlTrackerStore]:
    with empty_store() as opened:
        yield opened


def test_a_pooler_that_shares_connections_is_found_out_at_the_start() -> None:
    with pytest.raises(StoreError, match=r"a pooler gives its connections to others .* Add \?pooler=transaction"):
        store_from_url(shared_pooler().url())


def test_a_pooler_that_keeps_sessions_together_is_used_as_a_server_is() -> None:
    with store_from_url(shared_pooler("session").url(timeout=20)) as store:
        assert store.sender_ids(limit=0) == []


def test_a_pooler_that_keeps_nothing_together_is_found_out_too() -> None:
    with pytest.raises(StoreError, match=r"after each statement\. Set pool_mode = transaction there"):
        store_from_url(shared_pooler("statement").url(pooler="transaction"))


def test_a_pooler_of_another_kind_is_refused() -> None:
    with pytest.raises(StoreError, match="pooler is session or transaction, not 'statement'"):
        store_from_url("postgresql://localhost/x?pooler=statement")


def test_many_threads_take_turns_over_few_connections(store: SqlTrackerStore, domain: Domain) -> None:
    store.bind(domain, 3, "model-1")

    def work(number: int) -> None:
        for round_ in range(10):
            with store.conversation(f"conversation {(number + round_) % 4}") as conversation:
                conversation.tracker.update(SlotSet("mood", f"{number}/{round_}"))
                conversation.commit()
                conversation.tracker.update(SlotSet("mood", f"{number}/{round_} again"))
                conversation.commit()

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(work, range(30)))
    logs = [
        [event.value for event in store.peek(f"conversation {n}").events if isinstance(event, SlotSet)]
        for n in range(4)
    ]
    assert all(second == f"{first} again" for log in logs for first, second in zip(log[::2], log[1::2], strict=True))
    assert sum(map(len, logs)) == 600


def test_no_lock_and_no_setting_is_left_on_the_connections_of_the_pooler(store: SqlTrackerStore) -> None:
    with store.lock("a"), store.lock("b"):
        store.commit("a", 0, ["0"], head(1))
    with pytest.raises(StoreError, match="in this thread"), store.lock("a"), store.lock("a"):
        pass
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert shared("postgresql").execute(locks) == [(0,)]
    with psycopg.connect(shared_pooler().url(), autocommit=True, prepare_threshold=None) as other:
        assert other.execute("SHOW lock_timeout").fetchone() == ("0",)
        assert other.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_what_is_committed_within_a_block_is_seen_by_others_at_once(store: SqlTrackerStore) -> None:
    with store.lock("a"):
        store.commit("a", 0, ["0"], head(1))
        assert shared("postgresql").execute("SELECT event FROM rasa_core_events", database="rasa") == [("0",)]
        store.delete("a")
        assert shared("postgresql").execute("SELECT event FROM rasa_core_events", database="rasa") == []
        with pytest.raises(StoreUnavailableError, match="was busy"):
            ThreadPoolExecutor(1).submit(take, "a").result(20)


def take(sender_id: str) -> None:
    with SqlTrackerStore(url=shared_pooler().url(pooler="transaction"), timeout=0.2) as other, other.lock(sender_id):
        pass


# -- limits of connections


@pytest.fixture
def limited() -> str:
    """Return the URL of a database for a user that may have two connections."""
    server = shared("postgresql")
    database = server.new_database()
    server.execute(
        f"CREATE ROLE limited_{database} LOGIN PASSWORD 'x' CONNECTION LIMIT 2",
        f"ALTER DATABASE {database} OWNER TO limited_{database}",
    )
    return f"postgresql://limited_{database}:x@127.0.0.1:{server.port}/{database}"


def test_requests_wait_for_a_connection_where_the_user_may_have_no_more(limited: str) -> None:
    with store_from_url(f"{limited}?timeout=20") as store:

        def work(number: int) -> None:
            for version in range(5):
                with store.lock(str(number)):
                    store.commit(str(number), version, [str(version)], head(version + 1))

        at_once(work, range(8))
        assert [store.read_head(str(number)) for number in range(8)] == [head(5)] * 8


def test_a_process_that_rests_leaves_the_connections_to_others(limited: str) -> None:
    barrier = threading.Barrier(2)
    with store_from_url(f"{limited}?timeout=20") as first:

        def work(number: int) -> None:
            with first.lock(str(number)):
                barrier.wait(20)  # Both connections are open now.
                first.commit(str(number), 0, ["0"], head(1))

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, range(2)))
        with store_from_url(f"{limited}?timeout=20") as second:
            assert second.sender_ids() == ["0", "1"]
        assert first.sender_ids() == ["0", "1"]


@pytest.mark.parametrize("number", ["0", "-1", "many", ""])
def test_a_number_of_connections_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(StoreError, match="connection"):
        store_from_url(f"postgresql://localhost/x?connections={number}")
