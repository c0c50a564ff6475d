"""Export and import of conversations, and copies between stores of every two engines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from engines import ENGINES
from hypothesis import given
from hypothesis import strategies as st
from small_commits import TURN, take_turn

from rasa_core.domain import Domain
from rasa_core.events import (
    ActionReverted,
    ConversationPaused,
    Event,
    FollowupAction,
    Restarted,
    SlotSet,
    UserUtteranceReverted,
)
from rasa_core.exceptions import StoreUnavailableError
from rasa_core.tracker_store import EventLogStore, Head, InMemoryTrackerStore, StoredAnswer
from rasa_core.tracker_store.reviews import Mark, reviews_of
from rasa_core.tracker_store.transfer import (
    Dump,
    DumpError,
    Outcome,
    export_conversation,
    import_conversation,
    import_lines,
    migrate,
    verify,
)

ODD_IDS = ["a", "a/b", "line\nbreak", "\x00", "😀", " ", "Ü"]
LONG = 3000


def bound(store: EventLogStore, domain: Domain, model: str = "model-1") -> EventLogStore:
    store.bind(domain, 3, model)
    return store


@pytest.fixture
def memory(domain: Domain) -> EventLogStore:
    return bound(InMemoryTrackerStore(), domain)


def put_in_place(store: EventLogStore, sender_id: str, *events: Event) -> None:
    with store.conversation(sender_id) as conversation:
        conversation.replace(events)
        conversation.commit()


def add_rows(store: EventLogStore, sender_id: str, count: int) -> list[str]:
    """Add a long conversation of small events, as an agent would have left it."""
    rows = [json.dumps(SlotSet("mood", number, timestamp=1000.0 + number).as_dict()) for number in range(count)]
    store.commit(sender_id, 0, rows, Head(count, 0, "of another model", 5.0, "{}"))
    return rows


def log_of(store: EventLogStore, sender_id: str) -> list[str]:
    return store.read_events(sender_id, 0, 10**9)


def visible(store: EventLogStore, sender_id: str) -> tuple[int, dict[str, Any], list[Any]]:
    tracker = store.retrieve(sender_id)
    assert tracker is not None
    return tracker.version, tracker.current_state(should_include_events=True), tracker.last_states(None)


def exported(store: EventLogStore, sender_id: str) -> Dump:
    dump = export_conversation(store, sender_id)
    assert dump is not None
    return dump


def line_of(**changes: Any) -> str:
    events = [SlotSet("mood", 1, timestamp=1000.0).as_dict(), SlotSet("mood", 2, timestamp=2000.0).as_dict()]
    return json.dumps({"format": 1, "sender_id": "a", "version": 2, "origin": 0, "events": events} | changes)


def imported(store: EventLogStore, *lines: str | bytes, **options: bool) -> list[Outcome]:
    return list(import_lines(store, lines, "talks.jsonl", **options))


def stops_after(store: EventLogStore, commits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the storage fail at a later commit."""
    commit = store.commit
    left = iter(range(commits))

    def commit_or_fail(*arguments: Any) -> None:
        if next(left, None) is None:
            raise StoreUnavailableError("the connection is lost")
        commit(*arguments)

    monkeypatch.setattr(store, "commit", commit_or_fail)


# -- export and import


@pytest.mark.parametrize("sender_id", ODD_IDS)
def test_an_imported_conversation_has_the_tracker_and_the_version_it_had(
    store: EventLogStore, memory: EventLogStore, sender_id: str
) -> None:
    take_turn(store, sender_id)
    line = exported(store, sender_id).as_line()
    assert imported(memory, line) == [Outcome(sender_id, 6)]
    assert visible(memory, sender_id) == visible(store, sender_id)
    store.delete(sender_id)
    assert imported(store, line) == [Outcome(sender_id, 6)]
    assert visible(store, sender_id) == visible(memory, sender_id)
    assert exported(store, sender_id).as_line() == line


