"""The history features of whole conversations, with a row for each moment before an action, as a sparse matrix.

They are the same features as in `rasa_core.policies.features.history`, computed without going through each moment.
Features that always appear together (those of a message, of the slots, of a turn's actions, ...) are a *part*, which
gets a number once. Counts over the whole conversation are kept as *spans*: the rows over which a name had the same
count and was last seen in the same turn. A row is a list of numbers of parts and spans, until all rows are written at
once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, AllSlotsReset, SlotSet, UserUttered
from rasa_core.events.rasa3 import ActiveLoop
from rasa_core.history import LAST_ACTIONS_KEPT, TURN_ACTIONS_KEPT, History, State, compute_state, with_best_intent_only
from rasa_core.policies.features import history as features
from rasa_core.policies.features.parts import ColumnOf, Group, Memo, PartTable, Spans, ranges
from rasa_core.rasa3.domain_parts import REQUESTED_SLOT
from rasa_core.slots import Slot
from rasa_core.support.arrays import Floats, Ints

if TYPE_CHECKING:
    from rasa_core.trackers import DialogueStateTracker

Items = tuple[tuple[str, float], ...]
Message = tuple[str | None, tuple[str, ...]]
K = TypeVar("K")
V = TypeVar("V")

LEFT_OUT: Final = -1
NUMBERS_OF_PARTS: Final = 4_000_000
"""The largest total size of the parts; beyond it, all parts are forgotten."""

_NO_MESSAGE: Final = UserUttered.empty()
_PARTS_IN_ROW: Final = 11
_PARTS_IN_STATE: Final = (0, 5, 8)
"""Indices, among the parts of a row, of the parts of a state: the message, the slots, and the action before."""


class FeatureMatrix(NamedTuple):
    """Features of moments before actions, one row for each, as in SciPy's CSR format.

    Attributes
    ----------
    starts : NDArray of int64
        The numbers of row `i` are at ``starts[i]`` to ``starts[i + 1]`` of `columns` and `values`, ``(rows + 1,)``.
    columns, values : NDArray of int32, NDArray of float32
        ``(numbers,)``; a row has no column twice.
    numbers, actions : list of int, list of str
        For each row, the number of the action in its conversation, counted from 0, and the name of the action.
    """

    starts: Ints
    columns: NDArray[np.int32]
    values: Floats
    numbers: list[int]
    actions: list[str]


class ConversationFeaturizer:
    """Makes a matrix of features from finished conversations.

    Parameters
    ----------
    max_history
        The number of latest events with all their features.
    slots
        The slots of the domain of the conversations.
    column_of
        A function that returns the column of a feature by block and name; None to leave the feature out.
    tells_news
        Whether `states` include the slots that were set before each state.
    """

    def __init__(
        self, max_history: int, slots: Iterable[Slot], column_of: ColumnOf, *, tells_news: bool = False
    ) -> None:
        self._event_blocks = [f"event {number}" for number in range(max_history)]
        self._column_of = column_of
        self._tells_news = tells_news
        self._slots = {slot.name: slot.fresh() for slot in slots}
        self._spans = Spans(self._columns_of_seen, features.LEFT_EACH_TURN)
        self._number_parts()
        self._forget_rows()

    def _columns_of_seen(self, kind: str, name: str) -> list[int | None]:
        return [self._column_of((block, name)) for block in (kind, features.COUNTS[kind], features.AGO[kind])]

    def _number_parts(self) -> None:
        self._parts = _Parts(self._event_blocks, self._column_of, self._spans)
        for slot in self._slots.values():
            slot.reset()
        self._initial = {name: self._parts.content[_content(slot)] for name, slot in self._slots.items()}

    def _forget_rows(self) -> None:
        self._spans.clear()
        self._numbers: list[int] = []
        self._actions: list[str] = []
        self._turn_of_row: list[int] = []
        self._parts_of_row: list[int] = []
        self._news_of_row: list[int] = []
        # Events, and actions other than listening, of all conversations; and the number of both before each row.
        self._happened: list[int] = []
        self._acted: list[int] = []
        self._before_row: list[int] = []

    def __len__(self) -> int:
        """Return the number of rows that `take` would return."""
        return len(self._numbers)

    def add(self, tracker: DialogueStateTracker) -> None:
        """Add a row for each action of a conversation, except actions that are not to be learnt."""
        self._happened += [self._parts.nothing] * len(self._event_blocks)
        self._acted += [self._parts.nothing] * LAST_ACTIONS_KEPT
        self._history = History(window=1, vocabulary=tracker.history.vocabulary)
        self._content = dict(self._initial)
        self._in_slots: int | None = None  # The number of the part of the slots; None until it is computed.
        self._turn: tuple[str, ...] = ()
        self._loop: tuple[str | None, str | None] = (None, None)  # The active loop, and the slot that it asks for.
        self._done, self._latest = 0, cast(_Action | None, None)
        self._take_message(_NO_MESSAGE, self._parts.nothing, self._parts.nothing)
        for event in tracker.applied_events():
            if isinstance(event, ActionExecuted):
                self._take_action(event)
            elif isinstance(event, UserUttered):
                self._take_user(event)
            elif isinstance(event, SlotSet | AllSlotsReset):
                self._take_slot(event)
            elif isinstance(event, ActiveLoop):
                self._loop = event.loop_name, self._loop[1]
        self._spans.end(len(self._numbers))

    def _take_user(self, event: UserUttered) -> None:
        history, spans, parts = self._history, self._spans, self._parts
        entities = [(str(entity["entity"]), entity.get("value")) for entity in event.entities]
        history.record_user(event.intent.get("name"), entities)
        message_before = actions_before = parts.nothing
        if history.turn_before is not None:
            # This history only gets messages and no actions, so the turn's actions come from `self._turn`.
            message_before = parts.message_before[history.turn_before.intent, tuple(history.turn_before.entities)]
            actions_before = parts.actions_before[self._turn]
        self._turn = ()
        if history.intent is not None:
            spans.see(spans.names["intent", history.intent], len(self._numbers), history.turns)
        for name, (_, turn) in history.entities.items() if entities else ():
            if turn == history.turns:
                spans.see(spans.names["entity", name], len(self._numbers), history.turns)
        self._take_message(event, message_before, actions_before)

    def _take_message(self, event: UserUttered, message_before: int, actions_before: int) -> None:
        history, parts = self._history, self._parts
        items = tuple(with_best_intent_only(compute_state(event, (), None, history.vocabulary)).items())
        self._message_event = parts.event[items]
        mentions, turns = parts.mentions[tuple(history.mentions)], parts.turns[history.turns]
        self._in_message = parts.message[items], mentions, turns, message_before, actions_before

    def _take_slot(self, event: SlotSet | AllSlotsReset) -> None:
        if isinstance(event, AllSlotsReset):
            self._content = dict(self._initial)
        elif event.key in self._slots:
            if event.key == REQUESTED_SLOT:
                self._loop = self._loop[0], None if event.value is None else str(event.value)
            self._content[event.key] = self._content_of(event.key, event.value)
            if self._slots[event.key].has_features():
                self._history.record_slot(event.key, event.value)
        self._in_slots = None

    def _content_of(self, name: str, value: object) -> int:
        """Return the number of the content of a slot with this value."""
        if isinstance(value, str) and (name, value) in self._parts.texts:
            return self._parts.texts[name, value]
        self._slots[name].value = value
        found = self._parts.content[_content(self._slots[name])]
        if isinstance(value, str):
            self._parts.texts[name, value] = found
        return found

    def _take_action(self, event: ActionExecuted) -> None:
        name, before, known = event.action_name, self._latest, self._history.vocabulary
        if before is not None:
            self._happened.append(before.event)
            if before.last is None:
                self._happened.append(self._message_event)
        if not event.unpredictable:
            self._add_row(name, self._parts.nothing if before is None else before.state)
        self._done += 1
        self._history.slots_set, self._history.fresh = {}, []
        self._latest = action = self._parts.action[name, event.error is not None]
        self._turn = (*self._turn, name)[-TURN_ACTIONS_KEPT:]
        if action.last is not None:
            self._acted.append(action.last)
        if known is None or name in known.actions:
            self._spans.see(action.name, len(self._numbers), self._history.turns)

    def _add_row(self, action: str, in_state: int) -> None:
        parts, in_slots = self._parts, self._in_slots
        if in_slots is None:
            in_slots = self._in_slots = parts.slots[tuple(self._content.values())]
        slots_set = parts.slots_set[tuple(self._history.slots_set.items())]
        in_turn = parts.turn[self._turn], parts.length[self._done]
        self._parts_of_row += (*self._in_message, in_slots, slots_set, parts.loop[self._loop], in_state, *in_turn)
        self._before_row += (len(self._happened), len(self._acted))
        if self._tells_news:
            self._news_of_row.append(parts.news[frozenset(self._history.fresh)])
        self._turn_of_row.append(self._history.turns)
        self._numbers.append(self._done)
        self._actions.append(action)

    def states(self) -> Ints:
        """Return the numbers of the parts of the state before each row, ``(rows, 3)``; see `state_of`.

        With `tells_news`, there is a fourth number: an index in `news`.
        """
        states: Ints = np.array(self._parts_of_row, np.int64).reshape(len(self), _PARTS_IN_ROW)[:, _PARTS_IN_STATE]
        return np.column_stack([states, np.array(self._news_of_row, np.int64)]) if self._tells_news else states

    def state_of(self, numbers: Iterable[int]) -> State:
        """Return the state for a row of `states`; it has only the best intent."""
        return {name: value for number in numbers for name, value in self._parts.told.get(number, {}).items()}

    @property
    def news(self) -> Sequence[Collection[str]]:
        """The slots that were set before states, in the form of `History.slots_set_before`."""
        return self._parts.told_news

    @property
    def parts(self) -> object:
        """The object that defines the numbers in `states`; it is replaced when the parts are numbered anew."""
        return self._parts

    def take(self) -> FeatureMatrix:
        """Return the features of the conversations that were added since the last call."""
        lengths, columns, values = self._parts.expanded(self._all_parts())
        other_lengths, others, other_values = self._spans.expanded(np.array(self._turn_of_row, np.int64))
        starts = np.concatenate([[0], np.cumsum(lengths + other_lengths)])
        all_columns, all_values = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
        places, other_places = ranges(starts[:-1], lengths), ranges(starts[:-1] + lengths, other_lengths)
        all_columns[places], all_values[places] = columns, values
        all_columns[other_places], all_values[other_places] = others, other_values
        matrix = FeatureMatrix(starts, all_columns, all_values, self._numbers, self._actions)
        if len(self._parts) > NUMBERS_OF_PARTS:
            self._number_parts()
        self._forget_rows()
        return matrix

    def _all_parts(self) -> Ints:
        """Return the parts of the rows, ``(rows, parts)``."""
        count = len(self)
        happened, acted = np.array(self._before_row, np.int64).reshape(count, 2).T
        others = np.array(self._parts_of_row, np.int64).reshape(count, _PARTS_IN_ROW)
        events = _latest(self._happened, happened, len(self._event_blocks))
        return np.concatenate([events, others, _latest(self._acted, acted, LAST_ACTIONS_KEPT)], axis=1)


class _Action(NamedTuple):
    """The numbers of an action."""

    state: int  # The part in the state after the action.
    event: int  # The part for the action as the latest event; the next numbers are for it as an earlier event.
    last: int | None  # The part for it as the last action, numbered in the same way; None for listening.
    name: int  # The number of the action's name in the spans.


class _Parts(PartTable):
    """The parts of rows of conversations, and of the states before them."""

    def __init__(self, event_blocks: Sequence[str], column_of: ColumnOf, spans: Spans) -> None:
        super().__init__(column_of)
        self._spans = spans
        self.told: dict[int, State] = {}  # The features of the parts of states.
        self.told_news: list[frozenset[str]] = []
        self.news = Memo(self._new_news)  # Numbers of the sets of slots that were set before states; no parts.
        # The part for an event as the latest one; the next numbers are for it as an earlier event.
        self.event = Memo[Items, int](lambda items: self._add_each([(block, dict(items))] for block in event_blocks))
        self.action = Memo(self._new_action)
        self.message = Memo[Items, int](lambda items: self._add_told(dict(items), features.of_now(items)))
        self.mentions = self._memo(features.of_mentions)
        self.turns = self._memo(features.of_turns)
        self.message_before: Memo[Message, int] = self._memo(features.of_message_before)
        self.actions_before = self._memo(features.of_actions_before)
        self.slots_set = self._memo(features.of_slots_set)
        self.loop: Memo[tuple[str | None, str | None], int] = self._memo(features.of_loop)
        self.turn = self._memo(features.of_turn)
        self.length = self._memo(features.of_length)
        # What single slots hold has numbers, but is no part; what all slots hold together is one.
        self._contents: list[tuple[dict[int, float], Items]] = []
        self.content = Memo(self._new_content)
        self.texts: dict[tuple[str, str], int] = {}
        self.slots = Memo(self._new_slots)
        # Empty parts for the missing events and actions at the start of a conversation.
        self.nothing = self._add_each([] for _ in range(max(len(event_blocks), LAST_ACTIONS_KEPT)))

    def _new_action(self, key: tuple[str, bool]) -> _Action:
        (name, _), last = key, None
        state = features.state_after(*key)
        if name != ACTION_LISTEN_NAME:
            last = self._add_each(features.of_last_action(number, name) for number in range(LAST_ACTIONS_KEPT))
        event, counted = self.event[tuple(state.items())], self._spans.names["action", name]
        return _Action(self._add_told(state, [("now", state)]), event, last, counted)

    def _add_told(self, state: State, groups: Iterable[Group]) -> int:
        """Add a part of states, and return its number."""
        number = self._add(self._in_columns(groups))
        self.told[number] = state
        return number

    def _new_news(self, names: frozenset[str]) -> int:
        self.told_news.append(names)
        return len(self.told_news) - 1

    def _new_content(self, content: tuple[str, Items, str | None]) -> int:
        name, items, text = content
        self._contents.append((self._in_columns([("now", dict(items)), *features.of_slots([(name, text)])]), items))
        return len(self._contents) - 1

    def _new_slots(self, numbers: tuple[int, ...]) -> int:
        contents = [self._contents[number] for number in numbers]
        number = self._add({column: value for columns, _ in contents for column, value in columns.items()})
        self.told[number] = {name: value for _, items in contents for name, value in items}
        return number

    def expanded(self, parts: Ints) -> tuple[Ints, NDArray[np.int32], Floats]:
        """Return the number of features of each row, and their columns and values, for `parts` ``(rows, parts)``."""
        lengths, columns, values = self.of(parts.ravel())
        return lengths.reshape(parts.shape).sum(axis=1), columns, values


def _latest(parts: list[int], counts: Ints, kept: int) -> Ints:
    """Return the last `kept` parts of the first `counts` ``(rows,)``, latest first, each in the form for its place."""
    places = np.arange(kept)
    latest: Ints = np.array(parts, np.int64)[counts[:, None] - 1 - places] + places
    return latest


def _content(slot: Slot) -> tuple[str, Items, str | None]:
    """Return the name of a slot, and its value as features and as text."""
    return slot.name, tuple(compute_state(_NO_MESSAGE, [slot], None, None).items()), slot.feature_text()
