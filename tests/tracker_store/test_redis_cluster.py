"""The Redis store on a cluster, beyond the tests of all engines in ``test_store_engines``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_commits import head

pytest.importorskip("redis", reason="install it with: pip install redis")

from redis_engines import empty_cluster_store
from redis_servers import shared_cluster

from rasa_core.exceptions import StoreUnavailableError
from rasa_core.tracker_store import StoredAnswer
from rasa_core.tracker_store.redis import RedisTrackerStore

IDS = sorted(["", "{", "}", "%", "a{b}c", "\x00", "\U0001f600", *map(str, range(20))])
ANSWER = StoredAnswer("k", "digest", 1, True, 1.5, "{}")


@pytest.fixture
def store() -> Iterator[RedisTrackerStore]:
    with empty_cluster_store() as opened:
        yield opened


def test_conversations_are_spread_over_all_nodes(store: RedisTrackerStore) -> None:
    for sender_id in IDS:
        with store.lock(sender_id):
            store.commit(sender_id, 0, ["0", "1"], head(2), ANSWER)
    for node in shared_cluster():
        with node.client() as client:
            assert client.keys("*:head")
    assert store.sender_ids() == IDS
    assert [store.read_events(sender_id, 1, 9) for sender_id in IDS] == [["1"]] * len(IDS)
    assert store.expire_answers(2.0) == len(IDS)
    for sender_id in IDS:
        assert store.delete(sender_id)
    assert store.sender_ids() == []


def test_a_store_goes_on_when_a_node_that_went_away_is_back(store: RedisTrackerStore) -> None:
    for sender_id in IDS:
        store.commit(sender_id, 0, ["0"], head(1))
    node = shared_cluster()[0]
    with node.client() as client:
        heads = client.keys("*:head")
    gone = [sender_id for sender_id in IDS if store._keys.of(sender_id, "head")[0] in heads]
    node.kill()
    with pytest.raises(StoreUnavailableError, match="cannot use the tracker store"):
        store.read_head(gone[0])
    node.start()
    for one in shared_cluster():
        one.wait_for_cluster()
    for sender_id in gone:  # These nodes keep nothing on a disk.
        store.commit(sender_id, 0, ["1"], head(1))
    assert [store.read_events(sender_id, 0, 9) for sender_id in gone] == [["1"]] * len(gone)


def test_a_cluster_that_went_away_as_a_whole_is_found_again(store: RedisTrackerStore) -> None:
    store.commit("a", 0, ["0"], head(1))
    for node in shared_cluster():
        node.kill()
    with pytest.raises(StoreUnavailableError, match=r"Start .*, or correct the address"):
        store.read_head("a")
    for node in shared_cluster():
        node.start()
    for node in shared_cluster():
        node.wait_for_cluster()
    assert store.read_head("a") is None
    store.commit("a", 0, ["1"], head(1))