def test_what_was_replaced_still_counts_for_the_version_and_nothing_else(
    store: EventLogStore, memory: EventLogStore
) -> None:
    take_turn(memory, "a")
    put_in_place(memory, "a", SlotSet("name", "Bob"))
    dump = exported(memory, "a")
    assert (dump.version, dump.origin) == (7, 6)
    imported(store, dump.as_line())
    assert visible(store, "a") == visible(memory, "a")
    assert list(store.peek("a").events) == [SlotSet("name", "Bob")]


any_event = st.sampled_from(
    [
        *TURN,
        SlotSet("mood", {"nested": ["\x00", "\ud800", None, 1.5]}),
        Restarted(),
        UserUtteranceReverted(),
        ActionReverted(),
        ConversationPaused(),
        FollowupAction("utter_hi"),
    ]
)


@given(events=st.lists(any_event, min_size=1), others=st.lists(any_event))
def test_any_conversation_comes_back_as_it_was(events: list[Event], others: list[Event]) -> None:
    domain = Domain.from_yaml("intents: [greet]\nslots: {name: {type: text}, mood: {type: unfeaturized}}\n")
    first, second = bound(InMemoryTrackerStore(), domain), bound(InMemoryTrackerStore(), domain)
    take_turn(first, "a", *events)
    if others:
        put_in_place(first, "a", *others)
    assert Dump.from_line(exported(first, "a").as_line()) == exported(first, "a")
    import_conversation(second, exported(first, "a"))
    assert visible(second, "a") == visible(first, "a")


def test_an_imported_conversation_takes_its_next_turn(store: EventLogStore, memory: EventLogStore) -> None:
    take_turn(memory, "a")
    imported(store, exported(memory, "a").as_line())
    for either in (store, memory):
        take_turn(either, "a", SlotSet("mood", "good", timestamp=5.0))
    assert visible(store, "a") == visible(memory, "a")


def test_a_conversation_without_events_is_one_all_the_same(engine: EventLogStore, memory: EventLogStore) -> None:
    memory.create_tracker("a", append_action_listen=False)
    assert imported(engine, exported(memory, "a").as_line()) == [Outcome("a")]
    assert engine.sender_ids() == ["a"]


def test_nothing_is_exported_of_an_unknown_conversation(engine: EventLogStore) -> None:
    assert export_conversation(engine, "a") is None


