"""In every engine, replaying the log gives the stored head."""

from __future__ import annotations

import itertools
import json
from typing import Any

import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rasa_core.events import (
    ActionReverted,
    AllSlotsReset,
    ConversationPaused,
    Event,
    Restarted,
    SlotSet,
    UserUtteranceReverted,
)
from rasa_core.tracker_store import EventLogStore
from rasa_core.trackers import DialogueStateTracker

WINDOW = 3
DOMAIN = strategies.small_domain()

numbers = itertools.count()
one_store_for_all = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=25,
)
turning_points = st.sampled_from(
    [Restarted(), UserUtteranceReverted(), ActionReverted(), AllSlotsReset(), ConversationPaused()]
)
turns = st.lists(
    st.tuples(
        st.lists(strategies.events() | turning_points, max_size=6), st.sampled_from(["load", "keep", "replace", "lose"])
    ),
    min_size=1,
    max_size=6,
)


def state_of(tracker: DialogueStateTracker) -> dict[str, Any]:
    """Return all that a tracker knows, as JSON, without the position of its restart in the log."""
    state = tracker.snapshot()
    del state["restarted_at"]
    text = json.dumps([state, [event.as_dict() for event in tracker.events]])
    return json.loads(text)


@one_store_for_all
@given(turns=turns)
def test_replaying_the_log_gives_the_head(engine: EventLogStore, turns: list[tuple[list[Event], str]]) -> None:
    engine.bind(DOMAIN, WINDOW, "model-1")
    sender_id = f"conversation {next(numbers)}"
    happened: list[Event] = list(engine.get_or_create_tracker(sender_id).events)
    for events, manner in turns:
        with engine.conversation(sender_id) as conversation:
            if manner == "replace":
                conversation.replace(events)
                happened = list(events)
            else:
                for event in events:
                    conversation.tracker.update(event)
                if manner == "lose":  # As when the process dies before it commits.
                    continue
                happened += events
            conversation.commit()
            if manner == "keep":
                conversation.keep_tracker()
    expected = state_of(DialogueStateTracker.from_events(sender_id, happened, DOMAIN, WINDOW))
    with engine.conversation(sender_id) as conversation:
        assert state_of(conversation.tracker) == expected
    assert state_of(engine.peek(sender_id)) == expected
    engine.bind(DOMAIN, WINDOW, "model-2")  # So that the head is computed from the log.
    assert state_of(engine.peek(sender_id)) == expected


def test_a_kept_tracker_is_not_used_when_somebody_else_has_changed_the_conversation(engine: EventLogStore) -> None:
    engine.bind(DOMAIN, WINDOW, "model-1")
    for _ in range(2):
        with engine.conversation("a") as conversation:
            conversation.tracker.update(ConversationPaused())
            conversation.commit()
            conversation.keep_tracker()
    other = engine.retrieve("a")
    assert other is not None
    other.update(Restarted())
    engine.save(other)
    with engine.conversation("a") as conversation:
        assert not conversation.tracker.is_paused()


def test_a_kept_tracker_is_not_used_for_a_conversation_that_started_anew(engine: EventLogStore) -> None:
    engine.bind(DOMAIN, WINDOW, "model-1")
    for event in (ConversationPaused(), Restarted()):
        for _ in range(2):
            with engine.conversation("a") as conversation:
                conversation.tracker.update(event)
                conversation.commit()
                conversation.keep_tracker()
        version = engine.peek("a").version
        with engine.conversation("a"):
            engine.delete("a")
    assert version == engine.peek("a").version + 2
    with engine.conversation("a") as conversation:
        assert not conversation.tracker.is_paused()
        assert conversation.tracker.follow_up_action is None


def test_values_of_a_kept_tracker_belong_to_nobody_else(engine: EventLogStore) -> None:
    engine.bind(DOMAIN, WINDOW, "model-1")
    tags = ["new", ("a", "pair")]
    for event in (ConversationPaused(), SlotSet("tags", tags)):
        with engine.conversation("a") as conversation:
            conversation.tracker.update(event)
            conversation.commit()
            conversation.keep_tracker()
    tags.append("later")
    with engine.conversation("a") as conversation:
        assert conversation.tracker.get_slot("tags") == ["new", ["a", "pair"]]
