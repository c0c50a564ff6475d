"""The history features of whole conversations: those of every moment before an action, as sparse rows.

They are the features of `rasa_core.policies.features.history_features`, found without looking at each moment anew.
What comes and goes together (the features of a message, of what the slots hold, of a turn's actions, ...) is a *part*:
it is numbered once, and a row is the numbers of its parts, until all rows are written out together.

Notation: ``starts`` is ``(rows + 1,)``; row `i` has its numbers at ``starts[i]`` up to ``starts[i + 1]`` of
``columns`` and ``values``, which hold those of all rows one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, AllSlotsReset, SlotSet, UserUttered
from rasa_core.history import LAST_ACTIONS_KEPT, TURN_ACTIONS_KEPT, History, Mention, compute_state
from rasa_core.policies.features import history_features as features
from rasa_core.policies.features.classic import with_best_intent_only
from rasa_core.policies.features.parts import ColumnOf, Ints, Memo, Parts, Rows, Spans, side_by_side
from rasa_core.slots import Slot

if TYPE_CHECKING:
    from rasa_core.trackers import DialogueStateTracker

NUMBERS_OF_PARTS: Final = 4_000_000
"""How many numbers the parts may have before all are forgotten."""

_NO_MESSAGE: Final = UserUttered.empty()

Items = tuple[tuple[str, float], ...]
SlotContent = tuple[str, Items, str | None]


class _Action(NamedTuple):
    """The numbers of an action.

    Attributes
    ----------
    state : int
        Its part in the state after it.
    event : int
        Its part as the latest event; those as an earlier one are the next numbers.
    last : int or None
        Its part as the last action, in the same way; None if it is listening.
    name : int
        Its number in the names of the spans.
    """

    state: int
    event: int
    last: int | None
    name: int


class _PartNumbers:
    """The numbers of parts, by what they tell of."""

    def __init__(self, event_blocks: Sequence[str], column_of: ColumnOf, spans: Spans) -> None:
        self.parts = parts = Parts(column_of)
        self._spans = spans
        self._contents: list[dict[int, float]] = []
        self._event_blocks = event_blocks
        self.action = Memo(self._new_action)
        self.event = Memo(self._new_event)
        self.message = Memo[Items, int](lambda items: parts.of(features.of_state(dict(items))))
        self.mentions = Memo[tuple[Mention, ...], int](lambda mentions: parts.of(features.of_mentions(mentions)))
        self.content = Memo(self._new_content)
        self.slots = Memo(self._new_slots)
        self.slots_set = Memo[tuple[tuple[str, str | None], ...], int](
            lambda told: parts.of(features.of_slots_set(told))
        )
        self.texts: dict[tuple[str, str], int] = {}
        self.turn = Memo[tuple[str, ...], int](lambda actions: parts.of(features.of_turn(actions)))
        self.turns = Memo[int, int](lambda turns: parts.of(features.of_turns(turns)))
        self.length = Memo[int, int](lambda length: parts.of(features.of_length(length)))
        self.message_before = Memo[tuple[str | None, tuple[str, ...]], int](
            lambda message: parts.of(features.of_message_before(*message))
        )
        self.actions_before = Memo[tuple[str, ...], int](lambda turn: parts.of(features.of_actions_before(turn)))
        # Where a conversation starts, as many empty parts follow this one as may be asked for.
        self.nothing = parts.of_each([] for _ in range(max(len(event_blocks), LAST_ACTIONS_KEPT)))

    def _new_action(self, name: str) -> _Action:
        state = {f"prev_{name}": 1.0}
        last = None
        if name != ACTION_LISTEN_NAME:
            last = self.parts.of_each(features.of_last_action(number, name) for number in range(LAST_ACTIONS_KEPT))
        event, counted = self.event[tuple(state.items())], self._spans.names["action", name]
        return _Action(self.parts.of([("now", state)]), event, last, counted)

    def _new_event(self, items: Items) -> int:
        """Return the part of an event as the latest one; those of it as an earlier one are the next numbers."""
        return self.parts.of_each([(block, dict(items))] for block in self._event_blocks)

    def _new_content(self, content: SlotContent) -> int:
        """Return a number for what a slot holds; it is not that of a part."""
        name, items, text = content
        self._contents.append(self.parts.columns([("now", dict(items)), *features.of_slots([(name, text)])]))
        return len(self._contents) - 1

    def _new_slots(self, numbers: Iterable[int]) -> int:
        """Return the part of what all slots hold."""
        columns: dict[int, float] = {}
        for number in numbers:
            columns.update(self._contents[number])
        return self.parts.add(columns)


class ConversationRows:
    """Makes rows of features from finished conversations.

    Parameters
    ----------
    max_history
        How many events are features in full.
    slots
        Those of the conversations' domain.
    column_of
        Returns the column of a feature, given block and name; None to leave it out.
    """

    def __init__(self, max_history: int, slots: Iterable[Slot], column_of: ColumnOf) -> None:
        self._event_blocks = [f"event {number}" for number in range(max_history)]
        self._column_of = column_of
        self._slots = {slot.name: slot.fresh() for slot in slots}
        self._spans = Spans(column_of)
        self._number_parts()
        self._forget_rows()

    def _number_parts(self) -> None:
        self._of = _PartNumbers(self._event_blocks, self._column_of, self._spans)
        for slot in self._slots.values():
            slot.reset()
        self._initial = {name: self._of.content[_content(slot)] for name, slot in self._slots.items()}

    def _forget_rows(self) -> None:
        self._spans.clear()
        self._numbers: list[int] = []
        self._actions: list[str] = []
        self._turn_of_row: list[int] = []
        self._parts_of_row: list[int] = []
        # What happened, and the actions other than listening, of all conversations one after the other; and for
        # each row how many of both there were before it.
        self._happened: list[int] = []
        self._acted: list[int] = []
        self._before_row: list[int] = []

    def __len__(self) -> int:
        """Return the number of rows that can be taken."""
        return len(self._numbers)

    # -- conversations

    def add(self, tracker: DialogueStateTracker) -> None:
        """Add a row for each action of a conversation that is to be learnt."""
        self._happened += [self._of.nothing] * len(self._event_blocks)
        self._acted += [self._of.nothing] * LAST_ACTIONS_KEPT
        self._history = History(window=1, vocabulary=tracker.history.vocabulary)
        self._content = dict(self._initial)
        # The part of what the slots hold; None while it is not known.
        self._in_slots: int | None = None
        self._turn: tuple[str, ...] = ()
        self._done = 0
        self._latest: _Action | None = None
        self._take_message(_NO_MESSAGE, self._of.nothing, self._of.nothing)
        for event in tracker.applied_events():
            if isinstance(event, ActionExecuted):
                self._take_action(event)
            elif isinstance(event, UserUttered):
                self._take_user(event)
            elif isinstance(event, SlotSet | AllSlotsReset):
                self._take_slot(event)
        self._spans.end(len(self._numbers))

    def _take_user(self, event: UserUttered) -> None:
        history, spans = self._history, self._spans
        entities = [(str(entity["entity"]), entity.get("value")) for entity in event.entities]
        history.record_user(event.intent.get("name"), entities)
        message_before = actions_before = self._of.nothing
        if history.turn_before is not None:
            # The history is told of messages alone, so that it does not know the actions.
            message_before = self._of.message_before[history.turn_before.intent, tuple(history.turn_before.entities)]
            actions_before = self._of.actions_before[self._turn]
        self._turn = ()
        if history.intent is not None:
            spans.see(spans.names["intent", history.intent], len(self._numbers), history.turns)
        for name, seen in history.entities.items() if entities else ():
            if seen.turn == history.turns:
                spans.see(spans.names["entity", name], len(self._numbers), history.turns)
        self._take_message(event, message_before, actions_before)

    def _take_message(self, event: UserUttered, message_before: int, actions_before: int) -> None:
        history, of = self._history, self._of
        items = tuple(with_best_intent_only(compute_state(event, (), None, history.vocabulary)).items())
        self._message_event = of.event[items]
        mentions, turns = of.mentions[tuple(history.mentions)], of.turns[history.turns]
        self._in_message = of.message[items], mentions, turns, message_before, actions_before

    def _take_slot(self, event: SlotSet | AllSlotsReset) -> None:
        if isinstance(event, AllSlotsReset):
            self._content = dict(self._initial)
        elif event.key in self._slots:
            self._content[event.key] = self._content_of(event.key, event.value)
            if self._slots[event.key].has_features():
                self._history.record_slot(event.key, event.value)
        self._in_slots = None

    def _content_of(self, name: str, value: object) -> int:
        """Return the number of what a slot holds that has this value."""
        known = self._of.texts.get((name, value)) if isinstance(value, str) else None
        if known is None:
            slot = self._slots[name]
            slot.value = value
            known = self._of.content[_content(slot)]
            if isinstance(value, str):
                self._of.texts[name, value] = known
        return known

    def _take_action(self, event: ActionExecuted) -> None:
        name, before, known = event.action_name, self._latest, self._history.vocabulary
        if before is not None:
            self._happened.append(before.event)
            if before.last is None:
                self._happened.append(self._message_event)
        if not event.unpredictable:
            self._add_row(name, self._of.nothing if before is None else before.state)
        self._done += 1
        self._history.slots_set = {}
        self._latest = action = self._of.action[name]
        self._turn = (*self._turn, name)[-TURN_ACTIONS_KEPT:]
        if action.last is not None:
            self._acted.append(action.last)
        if known is None or name in known.actions:
            self._spans.see(action.name, len(self._numbers), self._history.turns)

    def _add_row(self, action: str, in_state: int) -> None:
        of, in_slots = self._of, self._in_slots
        if in_slots is None:
            in_slots = self._in_slots = of.slots[tuple(self._content.values())]
        slots_set = of.slots_set[tuple(self._history.slots_set.items())]
        in_turn = of.turn[self._turn], of.length[self._done]
        self._parts_of_row += (*self._in_message, in_slots, slots_set, in_state, *in_turn)
        self._before_row += (len(self._happened), len(self._acted))
        self._turn_of_row.append(self._history.turns)
        self._numbers.append(self._done)
        self._actions.append(action)

    # -- rows

    def take(self) -> Rows:
        """Return the rows of the conversations that were added since the last time."""
        parts = self._all_parts()
        lengths, columns, values = self._of.parts.expanded(parts)
        other_lengths, others, other_values = self._spans.expanded(np.array(self._turn_of_row, np.int64))
        starts, places, other_places = side_by_side(lengths, other_lengths)
        all_columns = np.empty(starts[-1], np.int32)
        all_values = np.empty(starts[-1], np.float32)
        all_columns[places], all_values[places] = columns, values
        all_columns[other_places], all_values[other_places] = others, other_values
        rows = Rows(starts, all_columns, all_values, self._numbers, self._actions)
        if len(self._of.parts) > NUMBERS_OF_PARTS:
            self._number_parts()
        self._forget_rows()
        return rows

    def _all_parts(self) -> Ints:
        """Return the parts of the rows, ``(rows, parts)``."""
        count = len(self)
        happened, acted = np.array(self._before_row, np.int64).reshape(count, 2).T
        return np.concatenate(
            [
                _latest(self._happened, happened, len(self._event_blocks)),
                np.array(self._parts_of_row, np.int64).reshape(count, -1 if count else 0),
                _latest(self._acted, acted, LAST_ACTIONS_KEPT),
            ],
            axis=1,
        )


def _latest(parts: list[int], counts: Ints, kept: int) -> Ints:
    """Return the last `kept` parts of the first `counts` ``(rows,)``, latest first, each in the form for its place."""
    places = np.arange(kept)
    latest: Ints = np.array(parts, np.int64)[counts[:, None] - 1 - places] + places
    return latest


def _content(slot: Slot) -> SlotContent:
    """Return the name of a slot, and what its value is as features and as text."""
    return slot.name, tuple(compute_state(_NO_MESSAGE, [slot], None, None).items()), slot.feature_text()
