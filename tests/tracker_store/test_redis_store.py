"""The keys of the Redis store, and when they expire."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from programs import until
from small_commits import head

pytest.importorskip("redis", reason="install it with: pip install redis")

import redis
from hypothesis import given
from hypothesis import strategies as st
from redis_engines import empty_store
from redis_servers import shared_server

from rasa_core.domain import Domain
from rasa_core.events import SlotSet, UserUttered
from rasa_core.exceptions import StoreError
from rasa_core.tracker_store import StoredAnswer, TrackerStore, redis_scripts
from rasa_core.tracker_store import redis as redis_store
from rasa_core.tracker_store.redis import RedisTrackerStore
from rasa_core.tracker_store.redis_scripts import ALL_PARTS, Keys

DAY = 24 * 60 * 60
storable = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("{}%"))


@pytest.fixture
def store() -> Iterator[RedisTrackerStore]:
    with empty_store() as opened:
        yield opened


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with shared_server().client() as opened:
        yield opened


def answer(key: str, created: float = 1.5, text: str = "{}") -> StoredAnswer:
    return StoredAnswer(key, "digest", 1, True, created, text)


# -- keys


@given(sender_id=storable)
def test_the_keys_of_a_conversation_share_a_hash_tag(sender_id: str) -> None:
    keys = Keys("rasa_core")
    for key in keys.of(sender_id, *ALL_PARTS, "lease"):
        tag = key[key.index(b"{") + 1 : key.index(b"}")]
        assert tag
        assert key.startswith(b"rasa_core:{" + tag + b"}:")
        assert key.count(b"{") == key.count(b"}") == 1


@given(one=storable, other=storable)
def test_different_conversations_have_different_keys(one: str, other: str) -> None:
    keys = Keys("rasa_core")
    assert (keys.of(one, "head") == keys.of(other, "head")) == (one == other)


@pytest.mark.parametrize(
    ("sender_id", "key"),
    [
        ("ada", b"rasa_core:{ada}:head"),
        ("", b"rasa_core:{%}:head"),
        ("%", b"rasa_core:{%25}:head"),
        ("a{b}c", b"rasa_core:{a%7Bb%7Dc}:head"),
        ("\x00", b"rasa_core:{\x00}:head"),
        ("\U0001f600", b"rasa_core:{\xf0\x9f\x98\x80}:head"),
    ],
)
def test_ids_are_escaped_where_they_would_break_the_hash_tag(sender_id: str, key: bytes) -> None:
    assert Keys("rasa_core").of(sender_id, "head") == [key]


@pytest.mark.parametrize("prefix", ["", "a{b", "a}", "é", "a\n"])
def test_a_prefix_that_would_break_the_hash_tag_is_refused(prefix: str) -> None:
    with pytest.raises(StoreError, match="key_prefix is printable ASCII text without"):
        RedisTrackerStore(key_prefix=prefix)


def test_stores_with_different_prefixes_do_not_see_each_other(store: RedisTrackerStore) -> None:
    with RedisTrackerStore(host="127.0.0.1", port=shared_server().port, key_prefix="other") as other:
        other.commit("a", 0, ["0"], head(1))
        assert store.sender_ids() == []
        assert store.read_head("a") is None


def test_what_0_9_pickled_is_neither_read_nor_changed(store: RedisTrackerStore, client: redis.Redis) -> None:
    client.set("a", b"\x80\x03pickled")
    assert store.keys() == []
    store.commit("a", 0, ["0"], head(1))
    store.delete("a")
    assert client.get("a") == b"\x80\x03pickled"


def test_another_layout_is_refused(store: RedisTrackerStore, client: redis.Redis) -> None:
    client.set("rasa_core:layout", "7")
    with pytest.raises(StoreError, match=r"has layout 7, and this rasa_core reads layout 1: .* or another key_prefix"):
        store.sender_ids()


# -- sizes


@pytest.mark.parametrize("count", [999, 1000, 1001, 5000, 20_000])
def test_a_commit_may_hold_thousands_of_events(store: RedisTrackerStore, count: int) -> None:
    events = [str(number) for number in range(count)]
    store.commit("a", 0, events, head(count))
    assert store.read_events("a", 0, count + 1) == events


def test_more_events_than_redis_takes_at_once_are_refused(
    store: RedisTrackerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_scripts, "MOST_EVENTS", 3)
    with pytest.raises(StoreError, match=r"4 events of conversation 'a' are too many for one commit.*in parts"):
        store.commit("a", 0, ["0"] * 4, head(4))


def test_ids_come_in_order_over_many_pages(store: RedisTrackerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_store, "_PAGE", 3)
    ids = [f"{number:02}" for number in range(10)]
    for sender_id in ids:
        store.commit(sender_id, 0, ["0"], head(1))
    assert store.sender_ids() == ids
    assert store.sender_ids("02", 5) == ids[3:8]


# -- answers


def test_the_answers_of_a_conversation_end_a_day_after_the_last_one_was_stored(
    store: RedisTrackerStore, client: redis.Redis
) -> None:
    store.commit("a", 0, ["0"], head(1), answer("one"))
    keys = client.keys("*:answers*")
    assert len(keys) == 3
    for key in keys:
        client.expire(key, 5)
    store.commit("a", 1, [], head(1), answer("two"))
    assert all(DAY - 60 < client.ttl(key) <= DAY for key in keys)
    assert client.ttl("rasa_core:{a}:head") == client.ttl("rasa_core:{a}:events") == -1


def test_answers_that_are_a_day_old_go_a_few_at_a_time_as_new_ones_come(
    store: RedisTrackerStore, client: redis.Redis
) -> None:
    for number in range(25):
        store.commit("a", 0, [], head(0), answer(f"old {number}"))
    client.zadd("rasa_core:{a}:answers:stored", {f"old {number}": time.time() - DAY - 5 for number in range(25)})
    left = []
    for number in range(4):
        store.commit("a", 0, [], head(0), answer(f"new {number}"))
        left.append(client.hlen("rasa_core:{a}:answers"))
    assert left == [16, 7, 3, 4]
    assert client.zcard("rasa_core:{a}:answers:created") == client.zcard("rasa_core:{a}:answers:stored") == 4


def test_answers_of_all_conversations_expire_in_pages(
    store: RedisTrackerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "_PAGE", 2)
    for sender_id in "abcde":
        for number in range(5):
            store.commit(sender_id, 0, [], head(0), answer(f"k{number}", created=float(number)))
    assert store.expire_answers(3.0) == 15
    assert [store.read_answer("e", f"k{number}") is None for number in range(5)] == [True] * 3 + [False] * 2
    assert store.sender_ids() == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("created", [float("nan"), float("inf")])
def test_an_answer_of_no_time_is_refused_before_anything_is_stored(store: RedisTrackerStore, created: float) -> None:
    with pytest.raises(StoreError, match=r"the time of the answer 'k' is (nan|inf), not a Unix time"):
        store.commit("a", 0, ["0"], head(1), answer("k", created=created))
    assert store.read_head("a") is None


# -- lifetimes


def test_a_lifetime_ends_the_conversation_as_a_whole(store: RedisTrackerStore, client: redis.Redis) -> None:
    store.domain = Domain.from_yaml("slots: {name: {type: text}}")
    tracker = store.init_tracker("a")
    tracker.update(SlotSet("name", "Ada"))
    store.save(tracker, timeout=60)
    times = [client.pexpiretime(f"rasa_core:{{a}}:{part}") for part in ("head", "events")]
    assert times[0] == times[1]
    assert time.time() + 50 < times[0] / 1000 < time.time() + 61


def test_a_conversation_whose_lifetime_ended_starts_anew(store: RedisTrackerStore) -> None:
    store.domain = Domain.from_yaml("slots: {name: {type: text}}")
    tracker = store.create_tracker("a")
    store.save(tracker, timeout=0.001)
    until(lambda: store.retrieve("a") is None)
    assert store.keys() == []
    assert store.get_or_create_tracker("a").version == 1


def test_going_on_keeps_a_conversation_for_good(store: RedisTrackerStore, client: redis.Redis) -> None:
    store.domain = Domain.from_yaml("slots: {name: {type: text}}")
    tracker = store.create_tracker("a")
    store.save(tracker, timeout=60)
    tracker.update(SlotSet("name", "Ada"))
    store.save(tracker)
    assert client.ttl("rasa_core:{a}:head") == client.ttl("rasa_core:{a}:events") == -1


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_lifetime_that_is_over_is_refused(store: RedisTrackerStore, timeout: float) -> None:
    store.domain = Domain.from_yaml("slots: {name: {type: text}}")
    with pytest.raises(StoreError, match="timeout is a number of seconds above 0"):
        store.save(store.init_tracker("a"), timeout=timeout)
    assert store.keys() == []


# -- the list of ids


def test_an_id_whose_conversation_was_never_committed_is_not_listed(
    store: RedisTrackerStore, client: redis.Redis
) -> None:
    store.commit("b", 0, ["0"], head(1))
    client.zadd("rasa_core:ids", {"a": 0, "c": 0})
    assert store.sender_ids() == store.sender_ids(limit=1) == ["b"]


def test_many_ids_without_a_conversation_do_not_hide_one(store: RedisTrackerStore, client: redis.Redis) -> None:
    store.commit("b", 0, ["0"], head(1))
    client.zadd("rasa_core:ids", {f"a{number}": 0 for number in range(1200)})
    assert store.sender_ids(limit=1) == ["b"]


def test_ids_without_a_conversation_go_when_answers_expire(store: RedisTrackerStore, client: redis.Redis) -> None:
    store.commit("b", 0, ["0"], head(1))
    client.zadd("rasa_core:ids", {"a": 0, "c": 0})
    store.expire_answers(0.0)
    assert client.zrange("rasa_core:ids", 0, -1) == [b"b"]


def test_a_deleted_conversation_leaves_nothing_behind(store: RedisTrackerStore, client: redis.Redis) -> None:
    with store.lock("a"):
        store.commit("a", 0, ["0"], head(1), answer("k"))
        store.delete("a")
    assert client.keys("*") == [b"rasa_core:layout"]
    assert client.zcard("rasa_core:ids") == 0


def test_a_conversation_that_starts_while_its_id_is_being_removed_stays_listed(
    store: RedisTrackerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.commit("a", 0, ["0"], head(1))
    forget = store._forget_ids

    def start_anew(sender_ids: list[str]) -> None:
        store.commit("a", 0, ["1"], head(1))
        forget(sender_ids)

    monkeypatch.setattr(store, "_forget_ids", start_anew)
    assert store.delete("a")
    assert store.sender_ids() == ["a"]


@pytest.mark.parametrize("part", ["events", "head"])
def test_a_conversation_that_lost_a_part_takes_no_commit(
    store: RedisTrackerStore, client: redis.Redis, part: str
) -> None:
    store.commit("a", 0, ["0", "1"], head(2))
    client.delete(f"rasa_core:{{a}}:{part}")
    stored = store.read_head("a")
    version = 0 if stored is None else stored.version
    with pytest.raises(StoreError, match=r"Redis dropped one of them\. Set maxmemory-policy to noeviction"):
        store.commit("a", version, ["x"], head(version + 1))


def test_packed_answers_outlive_a_log_that_ends_before_them(store: RedisTrackerStore, client: redis.Redis) -> None:
    store.bind(Domain.from_yaml("slots: {name: {type: unfeaturized}}\nactions: []\n"), 3, "model-1")
    with store.conversation("a") as conversation:
        conversation.tracker.update(SlotSet("name", "Lisboa " * 1000))
        state = conversation.tracker.current_state()
        text = json.dumps(state, separators=(",", ":"))
        conversation.commit_answer(StoredAnswer("k", "digest", 2, True, time.time(), ""), state)
    assert len(client.hget("rasa_core:{a}:answers", "k")) < 500
    tracker = store.retrieve("a")
    store.save(tracker, timeout=0.001)
    while client.exists("rasa_core:{a}:events"):
        pass
    with store.conversation("a") as conversation:
        assert conversation.find_answer("k").text == text


# -- subclasses of old


class OwnClient(RedisTrackerStore):
    """A store as programs for 0.9 write one, with a client of its own: the constructor of this store is not called."""

    def __init__(self, domain: Domain, client: redis.Redis, late: bool) -> None:
        if late:
            TrackerStore.__init__(self, domain)
        self.red = client
        if not late:
            super(RedisTrackerStore, self).__init__(domain)


@pytest.mark.parametrize("late", [False, True])
def test_a_subclass_may_bring_a_client_of_its_own(client: redis.Redis, store: RedisTrackerStore, late: bool) -> None:
    domain = Domain([], [], [], {})
    own = OwnClient(domain, client, late)
    assert own.red is client
    assert own.domain is domain

    tracker = own.get_or_create_tracker("anna")
    tracker.update(UserUttered("/greet", {"name": "greet"}))
    own.save(tracker)
    assert own.retrieve("anna") == tracker
    assert store.red.exists(b"rasa_core:{anna}:head")
