"""Searching for conversations, and marks on them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from rasa_core.tracker_store import EventLogStore, Head, InMemoryTrackerStore
from rasa_core.tracker_store.digests import digest_of
from rasa_core.tracker_store.reviews import Mark, ReviewError, newest, reviews_of
from rasa_core.tracker_store.search import Search, SearchError
from rasa_core.tracker_store.search_index import ConversationIndex

MORNING = 1_700_000_000.0


def user(text: str, intent: str = "greet", confidence: float = 0.9) -> dict:
    parsed = {"text": text, "intent": {"name": intent, "confidence": confidence}, "entities": []}
    return {"event": "user", "text": text, "parse_data": parsed}


def action(name: str, confidence: float = 0.9, **more: object) -> dict:
    return {"event": "action", "name": name, "policy": "KerasPolicy", "confidence": confidence, **more}


def slot(name: str, value: object) -> dict:
    return {"event": "slot", "name": name, "value": value}


def put(store: EventLogStore, sender_id: str, *events: dict, at: float = MORNING) -> None:
    head = store.read_head(sender_id)
    version = 0 if head is None else head.version
    rows = [json.dumps({"timestamp": at + number, **event}) for number, event in enumerate(events)]
    store.commit(sender_id, version, rows, Head(version + len(rows), 0, "model", at, "{}"))


CONVERSATIONS: dict[str, list[dict]] = {
    "plain": [user("good morning"), action("utter_hello")],
    "unsure": [user("hm, what?", "ask", 0.31), action("utter_help", 0.44)],
    "failed": [user("concerts in Porto", "search"), slot("city", "Porto"), action("action_search", error="no network")],
    "fallback": [user("asdf", "nlu_fallback", 0.9), action("action_default_fallback")],
    "paused": [user("a person, please", "handoff"), action("utter_wait"), {"event": "pause"}],
    "resumed": [user("a person", "handoff"), {"event": "pause"}, {"event": "resume"}, action("utter_hello")],
    "deviates": [user("bye", "bye"), action("utter_bye", predicted="utter_hello")],
}


@pytest.fixture
def index(tmp_path: Path) -> ConversationIndex:
    store = InMemoryTrackerStore()
    for number, (name, events) in enumerate(CONVERSATIONS.items()):
        put(store, name, *events, at=MORNING + 86_400 * number)
    found = ConversationIndex(store, tmp_path / "index")
    found.catch_up()
    return found


def names(index: ConversationIndex, text: str, below: float = 0.5) -> list[str]:
    return [one["sender_id"] for one in index.find(Search.from_text(text, below)).conversations]


def test_what_needs_a_person_comes_first(index: ConversationIndex) -> None:
    assert names(index, "") == ["failed", "paused", "fallback", "deviates", "unsure", "resumed", "plain"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("morning", {"plain"}),
        ("MORN", {"plain"}),
        ("text:concerts", {"failed"}),
        ("intent:handoff", {"paused", "resumed"}),
        ("action:utter_hello", {"plain", "resumed"}),
        ("utter_hello", {"plain", "resumed"}),
        ("slot:city=Porto", {"failed"}),
        ("slot:city", {"failed"}),
        ("slot:city=Lisbon", set()),
        ("id:unsu", {"unsure"}),
        ("only:unsure", {"unsure"}),
        ("only:failed,paused", {"failed", "paused"}),
        ("only:deviates", {"deviates"}),
        ("only:fallback", {"fallback"}),
        ("after:2023-11-20", {"deviates"}),
        ("before:2023-11-15", {"plain"}),
        ("person only:paused", {"paused"}),
        ('"a person, please"', {"paused"}),
        ('"', set(CONVERSATIONS)),
        ("no such word", set()),
    ],
)
def test_a_search_finds_what_fits_all_of_it(index: ConversationIndex, text: str, expected: set[str]) -> None:
    assert set(names(index, text)) == expected


def test_what_counts_as_unsure_is_told_by_who_asks(index: ConversationIndex) -> None:
    assert names(index, "only:unsure", below=0.3) == []
    found = index.find(Search.from_text("id:unsure")).conversations[0]
    assert (found["confidence"], found["problems"]) == (0.31, {"unsure": 0})


def test_a_field_that_stands_very_often_is_looked_for_once(index: ConversationIndex) -> None:
    asked = Search.from_text("only:" + ",".join(["unsure", "failed"] * 2000))

    assert asked.only == ("unsure", "failed")
    assert index.find(asked).count == index.find(Search.from_text("only:unsure,failed")).count


def test_each_problem_tells_where_it_is(index: ConversationIndex) -> None:
    assert index.find(Search.from_text("only:failed")).conversations[0]["problems"] == {"failed": 2}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("intnt:greet", "Did you mean 'intent'"),
        ("only:unsur", "Did you mean 'unsure'"),
        ("after:yesterday", "is no date"),
        ("before:nan", "is no date"),
        ("reviewed:maybe", "yes, no, all"),
        ("a " * 101, "at most 100 words, not 101"),
    ],
)
def test_a_search_that_names_what_there_is_not(text: str, problem: str) -> None:
    with pytest.raises(SearchError, match=problem):
        Search.from_text(text)


def test_what_changes_is_found_anew_and_what_is_deleted_no_more(index: ConversationIndex) -> None:
    assert isinstance(index.store, InMemoryTrackerStore)
    put(index.store, "plain", user("something else", "other"), at=time.time())
    index.store.delete("failed")
    index.catch_up()
    assert names(index, "else") == ["plain"]
    assert "failed" not in names(index, "")
    assert index.find(Search()).total == len(CONVERSATIONS) - 1


@pytest.mark.parametrize("later", [0.0, 7200.0], ids=["at once", "when the clock shows more than it ever did"])
def test_what_changes_after_the_clock_was_set_back_is_found(
    index: ConversationIndex, monkeypatch: pytest.MonkeyPatch, later: float
) -> None:
    assert isinstance(index.store, InMemoryTrackerStore)
    clock, monotonic, set_back = time.time, time.monotonic, 3600.0
    put(index.store, "plain", user("something else", "other"), at=clock() - set_back)
    mark = Mark.from_json({"reviewed": True, "tags": ["done"]}, 3, at=clock() - set_back)
    index.reviews.write("paused", mark)
    monkeypatch.setattr(time, "time", lambda: clock() - set_back + later)
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + later)
    index.catch_up()
    assert names(index, "else") == ["plain"]
    assert names(index, "tag:done") == ["paused"]


def test_what_changes_after_the_clock_was_set_back_is_found_by_the_next_process(
    index: ConversationIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(index.store, InMemoryTrackerStore)
    clock, set_back = time.time, 3600.0
    index.close()
    put(index.store, "plain", user("something else", "other"), at=clock() - set_back)
    monkeypatch.setattr(time, "time", lambda: clock() - set_back)
    again = ConversationIndex(index.store, index.path)
    again.catch_up()
    assert names(again, "else") == ["plain"]
    again.close()


def test_pages_have_each_conversation_once(index: ConversationIndex) -> None:
    pages = [index.find(Search(), 3, offset) for offset in (0, 3, 6, 9)]
    found = [one["sender_id"] for page in pages for one in page.conversations]
    assert sorted(found) == sorted(CONVERSATIONS)
    assert {page.count for page in pages} == {len(CONVERSATIONS)}


def check_plan(index: ConversationIndex, text: str) -> None:
    """Check that a search reads nothing but an index, for the page and for the number."""
    asked: list[str] = []
    index._reader.set_trace_callback(asked.append)
    index.find(Search.from_text(text), offset=2)
    index._reader.set_trace_callback(None)
    plan = [row[3] for row in index._reader.execute(f"EXPLAIN QUERY PLAN {asked[0]}")]
    assert sum("COVERING INDEX" in step for step in plan) == 2, plan
    assert not {"SCAN list", "SCAN fits"} & set(plan)


FILTERS = ("", "reviewed:no", "only:unsure,failed", "only:fallback,paused,deviates reviewed:no", "after:2020-01-01")


@pytest.mark.parametrize("text", FILTERS)
def test_a_page_of_the_list_is_found_by_an_index(index: ConversationIndex, text: str) -> None:
    assert names(index, text)
    check_plan(index, text)


def test_an_index_of_an_earlier_format_is_made_again(index: ConversationIndex) -> None:
    before = [names(index, text) for text in FILTERS]
    for name in ("list_by_need", "list_by_review"):
        index._writer.execute(f"DROP INDEX {name}")
    index._writer.execute("CREATE INDEX list_by_need ON list (need DESC, updated DESC)")
    index._writer.execute("PRAGMA user_version = 2")
    index.close()
    again = ConversationIndex(index.store, index.path)
    assert again.catch_up()
    assert [names(again, text) for text in FILTERS] == before
    for text in FILTERS:
        check_plan(again, text)
    again.close()


def test_an_index_that_is_gone_is_made_again(index: ConversationIndex, tmp_path: Path) -> None:
    index.close()
    index.path.unlink()
    again = ConversationIndex(index.store, index.path)
    again.catch_up()
    assert len(names(again, "")) == len(CONVERSATIONS)


@pytest.mark.parametrize("text", ["\ud800", "\x00", "\u202e", "x" * 100_000, "'; DROP TABLE list", '" OR "'])
def test_texts_of_any_kind_are_taken_and_looked_for(index: ConversationIndex, text: str) -> None:
    assert isinstance(index.store, InMemoryTrackerStore)
    put(index.store, f"odd {text[:20]}".replace("\ud800", ""), user(f"odd {text}"), slot(text[:30], text))
    index.catch_up()
    assert len(names(index, "text:odd")) == 1
    names(index, text[:100])


def test_what_is_reviewed_needs_nobody_until_it_goes_on(index: ConversationIndex) -> None:
    assert isinstance(index.store, InMemoryTrackerStore)
    index.mark("failed", Mark.from_json({"reviewed": True, "note": "mended", "tags": ["net work"]}, 3))
    assert "failed" not in names(index, "reviewed:no")
    assert names(index, "reviewed:yes") == ["failed"]
    assert names(index, 'tag:"net work"') == ["failed"]
    put(index.store, "failed", user("still there?", "ask", 0.2), at=time.time())
    index.catch_up()
    found = index.find(Search.from_text("id:failed")).conversations[0]
    assert (found["reviewed"], found["problems"]) == (False, {"unsure": 3})


def test_marks_that_others_made_are_taken_over(index: ConversationIndex) -> None:
    index.reviews.write("paused", Mark.from_json({"reviewed": True, "tags": ["done"]}, 3))
    index.catch_up()
    assert names(index, "tag:done") == ["paused"]


@pytest.mark.parametrize(
    "content",
    [None, [], {"reviewed": 1}, {"note": 1}, {"tags": "a"}, {"tags": [""]}, {"tags": ["a\n"]}, {"other": 1}],
)
def test_what_is_no_mark_is_refused(content: object) -> None:
    with pytest.raises(ReviewError, match=r"^a mark has|^a tag is"):
        Mark.from_json(content, 1)


def test_problems_before_a_review_are_known() -> None:
    rows = [json.dumps(action("a", error="x")), json.dumps(action("b", 0.3))]
    assert digest_of(rows).problems == {"failed": 0}
    assert digest_of(rows, since=1).problems == {}
    assert digest_of(rows, since=1).unsure_at == 1


class TestEveryEngine:
    def test_marks_stand_beside_the_log_and_go_with_it(self, engine: EventLogStore) -> None:
        put(engine, "anna/1 \u00e9", user("hi"), at=time.time())  # Two engines of these keep them in one database.
        reviews = reviews_of(engine)
        mark = Mark(True, "a note \u00e9", ("x",), 1, MORNING)
        assert reviews.read("anna/1 \u00e9") == Mark()
        reviews.write("anna/1 \u00e9", Mark(False, "first", (), 1, MORNING - 1))
        reviews.write("anna/1 \u00e9", mark)
        assert reviews.read("anna/1 \u00e9") == mark
        assert list(reviews.marks_since(MORNING)) == [("anna/1 \u00e9", mark)]
        assert list(reviews.marks_since(MORNING + 1)) == []
        assert engine.read_head("anna/1 \u00e9").version == 1
        engine.delete("anna/1 \u00e9")
        assert reviews.read("anna/1 \u00e9") == Mark()
        put(engine, "anna/1 \u00e9", user("hi"), at=MORNING + 5)
        assert reviews.read("anna/1 \u00e9") == Mark()

    def test_what_has_changed_is_told(self, engine: EventLogStore) -> None:
        for number in range(5):
            put(engine, f"c{number}", user("hi"), at=MORNING + number)
        reviews = reviews_of(engine)
        assert {one.sender_id for one in reviews.changed_since(MORNING + 3)} == {"c3", "c4"}
        assert reviews.count() == 5
        assert list(newest(engine, 2, lambda found: [name for name in found if name != "c4"])) == ["c3", "c2"]

    def test_conversations_are_found(self, engine: EventLogStore, tmp_path: Path) -> None:
        put(engine, "anna", user("concerts in Porto", "search"), slot("city", "Porto"))
        index = ConversationIndex(engine, tmp_path / "index")
        index.catch_up()
        assert names(index, "slot:city=porto") == ["anna"]
        index.close()


def test_the_index_is_made_for_nobody_else(tmp_path: Path, index: ConversationIndex) -> None:
    assert index.path.stat().st_mode & 0o077 == 0
