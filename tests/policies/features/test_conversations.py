"""The feature rows of whole conversations equal the features before each of their actions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import pytest
from feature_groups import groups_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from policy_bot import ITALIAN, conversation, local_domain
from strategies import logs, small_domain
from test_history_features import as_told
from tracker_oracle import LISTEN, action, said

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, AllSlotsReset, Event, SlotSet
from rasa_core.events.rasa3 import ActiveLoop
from rasa_core.policies.features import conversations as conversation_rows
from rasa_core.policies.features.conversations import ConversationFeaturizer, FeatureMatrix
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.network import written_out
from rasa_core.trackers import DialogueStateTracker

SMALL = small_domain()

Name = tuple[str, str]
Named = dict[Name, float]


class Maker:
    """Makes rows with a column for every feature."""

    def __init__(self, max_history: int, domain: Domain = SMALL) -> None:
        self.names: dict[Name, int] = {}
        self.rows = ConversationFeaturizer(
            max_history, domain.slots, lambda name: self.names.setdefault(name, len(self.names))
        )

    def named(self, trackers: Iterable[DialogueStateTracker]) -> list[tuple[int, str, Named]]:
        """Return which action each row stands before, and its features, of which none comes twice."""
        for tracker in trackers:
            self.rows.add(tracker)
        count, rows = len(self.rows), self.rows.take()
        assert len(rows.numbers) == len(rows.actions) == len(rows.starts) - 1 == count
        return list(zip(rows.numbers, rows.actions, named_rows(rows, list(self.names)), strict=True))


def named_rows(rows: FeatureMatrix, names: Sequence[Name]) -> list[Named]:
    found = []
    for begin, end in zip(rows.starts[:-1], rows.starts[1:], strict=True):
        columns, values = rows.columns[begin:end].tolist(), rows.values[begin:end].tolist()
        assert len(set(columns)) == len(columns)
        found.append({names[column]: value for column, value in zip(columns, values, strict=True)})
    return found


def moments(events: Sequence[Event], max_history: int) -> list[tuple[int, str, Named]]:
    """Return what `Maker.named` returns, from the features of one moment after the other."""
    tracker = DialogueStateTracker.from_events("whole", [], SMALL)
    found, featurizer = [], HistoryFeaturizer(max_history)
    for event in events:
        if isinstance(event, ActionExecuted):
            groups = groups_of(featurizer, tracker)
            named = [(block, name, value) for block, group in groups for name, value in group.items()]
            features = {(block, name): float(np.float32(value)) for block, name, value in named}
            found.append((tracker.history.length, event.action_name, features, event.unpredictable))
        tracker.update(event)
    return [(number, name, features) for number, name, features, unpredictable in found if not unpredictable]


def unpredictable_actions() -> st.SearchStrategy[Event]:
    names = st.sampled_from(["utter_greet", "action_listen", "action_elsewhere"])
    return st.builds(ActionExecuted, names, unpredictable=st.just(True))


@st.composite
def conversations(draw: st.DrawFn) -> list[Event]:
    log = draw(logs())
    for event in draw(st.lists(unpredictable_actions(), max_size=2)):
        log.insert(draw(st.integers(0, len(log))), event)
    return log


TALK = [
    LISTEN,
    said("inform", ("cuisine", "thai"), ("cuisine", "greek")),
    SlotSet("cuisine", "thai"),
    action("utter_bye"),
]


@settings(max_examples=40)
@given(st.lists(conversations(), max_size=3), st.integers(1, 6))
@example([[*TALK, AllSlotsReset(), *TALK], [], TALK], 5)
def test_rows_are_what_each_action_is_predicted_from(events, max_history) -> None:
    trackers = [DialogueStateTracker.from_events("whole", log, SMALL) for log in events]
    expected = [moment for tracker in trackers for moment in moments(tracker.applied_events(), max_history)]
    maker = Maker(max_history)
    assert maker.named(trackers) == expected
    assert maker.named(trackers) == expected


@settings(max_examples=30)
@given(logs(max_size=12), st.integers(1, 4))
def test_rows_are_what_the_table_tells(log, max_history) -> None:
    tracker = DialogueStateTracker.from_events("whole", log, SMALL)
    applied = tracker.applied_events()
    positions = [position for position, event in enumerate(applied) if isinstance(event, ActionExecuted)]
    for (_, _, features), position in zip(Maker(max_history).named([tracker]), positions, strict=True):
        assert features == pytest.approx(as_told(applied[:position], max_history))


@given(logs(max_size=12), st.integers(1, 4))
def test_a_bounded_tracker_gives_the_same_rows(log, max_history) -> None:
    whole, bounded = (DialogueStateTracker.from_events("x", log, SMALL, window) for window in (None, 2))
    assert Maker(max_history).named([bounded]) == Maker(max_history).named([whole])


FORM = """
version: "3.1"
intents: [book, chat]
entities: [room]
slots: {room: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: room}]}}
forms: {hotel_form: {required_slots: [room]}}
responses: {utter_chat: [{text: Yes.}], utter_done: [{text: Done.}]}
"""


def test_a_loop_and_what_it_asks_for_are_features() -> None:
    domain = Domain.from_yaml(FORM)
    listened, asked = ActionExecuted("action_listen"), SlotSet("requested_slot", "room")
    log = [
        *(listened, said("book"), ActionExecuted("hotel_form"), ActiveLoop("hotel_form"), asked),
        *(listened, said("chat"), ActionExecuted("utter_chat"), ActionExecuted("hotel_form"), asked, listened),
        *(said("inform"), ActionExecuted("hotel_form"), SlotSet("requested_slot", None), ActiveLoop(None)),
        ActionExecuted("utter_done"),
    ]
    tracker = DialogueStateTracker.from_events("form", [], domain)
    featurizer, expected = HistoryFeaturizer(3), []
    for event in log:
        if isinstance(event, ActionExecuted):
            groups = groups_of(featurizer, tracker)
            expected.append({name for block, group in groups if block == "loop" for name in group})
        tracker.update(event)

    rows = Maker(3, domain).named([tracker])

    during = {"hotel_form", "asks room"}
    assert expected[:5] == [set(), set(), during, during, during]
    assert expected[-1] == set()
    found = [(row_number, {name for block, name in row if block == "loop"}) for row_number, _, row in rows]
    applied = [event for event in tracker.applied_events() if isinstance(event, ActionExecuted)]
    assert len(found) == len(applied)
    assert [loops for _, loops in found][:4] == [set(), set(), during, during]
    assert found[-1][1] == set()


# -- one conversation


@pytest.fixture
def domain() -> Domain:
    return local_domain()


def test_actions_that_are_not_to_be_learnt_are_counted_but_have_no_rows(domain) -> None:
    tracker = conversation(domain, ActionExecuted("utter_welcome", unpredictable=True), "/bye", "utter_bye")
    found = Maker(5, domain).named([tracker])
    assert [(number, name) for number, name, _ in found] == [(1, "action_listen"), (2, "utter_bye")]
    assert found[0][2]["action", "utter_welcome"] == 1.0


def test_features_without_a_column_are_left_out(domain) -> None:
    tracker = conversation(domain, "/greet", "utter_greet", ITALIAN, "action_search")
    everything = Maker(5, domain).named([tracker])
    names = [
        ("action", "utter_greet"),
        ("entity ago", "cuisine"),
        ("intent count", "greet"),
        ("now", "prev_utter_greet"),
    ]
    rows = ConversationFeaturizer(5, domain.slots, {name: column for column, name in enumerate(names)}.get)
    rows.add(tracker)
    expected = [{name: value for name, value in found.items() if name in names} for _, _, found in everything]
    assert named_rows(rows.take(), names) == expected


def test_parts_are_forgotten_when_there_are_too_many(domain, monkeypatch) -> None:
    monkeypatch.setattr(conversation_rows, "NUMBERS_OF_PARTS", 0)
    first, second = conversation(domain, "/greet", "utter_greet"), conversation(domain, ITALIAN, "action_search")
    maker = Maker(5, domain)
    found = [maker.named([first]), maker.named([second]), maker.named([first])]
    assert found == [Maker(5, domain).named([tracker]) for tracker in (first, second, first)]


@pytest.mark.parametrize("count", [1, 2, 100])
def test_rows_are_written_out_some_at_a_time(domain, count) -> None:
    featurizer = HistoryFeaturizer()
    tracker = conversation(domain, "/greet", "utter_greet", ITALIAN, "action_search", "/bye")
    maker = Maker(5, domain)
    maker.named([tracker])
    featurizer.learn_names(dict.fromkeys(maker.names, 2))
    rows = ConversationFeaturizer(5, domain.slots, featurizer.index_of)
    rows.add(tracker)
    expected = np.zeros((5, featurizer.num_features), np.float32)
    for x, before in zip(expected, islice(tracker.generate_all_prior_trackers(), 5), strict=True):
        columns, values = featurizer.present(before)
        x[columns] = values
    written = []
    for used, x in written_out(*rows.take()[:3], featurizer.num_features, count):
        written.append(np.zeros((len(x), featurizer.num_features), np.float32))
        written[-1][:, used] = x
        assert (x != 0.0).any(axis=0).sum() >= len(used) - 2  # The logarithms of no turns and no actions are 0.
    np.testing.assert_array_equal(np.concatenate(written), expected)
