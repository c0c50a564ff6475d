"""Reads the moments of many finished conversations, for `rasa_core.policies.batch_prediction`.

A *moment* is the point before an action, at which a policy predicts. Moments that look the same to memoization, rules
and fallbacks get the same number (their *kind*), so that these policies predict once for each kind; the features for
the network are computed for many moments at once. For Rasa 3, loops and hidden turns change what policies see of the
past, so each conversation is replayed by a tracker.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol, cast

import numpy as np

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event, Restarted, UserUttered
from rasa_core.history import History, State
from rasa_core.policies.augmented_memoization import first_looked_at
from rasa_core.policies.fallback import OUT_OF_SCOPE
from rasa_core.policies.features.conversations import ConversationFeaturizer
from rasa_core.policies.features.moments import MomentFeaturizer, Moments, Names
from rasa_core.policies.features.parts import Memo
from rasa_core.rasa3.history import POSITION, RasaHistory
from rasa_core.support.arrays import Ints
from rasa_core.trackers import DialogueStateTracker

_NONE: Final = -1
_PARTS_OF_STATE: Final = 3
"""A state has so many numbers; one more, if present, stands for the slots that were set before."""
_SIMPLE: Final = frozenset({"user", "action", "slot", "reset_slots", "bot", "agent", "followup", "pause", "resume"})
"""Types of events that take back no earlier event."""
MOST_KINDS: Final = 50_000
"""The most kinds of moments of Rasa 3 that are kept at a time."""
_OBJECTS: Final = 1000


class Sees(Protocol):
    """The part of `rasa_core.policies.batch_prediction.BatchPredictor` that says what an ensemble sees of a moment."""

    window: int
    max_history: int
    feature_names: Names
    nlu_thresholds: list[float]
    rule_window: int
    forgetting: set[int | None]

    def asks_network(self, name: bytes, example: Any) -> bool: ...  # noqa: D102
    def forget(self) -> None: ...  # noqa: D102


class _Part(NamedTuple):
    """The events from one restart to the next, with the parts of a tracker that the featurizer needs."""

    events: list[Event]
    history: History

    def applied_events(self) -> list[Event]:
        return self.events


class _News(NamedTuple):
    """The part of a `History` that memoization uses."""

    told: list[Collection[str]]
    loops: None = None
    rejected: None = None

    def slots_set_before(self, count: int) -> list[Collection[str]]:
        return self.told[-count:]


class _Moment(NamedTuple):
    """The part of a tracker that memoization and fallbacks use."""

    states: list[State]
    latest_message: UserUttered
    latest_action_name: str | None
    history: _News

    def last_states(self, count: int | None) -> list[State]:
        return self.states if count is None else self.states[-count:]


class MomentReader:
    """Reads finished conversations for several bots whose domains have the same vocabulary and slots."""

    def __init__(self, domain: Domain, bots: Sequence[Sees]) -> None:
        self._history = History(1, domain.vocabulary)
        self._window = max(bot.window for bot in bots)
        names = dict.fromkeys(name for bot in bots for name in bot.feature_names)
        self.columns = {name: column for column, name in enumerate(names)}
        latest = max(bot.max_history for bot in bots)
        tells_news = any(bot.forgetting for bot in bots)
        self._featurizer = ConversationFeaturizer(latest, domain.slots, self.columns.get, tells_news=tells_news)
        self._thresholds = sorted({threshold for bot in bots for threshold in bot.nlu_thresholds})
        self._numbered = 0
        self._parts: object = None
        self._states = Memo[tuple[int, ...], State](self._featurizer.state_of)

    def read(self, conversations: Sequence[Sequence[Event]]) -> Moments:
        """Return the moments of some conversations."""
        featurizer, found = self._featurizer, list[dict[int, int] | None]()
        starts, messages = list[int](), list[UserUttered]()
        for events in conversations:
            parts = _parts(events)
            rows: dict[int, int] | None = None if parts is None else {}
            for start, part in parts or ():
                first = len(featurizer)
                featurizer.add(cast(Any, _Part(part, self._history)))
                for place, message in _before_actions(part):
                    rows[start + place] = len(messages)  # type: ignore[index]
                    messages.append(message)
                starts += [first] * (len(messages) - first)
            found.append(rows)
        return self._moments(found, np.array(starts, np.int64), messages)

    def _moments(self, rows: list[dict[int, int] | None], starts: Ints, messages: Sequence[UserUttered]) -> Moments:
        featurizer = self._featurizer
        if featurizer.parts is not self._parts:  # The featurizer has numbered its parts anew.
            self._parts, self._numbered = featurizer.parts, self._numbered + 1
            self._states = Memo[tuple[int, ...], State](featurizer.state_of)
        states = featurizer.states()
        seen = self._seen(states, starts)
        heard = np.array([self._heard(message) for message in messages], np.int64)
        kinds, firsts = _numbered([*(_numbered(list(part.T))[0] for part in seen.swapaxes(0, 1)), heard])
        names = [b"%d %d %b" % (self._numbered, heard[first], seen[first].tobytes()) for first in firsts]

        news = featurizer.news
        examples = Memo[int, _Moment](lambda kind: self._example(seen[firsts[kind]], messages[firsts[kind]], news))
        return Moments(rows, featurizer.take(), kinds, names, examples.__getitem__)

    def _seen(self, states: Ints, starts: Ints) -> Ints:
        """Return the last states before each row, ``(rows, window, parts of a state)``; missing states are padding."""
        places = np.arange(len(states))[:, None] - np.arange(self._window)[::-1]
        seen: Ints = states[np.maximum(places, 0)]
        seen[places < starts[:, None]] = _NONE
        return seen

    def _heard(self, message: UserUttered) -> int:
        """Return a number that is the same for messages that look the same to fallbacks."""
        intent = message.intent
        sure = intent.get("confidence")
        place = len(self._thresholds) if sure is None else bisect_right(self._thresholds, sure)
        # A fallback only compares the confidence with thresholds, and the name of the intent with `OUT_OF_SCOPE`.
        return 2 * place + (intent.get("name") == OUT_OF_SCOPE)

    def _example(self, seen: Ints, message: UserUttered, news: Sequence[Collection[str]]) -> _Moment:
        there = [numbers for numbers in seen.tolist() if numbers[0] != _NONE]
        states = [self._states[tuple(numbers[:_PARTS_OF_STATE])] for numbers in there]
        told = [news[number] for numbers in there for number in numbers[_PARTS_OF_STATE:]]
        action = next((name[5:] for name in states[-1] if name.startswith("prev_")), None)
        return _Moment(states, message, action, _News(told))


def _numbered(columns: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Return a number for each row of the columns, the same for equal rows, and the first row with each number."""
    found = np.zeros(len(columns[0]), np.int64)
    firsts = found
    for column in columns:
        _, low = np.unique(column, return_inverse=True)
        # Two numbers are combined into one, and renumbered after each column, so that they stay small.
        _, firsts, found = np.unique(found * (len(low) + 1) + low, return_index=True, return_inverse=True)
    return found, firsts


