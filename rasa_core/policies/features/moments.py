"""Moments of many conversations, and their history features for Rasa 3, where policies do not see hidden turns.

The features are those of `rasa_core.policies.features.history`. A tracker replays each conversation, and the features
of a moment are composed of *parts*, groups of features that always appear together, which are computed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rasa_core.history import History, State
from rasa_core.policies.features import history as features
from rasa_core.policies.features.conversations import NUMBERS_OF_PARTS, FeatureMatrix, Items, Message
from rasa_core.policies.features.parts import ColumnOf, Group, Memo, PartTable
from rasa_core.rasa3.domain_parts import REQUESTED_SLOT

if TYPE_CHECKING:
    from rasa_core.trackers import DialogueStateTracker

Names = Sequence[tuple[str, str]]

_KINDS: Final = ("intent", "entity", "action")


class Moments(NamedTuple):
    """The moments before the actions of some conversations, one row for each.

    Attributes
    ----------
    rows : list of list of int, or None
        For each conversation, the row of each index with an action; None if the conversation has to be replayed.
    matrix : FeatureMatrix
        The features for networks.
    kinds : NDArray of int64
        ``(rows,)``: equal numbers for moments that look the same to all policies except networks.
    names : list of bytes
        The name of each kind, which is the same in other batches.
    example : callable
        A function that returns one moment of a kind, given the number of the kind.
    """

    rows: list[dict[int, int] | None]
    matrix: FeatureMatrix
    kinds: NDArray[np.int64]
    names: list[bytes]
    example: Callable[[int], Any]


class MomentFeaturizer:
    """Makes a matrix of features from moments.

    Parameters
    ----------
    max_history
        The number of latest events with all their features.
    column_of
        A function that returns the column of a feature by block and name; None to leave the feature out.
    """

    def __init__(self, max_history: int, column_of: ColumnOf) -> None:
        self._event_blocks, self._column_of = [f"event {number}" for number in range(max_history)], column_of
        self._rows: list[list[int]] = []
        self._number_parts()

    def _number_parts(self) -> None:
        self._parts = _Parts(self._event_blocks, self._column_of)

    def skip(self) -> None:
        """Add a row without features, for a moment in which no network is asked."""
        self._rows.append([])

    def add(self, tracker: DialogueStateTracker, states: Sequence[State]) -> None:
        """Add a row for the present moment; `states` are the last states that policies see, at least one."""
        parts, history = self._parts, tracker.history
        row = [parts.now[tuple(states[-1].items())], *self._events(states)]
        row += self._of_slots(tracker)
        row.append(parts.mentions[tuple(history.mentions)])
        row.append(parts.slots_set[tuple(history.slots_set.items())])
        row.append(parts.turn[tuple(history.turn_actions)])
        before = history.turn_before
        if before is not None:
            row.append(parts.message_before[before.intent, tuple(before.entities)])
            row.append(parts.actions_before[tuple(before.actions)])
        row.append(parts.last_actions[tuple(history.last_actions)])
        self._rows.append([*row, *self._of_seen(history), parts.turns[history.turns], parts.length[history.length]])

    def _events(self, states: Sequence[State]) -> list[int]:
        events, count = self._parts.events_before, len(self._event_blocks)
        found: list[int] = []
        for state in reversed(states):
            found += events[tuple(state.items())]
            if len(found) >= count:
                break
        # Each event has consecutive parts, one for each place at which it can be.
        return [number + place for place, number in enumerate(found[:count])]

    def _of_slots(self, tracker: DialogueStateTracker) -> list[int]:
        slots, loop = tracker.slots, tracker.history.loop
        row = [self._parts.slots[features.texts_of(slots.values())]]
        if loop is not None:
            asked = slots[REQUESTED_SLOT].value if REQUESTED_SLOT in slots else None
            row.append(self._parts.loop[loop.name, None if asked is None else str(asked)])
        return row

    def _of_seen(self, history: History) -> list[int]:
        seen, turns = self._parts.seen, history.turns
        return [
            seen[kind, name, count, turns - turn]
            for kind, found in zip(_KINDS, (history.intents, history.entities, history.actions), strict=True)
            for name, (count, turn) in found.items()
        ]

    def take(self) -> FeatureMatrix:
        """Return the features of the moments that were added since the last call."""
        rows, self._rows = self._rows, []
        counts = np.fromiter(map(len, rows), np.int64, len(rows))
        parts = np.fromiter(chain.from_iterable(rows), np.int64, int(counts.sum()))
        lengths, columns, values = self._parts.of(parts)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        starts = ends[np.concatenate([[0], np.cumsum(counts)])]
        if len(self._parts) > NUMBERS_OF_PARTS:
            self._number_parts()
        return FeatureMatrix(starts, columns, values, [], [])


class _Parts(PartTable):
    """The parts of moments."""

    def __init__(self, event_blocks: Sequence[str], column_of: ColumnOf) -> None:
        super().__init__(column_of)
        event = Memo[Items, int](lambda items: self._add_each([(block, dict(items))] for block in event_blocks))
        self.events_before = Memo[Items, list[int]](
            lambda items: [event[tuple(one.items())] for one in features.events_before(dict(items))]
        )
        self.now: Memo[Items, int] = self._memo(features.of_now)
        self.mentions = self._memo(features.of_mentions)
        self.slots = self._memo(features.of_slots)
        self.slots_set = self._memo(features.of_slots_set)
        self.loop: Memo[tuple[str, str | None], int] = self._memo(features.of_loop)
        self.turn = self._memo(features.of_turn)
        self.message_before: Memo[Message, int] = self._memo(features.of_message_before)
        self.actions_before = self._memo(features.of_actions_before)
        self.last_actions = self._memo(features.of_last_actions)
        self.seen: Memo[tuple[str, str, int, int], int] = self._memo(lambda seen: _of_seen(*seen))
        self.turns = self._memo(features.of_turns)
        self.length = self._memo(features.of_length)


def _of_seen(kind: str, name: str, count: int, turns_ago: int) -> Iterator[Group]:
    yield kind, {name: 1.0}
    yield features.COUNTS[kind], {name: math.log1p(count)}
    yield features.AGO[kind], {name: features.LEFT_EACH_TURN**turns_ago}