def test_an_export_never_mixes_a_conversation_with_one_that_took_its_place(
    engine: EventLogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_rows(engine, "a", 4)
    read_events = engine.read_events

    def start_over_before_reading(sender_id: str, start: int, stop: int) -> list[str]:
        monkeypatch.setattr(engine, "read_events", read_events)
        engine.delete(sender_id)
        engine.commit(sender_id, 0, ['{"event": "new"}'] * 9, Head(9, 8, "", 6.0, "{}"))
        return read_events(sender_id, start, stop)

    monkeypatch.setattr(engine, "read_events", start_over_before_reading)
    assert export_conversation(engine, "a") == Dump("a", 8, ['{"event": "new"}'] * 9)


def test_what_is_imported_changed_last_when_its_last_event_happened(engine: EventLogStore) -> None:
    imported(engine, line_of())
    assert engine.sender_ids(idle_since=2000.0) == []
    assert engine.sender_ids(idle_since=2000.5) == ["a"]


@pytest.mark.parametrize("stamp", [None, 9e14], ids=["unknown", "in the future"])
def test_a_conversation_whose_events_do_not_tell_when_changed_now(engine: EventLogStore, stamp: float | None) -> None:
    before = time.time()
    imported(engine, line_of(version=1, events=[{"event": "payment", "timestamp": stamp}]), own_events=True)
    head = engine.read_head("a")
    assert head is not None
    assert before <= head.updated <= time.time()


def test_the_same_conversation_is_stored_once(store: EventLogStore) -> None:
    take_turn(store, "a")
    before = store.read_head("a")
    line = exported(store, "a").as_line()
    assert imported(store, line, line) == [Outcome("a"), Outcome("a")]
    assert store.read_head("a") == before


def test_other_habits_of_writing_json_do_not_make_another_conversation(engine: EventLogStore) -> None:
    imported(engine, line_of())
    rewritten = json.dumps(json.loads(line_of()), sort_keys=True, indent=1).replace("\n", " ")
    assert imported(engine, rewritten.encode("utf-8-sig")) == [Outcome("a")]


def test_a_stored_beginning_is_continued(store: EventLogStore, memory: EventLogStore) -> None:
    take_turn(memory, "a")
    imported(store, exported(memory, "a").as_line())
    take_turn(memory, "a")
    assert imported(store, exported(memory, "a").as_line()) == [Outcome("a", 5)]
    assert visible(store, "a") == visible(memory, "a")


def test_a_conversation_that_has_gone_on_is_kept(store: EventLogStore) -> None:
    take_turn(store, "a")
    line = exported(store, "a").as_line()
    take_turn(store, "a")
    before = log_of(store, "a")
    (outcome,) = imported(store, "", line)
    assert outcome.problem.startswith("talks.jsonl:2: conversation 'a' is stored already at version 11, beyond")
    assert "--replace" in outcome.problem
    assert log_of(store, "a") == before


@pytest.mark.parametrize(
    "changes",
    [{"events": [SlotSet("mood", 9, timestamp=1.0).as_dict()] * 2}, {"origin": 1}],
    ids=["other events", "another origin"],
)
def test_another_conversation_is_kept_unless_it_may_be_replaced(engine: EventLogStore, changes: dict[str, Any]) -> None:
    imported(engine, line_of())
    (outcome,) = imported(engine, line_of(**changes))
    assert outcome.problem.startswith("talks.jsonl:1: another conversation 'a' is stored already, at version 2. It is")
    assert exported(engine, "a") == Dump.from_line(line_of())
    assert imported(engine, line_of(**changes), replace=True) == [Outcome("a", 2)]
    assert exported(engine, "a") == Dump.from_line(line_of(**changes))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "this is not a JSON object on a line of its own"),
        (b'{"sender_id": "\xff"}', "this is not a JSON object on a line of its own"),
        ("[" * 100_000, "this is not a JSON object on a line of its own"),
        ("[1]", "expected an object, not list"),
        ("{}", 'expected the key "sender_id"'),
        (line_of(sender_id=5), 'expected the key "sender_id"'),
        (line_of(sender_id="\ud800"), "holds half a character"),
        ('{"sender_id": "a", "events": null}', r'expected a list "events", not NoneType\. .*ignore_restarts=true'),
        (line_of(format=2), "the line has format 2, and this rasa_core reads format 1"),
        (line_of(version=3), '"version" is 3, but there are 2 events'),
        (line_of(version="2"), "\"version\" is '2', but there are 2 events"),
        (line_of(origin=3), '"origin" is a position in the 2 events, not 3'),
        (line_of(origin=None), '"origin" is a position in the 2 events, not None'),
        (line_of(version=1, events=[5]), "event 1: an event is a JSON object"),
        (line_of(version=1, events=[{"event": "slott"}]), "event 1: unknown event type 'slott'. Did you mean 'slot'"),
        (line_of(version=1, events=[{"event": "slot"}]), 'event 1: "name" of event "slot" is missing'),
        (line_of(version=1, events=[{"event": "restart"}]), 'event 1: event "restart" needs a "timestamp"'),
        (line_of(version=1, events=[{**TURN[1].as_dict(), "value": float("nan")}]), "event 1: .* finite numbers"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[:40],
)
def test_a_line_that_is_no_conversation_is_told_with_its_place(line: str | bytes, problem: str) -> None:
    store = InMemoryTrackerStore()
    fine = line_of(sender_id="fine")
    (outcome, other) = imported(store, b"\n", line, fine)
    assert outcome.problem.startswith("talks.jsonl:2: ")
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(outcome.problem)
    assert other == Outcome("fine", 2)
    assert store.sender_ids() == ["fine"]