def _parts(events: Sequence[Event]) -> list[tuple[int, list[Event]]] | None:
    """Return the index and the events of each part between restarts; None if events were taken back."""
    if not all(event.type_name in _SIMPLE or isinstance(event, Restarted) for event in events):
        return None
    if any(isinstance(event, ActionExecuted) and event.unpredictable for event in events):
        return None
    starts = [0, *(place + 1 for place, event in enumerate(events) if isinstance(event, Restarted))]
    return [
        (start, list(events[start : end - 1]))
        for start, end in zip(starts, [*starts[1:], len(events) + 1], strict=True)
    ]


def _before_actions(events: Sequence[Event]) -> Iterator[tuple[int, UserUttered]]:
    """Yield the index of each action, and the message before it."""
    message = UserUttered.empty()
    for place, event in enumerate(events):
        if isinstance(event, ActionExecuted):
            yield place, message
        elif isinstance(event, UserUttered):
            message = event


# -- of Rasa 3


class RasaMoment(NamedTuple):
    """The part of a tracker that an ensemble of Rasa 3 uses.

    Attributes
    ----------
    by_rules, by_memory : int
        Numbers that are equal for moments that look the same to rules, or to memoization.
    history : Rejected
        Has the action that has just refused to run.
    tracker : DialogueStateTracker or None
        The conversation; None once the predictions of rules and memoization for it are known.
    """

    by_rules: int
    by_memory: int
    history: Rejected
    tracker: DialogueStateTracker | None


