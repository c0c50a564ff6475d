"""An oracle of features: it computes the features of a conversation by group and name, slowly but simply."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rasa_core.policies.features import history as features
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.features.parts import Group
from rasa_core.rasa3.domain_parts import REQUESTED_SLOT
from rasa_core.trackers import DialogueStateTracker


def groups_of(featurizer: HistoryFeaturizer, tracker: DialogueStateTracker) -> Iterator[Group]:
    """Yield blocks with the values of their features by name; a block may come twice, a feature does not."""
    states, history = tracker.last_states(featurizer.max_history), tracker.history
    for number, event in enumerate(features.recent_events(states, featurizer.max_history)):
        yield f"event {number}", event
    yield from features.of_now(states[-1].items())
    yield from features.of_mentions(history.mentions)
    yield from features.of_slots(features.texts_of(tracker.slots.values()))
    yield from features.of_slots_set(history.slots_set.items())
    if history.loop is not None:
        asked = tracker.slots[REQUESTED_SLOT].value if REQUESTED_SLOT in tracker.slots else None
        yield from features.of_loop((history.loop.name, asked))
    yield from features.of_turn(history.turn_actions)
    if history.turn_before is not None:
        yield from features.of_message_before((history.turn_before.intent, history.turn_before.entities))
        yield from features.of_actions_before(history.turn_before.actions)
    yield from features.of_last_actions(history.last_actions)
    for kind, seen in (("intent", history.intents), ("entity", history.entities), ("action", history.actions)):
        for name, (count, turn) in seen.items():
            yield kind, {name: 1.0}
            yield f"{kind} count", {name: math.log1p(count)}
            yield f"{kind} ago", {name: 0.7 ** (history.turns - turn)}
    yield from features.of_turns(history.turns)
    yield from features.of_length(history.length)