def test_events_of_own_types_are_taken_over_when_that_is_asked_for() -> None:
    store = InMemoryTrackerStore()
    line = line_of(version=1, events=[{"event": "payment", "amount": 5, "timestamp": 10**400}])
    (refused,) = imported(store, line)
    assert "unknown event type 'payment'" in refused.problem
    assert "--own-events" in refused.problem
    assert imported(store, line, own_events=True) == [Outcome("a", 1)]
    assert log_of(store, "a") == [f'{{"event":"payment","amount":5,"timestamp":{10**400}}}']


def test_a_tracker_that_a_server_gave_is_imported(store: EventLogStore, memory: EventLogStore) -> None:
    take_turn(memory, "a", *TURN, Restarted(), *TURN)
    state = memory.peek("a").current_state(should_include_events=True)
    for _ in range(2):
        assert not imported(store, json.dumps(state))[0].problem
    assert visible(store, "a") == visible(memory, "a")


def test_events_of_old_servers_are_kept_without_warnings_and_in_todays_form(engine: EventLogStore) -> None:
    old = [
        {"event": "topic", "topic": "x", "timestamp": 1.0},
        {"event": "reminder", "action": "a", "date_time": "2018-09-03T11:41:10.128172", "timestamp": 2.0},
    ]
    assert imported(engine, json.dumps({"sender_id": "a", "events": old})) == [Outcome("a", 2)]
    assert json.loads(log_of(engine, "a")[1])["date_time"] == "2018-09-03T11:41:10"


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_an_import_that_was_interrupted_goes_on_and_the_part_is_a_sound_conversation(
    store: EventLogStore, memory: EventLogStore, commits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_rows(memory, "a", LONG)
    put_in_place(memory, "a", SlotSet("mood", "last"))
    line = exported(memory, "a").as_line()
    with monkeypatch.context() as broken:
        stops_after(store, commits, broken)
        with pytest.raises(StoreUnavailableError, match="the connection is lost"):
            imported(store, line)
    part = store.peek("a")
    assert 0 < part.version < LONG
    (outcome,) = imported(store, line)
    assert outcome == Outcome("a", LONG + 1 - part.version)
    assert visible(store, "a") == visible(memory, "a")


# -- migrate


# Each engine once as the source and once as the target: both sides know nothing but the interface of the other.
PAIRS = [
    *zip(ENGINES, [*list(ENGINES)[3:], *list(ENGINES)[:3]], strict=True),
    ("memory", "memory"),
    ("sqlite", "sqlite"),
]


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest, tmp_path: Path, domain: Domain) -> Iterator[Sequence[EventLogStore]]:
    """Yield two empty stores."""
    folders = [tmp_path / "source", tmp_path / "target"]
    for folder in folders:
        folder.mkdir()
    one, other = (ENGINES[name](folder) for name, folder in zip(request.param, folders, strict=True))
    with one, other:
        yield bound(one, domain), bound(other, domain)


def test_conversations_move_with_their_heads_between_any_two_engines(pair: Sequence[EventLogStore]) -> None:
    source, target = pair
    for sender_id in ODD_IDS:
        take_turn(source, sender_id)
    put_in_place(source, "a", SlotSet("name", "Bob"))
    add_rows(source, "long", LONG)
    assert list(migrate(source, target)) == [
        Outcome(sender_id, len(log_of(source, sender_id))) for sender_id in sorted([*ODD_IDS, "long"])
    ]
    for sender_id in [*ODD_IDS, "long"]:
        assert target.read_head(sender_id) == source.read_head(sender_id)
        assert log_of(target, sender_id) == log_of(source, sender_id)
    assert all(not outcome.problem for outcome in verify(source, target))
    assert all(outcome.events == 0 for outcome in migrate(source, target))
    for either in pair:
        take_turn(either, "Ü", SlotSet("mood", "good", timestamp=5.0))
    assert visible(target, "Ü") == visible(source, "Ü")


