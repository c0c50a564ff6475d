"""Reads the moments of many conversations of Rasa 3 for `rasa_core.policies.many`.

Loops and hidden turns change what policies see of the past, so that each conversation is followed by its own tracker.
Of each moment, what rules and memory look at is numbered, so that they are asked once for all moments in which that is
the same; and where they leave the decision to a network, its features are put together for many moments at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np

from rasa_core.history import State
from rasa_core.policies.features.moments import MomentFeaturizer
from rasa_core.policies.features.parts import Memo
from rasa_core.policies.many_reading import Moments, Sees
from rasa_core.rasa3.history import RasaHistory

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

MOST_KINDS: Final = 50_000
"""So many kinds of moments are known at a time."""
_OBJECTS: Final = 1000


class RasaMoment(NamedTuple):
    """All that an ensemble of Rasa 3 asks a tracker.

    Attributes
    ----------
    by_rules, by_memory : int
        Equal where rules, and where memory, see the same.
    history : Rejected
        What says which action refused to run just now.
    tracker : DialogueStateTracker or None
        The conversation; None once what rules and memory say of it is known.
    """

    by_rules: int
    by_memory: int
    history: Rejected
    tracker: DialogueStateTracker | None


class Rejected(NamedTuple):
    """The part of a history that the ensemble itself looks at."""

    rejected: str | None


class RasaMomentReader:
    """Notes moments as bots see them whose domains have the same vocabulary and slots.

    Attributes
    ----------
    columns : dict
        The column of each feature, by block and name.
    """

    def __init__(self, domain: Domain, bots: Sequence[Sees]) -> None:
        self._bots = bots
        names = dict.fromkeys(name for bot in bots for name in bot.feature_names)
        self.columns = {name: column for column, name in enumerate(names)}
        self._features = MomentFeaturizer(max(bot.max_history for bot in bots), self.columns.get)
        self._rules = max(bot.rule_window for bot in bots)
        self._window = max(bot.window for bot in bots)
        self._seen = max(self._window, *(bot.max_history for bot in bots))
        self._asks_what_is_fresh = any(bot.asks_what_is_fresh for bot in bots)
        self._kind_of_row: list[int] = []
        self._generation = 0
        self._forget()

    def _forget(self) -> None:
        self._generation += 1
        self._names: list[bytes] = []
        self._examples: list[RasaMoment] = []
        self._is_asked: list[bool] = []
        self._kinds: dict[tuple[int, int, str | None], int] = {}
        self._by_rules, self._by_memory, self._states = (Memo(_counted()) for _ in range(3))
        self._number_of: dict[int, tuple[State, int]] = {}
        for bot in self._bots:
            bot.forget()

    def note(self, tracker: DialogueStateTracker) -> int:
        """Take note of the present moment of a conversation, and return the number of its row."""
        history, states = cast(RasaHistory, tracker.history), tracker.last_states(self._seen)
        key = self._seen_by_rules(tracker, history), self._seen_by_memory(history, states), history.rejected
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._new_kind(key, tracker)
        row = len(self._kind_of_row)
        self._kind_of_row.append(kind)
        if self._is_asked[kind]:
            self._features.add(tracker, states)
        else:
            self._features.skip()
        return row

    def _seen_by_rules(self, tracker: DialogueStateTracker, history: RasaHistory) -> int:
        loop, intent = history.loop, tracker.latest_message.intent.get("name")
        states = history.states_for_rules(tracker.active_state())
        count = len(states)
        numbers = tuple([self._numbered(state) for state in states[-self._rules :]])
        whole = count if count <= self._rules and history.is_whole(count) else None
        going_on = None if loop is None else (loop.name, loop.rejected)
        return self._by_rules[numbers, whole, going_on, history.heard, tracker.latest_action_name, intent]

    def _seen_by_memory(self, history: RasaHistory, states: Sequence[State]) -> int:
        numbers = tuple([self._numbered(state) for state in states[-self._window :]])
        if not self._asks_what_is_fresh:
            return self._by_memory[numbers]
        return self._by_memory[numbers, tuple([tuple(one.items()) for one in history.slots_set_before(len(states))])]

    def _numbered(self, state: State) -> int:
        known = self._number_of.get(id(state))
        if known is None:
            if len(self._number_of) > _OBJECTS:
                self._number_of.clear()
            # With the state itself, so that no other one gets its id.
            known = self._number_of[id(state)] = state, self._states[tuple(state.items())]
        return known[1]

    def _new_kind(self, key: tuple[int, int, str | None], tracker: DialogueStateTracker) -> int:
        kind = self._kinds[key] = len(self._kinds)
        self._names.append(b"%d %d" % (self._generation, kind))
        by_rules, by_memory, rejected = key
        moment = RasaMoment(by_rules, by_memory, Rejected(rejected), tracker)
        asked = [bot.asks_network(self._names[kind], moment) for bot in self._bots]  # Each of them, now.
        self._is_asked.append(any(asked))
        self._examples.append(moment._replace(tracker=None))
        return kind

    def take(self) -> Moments:
        """Return the moments that were noted since the last time."""
        kinds = np.array(self._kind_of_row, np.int64)
        self._kind_of_row = []
        return Moments([], self._features.take(), kinds, self._names, self._examples.__getitem__)

    def forget_many(self) -> None:
        """Forget the kinds of moments if there are too many; what was taken must be decided by then."""
        if len(self._kinds) > MOST_KINDS:
            self._forget()


def _counted() -> Callable[[object], int]:
    """Return a function that counts how often it is called, from 0."""
    numbers = itertools.count()
    return lambda key: next(numbers)
