"""Training trackers, which share slots and states after a fork, equal trackers that replay all events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_core.domain import Domain
from rasa_core.events import SlotSet
from rasa_core.policies.features.classic import MaxHistoryTrackerFeaturizer
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph
from rasa_core.stories.training_tracker import TrainingTracker
from rasa_core.trackers import DialogueStateTracker

DOMAIN = Domain.from_yaml(
    """
intents: [greet, inform, deny]
entities: [city, size, tags]
slots:
  city: {type: text}
  size: {type: float, max_value: 10}
  tags: {type: list}
  kind: {type: categorical, values: [a, b], initial_value: a}
actions: [utter_a, utter_b, utter_c]
action_factory: remote
"""
)

_lines = st.sampled_from(
    """
    * greet
    * deny OR greet
    * inform{"city": "Rome"}
    * inform{"city": "Bonn", "size": 3}
    * inform{"tags": [1, 2]}
    - utter_a
    - utter_b
    - utter_c
    - action_listen
    - slot{"kind": "b"}
    - slot{"size": 9, "city": null}
    - slot{"unknown": 1}
    - restart
    - reset_slots
    - rewind
    - undo
    - pause
    > x
    > y
    """.strip().splitlines()
)
_bodies = st.lists(_lines, min_size=1, max_size=8)
_starts = st.sampled_from(["", "> x\n", '> y{"kind": "b"}\n', "> x\n> y\n"])
_stories = st.lists(st.tuples(_starts, _bodies), min_size=1, max_size=5)


def _graph(stories) -> StoryGraph:
    text = "\n".join(f"## s{n}\n{start}" + "\n".join(body) for n, (start, body) in enumerate(stories))
    return StoryGraph(StoryFileReader(DOMAIN).process_lines(text.split("\n"), "stories.md"))


@settings(max_examples=100, deadline=None)
@given(_stories, st.sampled_from([None, 2]))
def test_a_training_tracker_is_what_its_events_make_of_a_tracker(stories, window):
    trackers = TrainingDataGenerator(
        _graph(stories), DOMAIN, False, window, augmentation_factor=2, tracker_limit=20
    ).generate()

    for tracker in trackers:
        replayed = DialogueStateTracker.from_events(tracker.sender_id, tracker.events, DOMAIN)
        assert tracker.last_states(None) == replayed.last_states(None)
        assert tracker.current_state() == replayed.current_state()
        assert tracker.history.snapshot() == replayed.history.snapshot()
        assert tracker.follow_up_action == replayed.follow_up_action
        assert tracker.applied_events() == replayed.applied_events()
        assert len(tracker.sources) == len(tracker.events)


@pytest.fixture
def tracker() -> TrainingTracker:
    text = '## s\n* inform{"city": "Rome"}\n- utter_a\n- slot{"kind": "b"}\n* deny\n- utter_b'
    graph = StoryGraph(StoryFileReader(DOMAIN).process_lines(text.split("\n")))
    [found] = TrainingDataGenerator(graph, DOMAIN, augmentation_factor=0).generate()
    return found


@pytest.mark.parametrize("copied", [TrainingTracker.copy, TrainingTracker.augmented])
def test_a_copy_is_independent(tracker, copied):
    before = tracker.current_state(should_include_events=True)
    states = tracker.last_states(None)

    twin = copied(tracker)
    twin.update(SlotSet("city", "Bonn"))
    twin.update(SlotSet("kind", None))
    twin.mark_committed()

    assert twin.get_slot("city") == "Bonn"
    assert tracker.current_state(should_include_events=True) == before
    assert tracker.last_states(None) == states
    assert len(tracker.sources) == len(tracker.events) == len(twin.events) - 2


def test_a_tracker_that_goes_back_in_time_knows_no_places(tracker):
    twin = tracker.travel_back_in_time(float("inf"))

    assert twin.action_sources() == [[]] * len(tracker.action_sources())
    assert twin.last_states(None) == tracker.last_states(None)


def test_the_slots_of_the_domain_stay_as_they_are(tracker):
    assert all(slot.value == slot.initial_value for slot in DOMAIN.slots)


def test_prior_trackers_have_the_states_of_the_history(tracker):
    assert tracker.past_states(DOMAIN) == tracker.last_states(None)


def test_a_featurizer_learns_from_training_trackers(tracker):
    data = MaxHistoryTrackerFeaturizer(max_history=2).featurize_trackers([tracker], DOMAIN)

    assert data.X.shape == (5, 2, DOMAIN.num_states)
    assert [DOMAIN.action_names[row.argmax()] for row in data.y] == [
        "action_listen",
        "utter_a",
        "action_listen",
        "utter_b",
        "action_listen",
    ]