class Rejected(NamedTuple):
    """The part of a `RasaHistory` that the ensemble itself uses."""

    rejected: str | None


class RasaMomentReader:
    """Collects moments for several bots whose domains have the same vocabulary and slots.

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
        self._forgetting = set[int | None]().union(*(bot.forgetting for bot in bots))
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
        """Add the present moment of a conversation, and return the number of its row."""
        history, states = cast(RasaHistory, tracker.history), tracker.last_states(self._seen)
        key = self._seen_by_rules(tracker, history), self._seen_by_memory(tracker, history, states), history.rejected
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

    def _seen_by_memory(self, tracker: DialogueStateTracker, history: RasaHistory, states: Sequence[State]) -> int:
        numbers = tuple([self._numbered(state) for state in states[-self._window :]])
        if not self._forgetting:
            return self._by_memory[numbers]
        fresh = history.slots_set_before(len(numbers))
        now, firsts = history.acted, [first_looked_at(history, count) for count in self._forgetting]
        oldest = min(firsts)
        # Ages and not times, so that the key is the same at other moments; all ages beyond `oldest` are equal.
        ages = tuple([min(now - one.get(POSITION, now), now - oldest + 1) for one in fresh])
        names = tuple([tuple([pair for pair in one.items() if pair[0] != POSITION]) for one in fresh])
        late = tuple([(name, now - at) for name, at in history.set_at.items() if at >= oldest])
        return self._by_memory[numbers, names, ages, late, tuple([now - at for at in firsts]), tracker.is_listening()]

    def _numbered(self, state: State) -> int:
        known = self._number_of.get(id(state))
        if known is None:
            if len(self._number_of) > _OBJECTS:
                self._number_of.clear()
            # The state is kept, so that no other object gets the same id.
            known = self._number_of[id(state)] = state, self._states[tuple(state.items())]
        return known[1]

    def _new_kind(self, key: tuple[int, int, str | None], tracker: DialogueStateTracker) -> int:
        kind = self._kinds[key] = len(self._kinds)
        self._names.append(b"%d %d" % (self._generation, kind))
        by_rules, by_memory, rejected = key
        moment = RasaMoment(by_rules, by_memory, Rejected(rejected), tracker)
        asked = [bot.asks_network(self._names[kind], moment) for bot in self._bots]  # A list: every bot is asked.
        self._is_asked.append(any(asked))
        self._examples.append(moment._replace(tracker=None))
        return kind

    def take(self) -> Moments:
        """Return the moments that were added since the last call."""
        kinds = np.array(self._kind_of_row, np.int64)
        self._kind_of_row = []
        return Moments([], self._features.take(), kinds, self._names, self._examples.__getitem__)

    def forget_many(self) -> None:
        """Forget all kinds if there are too many; the moments taken so far must have been predicted by then."""
        if len(self._kinds) > MOST_KINDS:
            self._forget()


def _counted() -> Callable[[object], int]:
    """Return a function that counts how often it is called, from 0."""
    numbers = itertools.count()
    return lambda key: next(numbers)