def test_a_migrated_conversation_takes_its_next_turn_without_its_log(
    store: EventLogStore, memory: EventLogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_turn(memory, "a")
    list(migrate(memory, store))
    monkeypatch.setattr(store, "read_events", None)
    take_turn(store, "a", SlotSet("mood", "good"))
    head = store.read_head("a")
    assert head is not None
    assert head.version == 7


def test_only_what_is_new_is_copied_the_next_time(store: EventLogStore, memory: EventLogStore) -> None:
    for sender_id in ("a", "b"):
        take_turn(memory, sender_id)
    list(migrate(memory, store))
    take_turn(memory, "b")
    take_turn(memory, "c")
    assert list(migrate(memory, store)) == [Outcome("a"), Outcome("b", 5), Outcome("c", 6)]
    assert visible(store, "b") == visible(memory, "b")


def test_the_source_is_only_read_and_the_rest_of_the_target_is_kept(
    store: EventLogStore, memory: EventLogStore
) -> None:
    take_turn(store, "of the target")
    take_turn(memory, "a")
    before = [memory.read_head("a"), log_of(memory, "a"), store.read_head("of the target")]
    list(migrate(memory, store))
    assert [memory.read_head("a"), log_of(memory, "a"), store.read_head("of the target")] == before
    assert memory.sender_ids() == ["a"]
    assert store.sender_ids() == ["a", "of the target"]


def test_answers_are_not_copied(engine: EventLogStore, memory: EventLogStore) -> None:
    memory.commit("a", 0, ["1"], Head(1, 0, "", 5.0, "{}"), StoredAnswer("key", "request", 1, True, 5.0, "{}"))
    list(migrate(memory, engine))
    assert engine.read_answer("a", "key") is None


@pytest.mark.parametrize("commits", range(6))
def test_an_interrupted_migration_goes_on_where_it_was(
    store: EventLogStore, memory: EventLogStore, commits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_turn(memory, "a")
    add_rows(memory, "long", LONG)
    with monkeypatch.context() as broken:
        stops_after(store, commits, broken)
        with pytest.raises(StoreUnavailableError, match="the connection is lost"):
            list(migrate(memory, store))
    copied = sum(len(log_of(store, sender_id)) for sender_id in ("a", "long"))
    if commits > 1:
        part = store.peek("long")
        assert [event.value for event in part.events if isinstance(event, SlotSet)] == list(range(part.version))
        assert part.get_slot("mood") == part.version - 1
    assert sum(outcome.events for outcome in migrate(memory, store)) == 6 + LONG - copied
    assert not any(outcome.problem for outcome in verify(memory, store))
    assert visible(store, "long") == visible(memory, "long")


@pytest.mark.parametrize("turns", [1, 2, 3], ids=["as long", "longer", "longer still"])
def test_another_conversation_in_the_target_is_told_and_the_others_are_copied(
    engine: EventLogStore, memory: EventLogStore, turns: int
) -> None:
    for sender_id in ("a", "b", "c"):
        add_rows(memory, sender_id, 4)
    rows = ['{"event": "other"}'] * (2 + 2 * turns)
    engine.commit("b", 0, rows, Head(len(rows), 0, "", 5.0, "{}"))
    a, b, c = migrate(memory, engine)
    assert (a, c) == (Outcome("a", 4), Outcome("c", 4))
    assert "conversation 'b' is stored already" in b.problem
    assert "--replace" in b.problem
    assert log_of(engine, "b") == rows
    assert [outcome.sender_id for outcome in verify(memory, engine) if outcome.problem] == ["b"]
    assert list(migrate(memory, engine, replace=True)) == [Outcome("a"), Outcome("b", 4), Outcome("c")]
    assert log_of(engine, "b") == log_of(memory, "b")


def test_a_conversation_that_went_on_in_both_stores_is_told(store: EventLogStore, memory: EventLogStore) -> None:
    take_turn(memory, "a")
    list(migrate(memory, store))
    take_turn(store, "a", SlotSet("mood", "here"))
    take_turn(memory, "a", SlotSet("mood", "there"), SlotSet("mood", "and there"))
    (outcome,) = migrate(memory, store)
    assert outcome.problem.startswith("another conversation 'a' is stored already, at version 7.")


def test_a_source_that_is_deleted_meanwhile_is_told(engine: EventLogStore, memory: EventLogStore) -> None:
    add_rows(memory, "a", 4)
    head = memory.read_head("a")
    assert head is not None
    memory._logs.clear()  # type: ignore[attr-defined]
    (outcome,) = migrate(memory, engine)
    assert outcome.problem == "conversation 'a' was deleted while it was copied. Do it again."
    assert engine.read_head("a") is None


@pytest.mark.parametrize(
    ("theirs", "difference"),
    [
        (None, "is not in the target"),
        (['{"n": 0}'], "is at version 2 in the source, and at 1 in the target"),
        (['{"n": 0}', '{"n": 5}'], "is another one in the target, at version 2 too"),
    ],
    ids=["missing", "shorter", "other"],
)
def test_verifying_tells_what_is_not_the_same(
    engine: EventLogStore, memory: EventLogStore, theirs: list[str] | None, difference: str
) -> None:
    memory.commit("a", 0, ['{"n": 0}', '{"n": 1}'], Head(2, 0, "", 5.0, "{}"))
    if theirs:
        engine.commit("a", 0, theirs, Head(len(theirs), 0, "", 5.0, "{}"))
    (outcome,) = verify(memory, engine)
    assert outcome.problem.startswith(f"conversation 'a' {difference}.")


def test_an_id_that_the_target_cannot_store_is_told_and_the_others_are_copied(memory: EventLogStore) -> None:
    class Picky(InMemoryTrackerStore):
        def lock(self, sender_id: str) -> AbstractContextManager[None]:
            if sender_id == "b":
                raise DumpError("too long")
            return super().lock(sender_id)

    for sender_id in ("a", "b", "c"):
        take_turn(memory, sender_id)
    assert list(migrate(memory, Picky())) == [
        Outcome("a", 6),
        Outcome("b", problem="conversation 'b': too long"),
        Outcome("c", 6),
    ]


def test_whatever_writes_takes_the_lock_of_the_conversation(memory: EventLogStore) -> None:
    take_turn(memory, "a")
    target = InMemoryTrackerStore()
    with target.lock("a"):
        outcomes = [*migrate(memory, target), *imported(target, exported(memory, "a").as_line())]
    assert ["'a' is already open in this thread" in outcome.problem for outcome in outcomes] == [True, True]
    assert target.sender_ids() == []


def test_the_rows_of_one_commit_are_bounded(memory: EventLogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    value = "x" * 200_000
    rows = [json.dumps(SlotSet("mood", value, timestamp=float(number + 1)).as_dict()) for number in range(600)]
    memory.commit("a", 0, rows, Head(len(rows), 0, "", time.time(), "{}"))
    target = InMemoryTrackerStore()
    sizes: list[int] = []
    commit = target.commit

    def measured(sender_id: str, expected_version: int, events: Sequence[str], head: Head) -> None:
        sizes.append(len(events))
        commit(sender_id, expected_version, events, head)

    monkeypatch.setattr(target, "commit", measured)
    list(migrate(memory, target))
    assert sum(sizes) == 600
    assert max(sizes[2:]) * len(value) < 2**23


def test_what_was_noted_goes_with_a_conversation(store: EventLogStore, memory: EventLogStore) -> None:
    take_turn(store, "a", *TURN)
    assert exported(store, "a").mark == Mark()
    assert "mark" not in json.loads(exported(store, "a").as_line())
    mark = Mark(True, "unclear", ("first",), 3, 12.5)
    reviews_of(store).write("a", mark)

    imported(memory, exported(store, "a").as_line())
    assert reviews_of(memory).read("a") == mark
    other = InMemoryTrackerStore()
    assert [outcome.problem for outcome in migrate(store, other)] == [""]
    assert reviews_of(other).read("a") == mark


@pytest.mark.parametrize("mark", [7, {"note": "x"}, {"note": 1, "version": 1, "at": 1.0}, {"version": True, "at": 1.0}])
def test_a_mark_that_is_none_is_told(memory: EventLogStore, mark: Any) -> None:
    (outcome,) = imported(memory, line_of(mark=mark))
    assert "a mark" in outcome.problem.lower().replace('"', "")
    assert memory.read_head("a") is None
