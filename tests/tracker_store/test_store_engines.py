"""The promises of every engine: see `rasa_core.tracker_store.log_store`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from at_once import at_once
from engines import ADDRESSES, ENGINES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_commits import append, head

from rasa_core.exceptions import StoreError, VersionConflictError
from rasa_core.tracker_store import EventLogStore, Head, SenderIdError, StoredAnswer

one_store_for_all = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
storable = st.text(st.characters(exclude_categories=["Cs"]))


def answer(key: str, text: str = "{}", created: float = 1.5) -> StoredAnswer:
    return StoredAnswer(key, "digest", 1, True, created, text)


def test_an_unknown_conversation_has_neither_head_nor_events(engine: EventLogStore) -> None:
    assert engine.read_head("nobody") is None
    assert engine.read_events("nobody", 0, 10) == []


def test_reading_creates_nothing(engine: EventLogStore) -> None:
    engine.read_head("a")
    engine.read_events("a", 0, 1)
    assert engine.sender_ids() == []


def test_a_commit_stores_its_events_in_order_with_its_head(engine: EventLogStore) -> None:
    new = Head(2, 0, "model", 1763.25, '{"slots":{}}')
    engine.commit("a", 0, ["1", "2"], new)
    assert engine.read_head("a") == new
    assert engine.read_events("a", 0, 2) == ["1", "2"]


def test_a_later_commit_appends(engine: EventLogStore) -> None:
    append(engine, "a", "1", "2")
    append(engine, "a", "3")
    assert engine.read_events("a", 0, 9) == ["1", "2", "3"]


def test_a_conversation_may_start_without_events(engine: EventLogStore) -> None:
    engine.commit("a", 0, [], head(0))
    engine.commit("a", 0, ["1"], head(1))
    assert engine.read_head("a") == head(1)


def test_events_are_read_by_position(engine: EventLogStore) -> None:
    append(engine, "a", "0", "1", "2", "3")
    for start, stop, expected in ((0, 2, "01"), (1, 3, "12"), (2, 99, "23"), (2, 2, ""), (7, 9, "")):
        assert engine.read_events("a", start, stop) == list(expected)


@pytest.mark.parametrize("expected_version", [0, 1, 3])
def test_a_commit_on_another_version_is_refused(engine: EventLogStore, expected_version: int) -> None:
    append(engine, "a", "0", "1")
    with pytest.raises(VersionConflictError, match=f"'a' is at version 2, not {expected_version}"):
        engine.commit("a", expected_version, ["x"], head(expected_version + 1))


def test_a_commit_on_a_version_of_an_unknown_conversation_is_refused(engine: EventLogStore) -> None:
    with pytest.raises(VersionConflictError, match="at version 0, not 2"):
        engine.commit("a", 2, ["x"], head(3))


def test_a_refused_commit_changes_nothing(engine: EventLogStore) -> None:
    append(engine, "a", "0", "1")
    with pytest.raises(VersionConflictError, match="version"):
        engine.commit("a", 1, ["x", "y"], head(3, state="[]"))
    assert engine.read_head("a") == head(2)
    assert engine.read_events("a", 0, 9) == ["0", "1"]


@pytest.mark.parametrize("wrong", [head(2), head(0), head(1, origin=2), head(1, origin=-1)], ids=str)
def test_a_head_that_contradicts_its_events_is_refused(engine: EventLogStore, wrong: Head) -> None:
    with pytest.raises(StoreError, match=r"1 events on version 0 cannot give"):
        engine.commit("a", 0, ["1"], wrong)


def test_values_of_a_megabyte_come_back(engine: EventLogStore) -> None:
    text = json.dumps({"value": "\\\"'%\x00\n😀" * 40_000})
    assert len(text) > 1_000_000
    engine.commit("a", 0, [text] * 3, head(3, state=text), answer("k", text))
    assert engine.read_head("a") == head(3, state=text)
    assert engine.read_events("a", 0, 9) == [text] * 3
    assert engine.read_answer("a", "k") == answer("k", text)


def test_replacing_keeps_the_earlier_events_in_the_log(engine: EventLogStore) -> None:
    append(engine, "a", "0", "1")
    engine.commit("a", 2, ["2"], head(3, origin=2))
    assert engine.read_head("a") == head(3, origin=2)
    assert engine.read_events("a", 0, 9) == ["0", "1", "2"]


def test_deleting_removes_everything(engine: EventLogStore) -> None:
    append(engine, "a", "0")
    append(engine, "b", "1")
    assert engine.delete("a")
    assert engine.read_head("a") is None
    assert engine.read_events("a", 0, 9) == []
    assert engine.sender_ids() == ["b"]


def test_deleting_an_unknown_conversation_tells_so(engine: EventLogStore) -> None:
    assert not engine.delete("a")


def test_a_deleted_conversation_can_start_again(engine: EventLogStore) -> None:
    append(engine, "a", "old", "older")
    engine.delete("a")
    append(engine, "a", "new")
    assert engine.read_events("a", 0, 9) == ["new"]


def test_conversations_do_not_see_each_other(engine: EventLogStore) -> None:
    append(engine, "a", "0")
    append(engine, "A", "1")
    append(engine, "a ", "2")
    assert [engine.read_events(one, 0, 9) for one in ("a", "A", "a ")] == [["0"], ["1"], ["2"]]


def test_ids_come_sorted_and_in_pages(engine: EventLogStore) -> None:
    ids = sorted(["b", "a", "\U0001f600", "é", "", "Z", "\uffff"])
    for sender_id in ids:
        append(engine, sender_id, "0")
    pages = [engine.sender_ids(limit=3), engine.sender_ids(ids[2], 3), engine.sender_ids(ids[5], 3)]
    assert pages == [ids[:3], ids[3:6], ids[6:]]


@pytest.mark.parametrize("limit", [0, -1])
def test_no_ids_are_given_where_none_are_asked_for(engine: EventLogStore, limit: int) -> None:
    append(engine, "a", "0")
    assert engine.sender_ids(limit=limit) == []


def test_only_conversations_that_are_idle_are_given_where_asked_for(engine: EventLogStore) -> None:
    for sender_id, updated in [("a", 10.0), ("b", 20.0), ("c", 5.5), ("d", 20.5)]:
        engine.commit(sender_id, 0, ["0"], head(1, updated=updated))
    assert engine.sender_ids(idle_since=20.0) == ["a", "c"]
    assert engine.sender_ids("a", 1, idle_since=20.25) == ["b"]


def test_a_later_commit_tells_when_a_conversation_changed_last(engine: EventLogStore) -> None:
    engine.commit("a", 0, ["0"], head(1, updated=10.0))
    engine.commit("a", 1, ["1"], head(2, updated=30.0))
    assert engine.sender_ids(idle_since=20.0) == []


def test_an_answer_is_found_by_its_conversation_and_key(engine: EventLogStore) -> None:
    first, other = answer("k", '{"next_action":"utter_hi"}'), answer("other")
    engine.commit("a", 0, ["0"], head(1), first)
    engine.commit("a", 1, ["1"], head(2), other)
    assert [engine.read_answer("a", key) for key in ("k", "other", "K")] == [first, other, None]
    assert engine.read_answer("b", "k") is None


def test_an_answer_can_be_stored_without_events(engine: EventLogStore) -> None:
    append(engine, "a", "0")
    engine.commit("a", 1, [], head(1), answer("k"))
    assert engine.read_answer("a", "k") == answer("k")
    assert engine.read_events("a", 0, 9) == ["0"]


def test_an_answer_takes_the_place_of_an_earlier_one_with_its_key(engine: EventLogStore) -> None:
    engine.commit("a", 0, ["0"], head(1), StoredAnswer("k", "digest", 1, False, 1.25, "[1]"))
    done = StoredAnswer("k", "digest", 2, True, 1.25, "[1,2]")
    engine.commit("a", 1, ["1"], head(2), done)
    assert engine.read_answer("a", "k") == done


def test_a_refused_commit_stores_no_answer(engine: EventLogStore) -> None:
    append(engine, "a", "0")
    with pytest.raises(VersionConflictError, match="version"):
        engine.commit("a", 0, ["x"], head(1), answer("k"))
    assert engine.read_answer("a", "k") is None


def test_answers_go_with_their_conversation(engine: EventLogStore) -> None:
    for sender_id in ("a", "b"):
        engine.commit(sender_id, 0, ["0"], head(1), answer("k"))
    engine.delete("a")
    assert engine.read_answer("a", "k") is None
    assert engine.read_answer("b", "k") is not None


def test_answers_expire_by_the_time_they_were_created(engine: EventLogStore) -> None:
    now = time.time()
    engine.commit("a", 0, ["0"], head(1), answer("old", created=now - 100))
    engine.commit("a", 1, ["1"], head(2), answer("new", created=now))
    engine.expire_answers(now - 50)
    assert engine.read_answer("a", "old") is None
    assert engine.read_answer("a", "new") is not None
    assert engine.read_events("a", 0, 9) == ["0", "1"]


def test_many_answers_expire(engine: EventLogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[type(engine).__module__]
    for page in {"_EXPIRED_AT_ONCE", "_PAGE"} & set(vars(module)):
        monkeypatch.setattr(module, page, 10)
    for number in range(33):
        engine.commit("a", number, ["0"], head(number + 1), answer(str(number), created=float(number)))
    engine.expire_answers(32.0)
    assert [number for number in range(33) if engine.read_answer("a", str(number)) is not None] == [32]


@one_store_for_all
@given(sender_id=storable, text=st.text())
def test_any_id_and_any_text_come_back_as_they_were(engine: EventLogStore, sender_id: str, text: str) -> None:
    row = json.dumps({"event": "user", "text": text})
    engine.delete(sender_id)
    append(engine, sender_id, row)
    assert json.loads(engine.read_events(sender_id, 0, 1)[0])["text"] == text
    assert sender_id in engine.sender_ids()


def test_awkward_ids_are_ids_like_any_other(engine: EventLogStore) -> None:
    append(engine, "a", "other")
    for sender_id in ("\x00", "a\x00b", "a\x00", "\U0001f600", "'; DROP TABLE heads; --", "%00/.."):
        with engine.lock(sender_id):
            append(engine, sender_id, "0")
        assert engine.read_events(sender_id, 0, 9) == ["0"]
        assert engine.sender_ids(after=sender_id) == [one for one in ["a"] if one > sender_id]
        engine.delete(sender_id)


@pytest.mark.parametrize("sender_id", ["\ud800", 5, None, b"a"], ids=repr)
def test_an_id_that_is_no_text_is_a_mistake_of_the_caller(engine: EventLogStore, sender_id: Any) -> None:
    for call in (
        lambda: engine.lock(sender_id),
        lambda: engine.read_head(sender_id),
        lambda: engine.read_events(sender_id, 0, 1),
        lambda: engine.commit(sender_id, 0, [], head(0)),
        lambda: engine.read_answer(sender_id, "key"),
        lambda: engine.delete(sender_id),
    ):
        with pytest.raises(SenderIdError, match="sender_id") as raised:
            call()
        assert isinstance(raised.value, ValueError)


def test_of_many_writers_on_one_version_one_wins(engine: EventLogStore) -> None:
    def write(number: int) -> bool:
        try:
            engine.commit("a", 0, [str(number)], head(1))
        except VersionConflictError:
            return False
        return True

    won = [number for number, success in enumerate(at_once(write, range(8))) if success]
    assert engine.read_events("a", 0, 9) == [str(number) for number in won]
    assert len(won) == 1


def test_a_lock_lets_no_other_thread_in_between(engine: EventLogStore) -> None:
    threads, conversations = 8, [f"conversation {number}" for number in range(5)]

    def work(number: int) -> None:
        for sender_id in conversations * 2:
            with engine.lock(sender_id):
                append(engine, sender_id, f"{number} starts")
                append(engine, sender_id, f"{number} ends")

    at_once(work, range(threads))
    for sender_id in conversations:
        log = engine.read_events(sender_id, 0, 999)
        assert [row.split()[0] for row in log[::2]] == [row.split()[0] for row in log[1::2]]
        assert [row.split()[1] for row in log] == ["starts", "ends"] * 16
        assert sorted(log[::2]) == sorted(f"{number} starts" for number in [*range(threads)] * 2)


def test_a_lock_is_free_again_after_an_error(engine: EventLogStore) -> None:
    with pytest.raises(KeyError, match="oops"), engine.lock("a"):
        raise KeyError("oops")
    with engine.lock("a"):
        append(engine, "a", "0")


def test_locking_twice_in_one_thread_is_refused_at_once(engine: EventLogStore) -> None:
    with (
        engine.lock("a"),
        pytest.raises(StoreError, match="'a' is already open in this thread"),
        engine.lock("a"),
    ):
        pass


def test_one_thread_may_hold_several_conversations(engine: EventLogStore) -> None:
    with engine.lock("a"), engine.lock("b"):
        append(engine, "a", "0")
        append(engine, "b", "0")
    assert engine.sender_ids() == ["a", "b"]


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_closed_store_says_so(name: str, tmp_path: Path) -> None:
    store = ENGINES[name](tmp_path)
    store.close()
    store.close()
    calls = (lambda: store.read_head("a"), lambda: store.lock("a"), lambda: store.commit("a", 0, [], head(0)))
    for call in calls:
        with pytest.raises(StoreError, match=r"(conversations\.db|127\.0\.0\.1:\d+/\w+) is closed: make a new one"):
            call()
