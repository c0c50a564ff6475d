"""The default features of the network: the present state and last events, and a summary of everything before.

Each feature belongs to a block and has a name within it:

=================  =================================================  ====================================
block              names                                              value
=================  =================================================  ====================================
event 0, 1, ...    ``intent_``, ``entity_``, ``prev_``, latest first  as in the state; ``failed`` beside ``prev_``
now                the present state, or ``no entities``              as in the state; 1
value              entity=value of the latest message                 1
novelty            entity, and whether new, same or changed           1
slot value         slot=value of the slots that hold text             1
slot set           slots set after the latest message or action       1
slot set to        slot=value of the slots in ``slot set``            1
loop               the active loop, and the slot that it asks for     1
turn               actions since the latest message                   1
intent before      intent of the turn before, or ``None``             1
entity before      entities of the turn before                        1
action before      actions of the turn before                         1
ended 0, 1         the last actions of the turn before, latest first  1; listening left out
said 0, ..., 3     the last actions, latest first                     1; listening left out
intent             intents so far                                     1
intent count       intents so far                                     log(1 + count)
entity             entities so far                                    1
entity count       entities so far                                    log(1 + count)
action             actions so far                                     1
action count       actions so far                                     log(1 + count)
intent ago         intents so far                                     0.7 ** turns since it was the last time
entity ago         entities so far                                    0.7 ** turns since it was the last time
action ago         actions so far                                     0.7 ** turns since it was the last time
words now          parts of the names of the present entities         1
words turn         parts of the names of ``turn``                     1
words said 0, ...  parts of the names of ``said`` 0, 1, 2             1
length             turns so far, at most 8; ``turn``, at most 6       1
length             ``turns`` and ``actions`` so far                   log(1 + turns); log(1 + actions) / 2
=================  =================================================  ====================================

The features are those that occur in training. Values of entities and slots are features only if they occur often
enough, and the entity or slot has several such values: a value that is always the same adds nothing to the presence of
the entity. If there are more than 4096 features, features of the present state are kept first, then the most frequent
ones; the block ``now`` is kept whole. With the parts of names (``hotel`` and ``area`` in ``hotel_area``) the network
generalises from one entity or action to others with similar names.

A vector only depends on a `History` and the last states, which are updated with each event, so that the time of a
prediction does not grow with the conversation.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.events import ACTION_LISTEN_NAME
from rasa_core.history import FAILED, History, Mention, State, with_best_intent_only
from rasa_core.policies.features.parts import Group
from rasa_core.rasa3.domain_parts import REQUESTED_SLOT
from rasa_core.slots import Slot

if TYPE_CHECKING:
    from rasa_core.trackers import DialogueStateTracker

Sparse = tuple[list[int], list[float]]
Part = tuple[tuple[int, ...], tuple[float, ...]]
"""Indices and values of some features."""

# Limits of the features and counts; counts beyond a limit are treated like the limit.
TIMES_A_VALUE_IS_SEEN: Final = 2
VALUES_KEPT: Final = 1000
FEATURES_KEPT: Final = 4096
"""More features make a bot of a thousand intents slow to train and less accurate, since most occur only once."""
TURNS_COUNTED: Final = 8
ACTIONS_COUNTED: Final = 6
LEFT_EACH_TURN: Final = 0.7
"""The factor by which the features ``... ago`` decrease with each turn."""

SAID_IN_WORDS: Final = 3
_ENDED: Final = ("ended 0", "ended 1")
_OF_VALUES: Final = ("value", "slot value", "slot set to")
_OF_THE_PRESENT: Final = ("event 0", "novelty", "slot set", "loop", "turn", "length", *_OF_VALUES)
_RANKS: Final = {"now": 0, **dict.fromkeys(_OF_THE_PRESENT, 1)}
"""The order in which blocks are kept if there are too many features; all other blocks come after these."""
PARTS_KEPT: Final = 4096
"""How many parts of moments are kept in a cache with their features."""
COUNTS: Final = {"intent": "intent count", "entity": "entity count", "action": "action count"}
AGO: Final = {"intent": "intent ago", "entity": "entity ago", "action": "action ago"}
_NO_ENTITIES: Final = {"no entities": 1.0}
_LISTENED: Final = f"prev_{ACTION_LISTEN_NAME}"
_NOT_A_WORD: Final = re.compile(r"[\W_]+")


class HistoryFeaturizer:
    """Turns conversations into vectors of history features.

    Parameters
    ----------
    max_history
        The number of latest states and events with all their features.
    names
        Block and name of each feature, in order; empty before training.
    """

    def __init__(self, max_history: int = 5, names: Iterable[Sequence[str]] = ()) -> None:
        if not isinstance(max_history, int) or max_history < 1:
            raise ValueError(f"max_history is a number of states, at least 1, not {max_history!r}.")
        self.max_history = max_history
        self.names: list[tuple[str, str]] = [(block, name) for block, name in names]
        self._take_names()

    def _take_names(self) -> None:
        """Compute in advance the lookups that every prediction needs."""
        self._blocks = _numbered(self.names)
        self._events = [self._blocks.get(f"event {number}", {}) for number in range(self.max_history)]
        self._seen = [self._columns_of_seen(kind) for kind in COUNTS]
        self._known: dict[tuple[object, Hashable], Part] = {}

    def _columns_of_seen(self, kind: str) -> dict[str, tuple[int | None, ...]]:
        blocks = [self._blocks.get(block, {}) for block in (kind, COUNTS[kind], AGO[kind])]
        return {name: tuple(block.get(name) for block in blocks) for name in dict.fromkeys(chain(*blocks))}

    @property
    def num_features(self) -> int:
        """Length of the vectors; 0 before training."""
        return len(self.names)

    # -- one prediction

    def features(self, states: Sequence[State], history: History, slots: Collection[Slot]) -> Sparse:
        """Return the features of one prediction.

        Parameters
        ----------
        states
            The last states, the present one last; only the last `max_history` are used.
        history
            The summary of the conversation.
        slots
            The present slots.

        Returns
        -------
        indices, values
            Sparse vector of length `num_features`; features that were not in training are left out.
        """
        indices: list[int] = []
        values: list[float] = []
        for known, event in zip(self._events, recent_events(states, self.max_history), strict=False):
            for name, value in event.items():
                if (index := known.get(name)) is not None:
                    indices.append(index)
                    values.append(value)
        for made_of, key in self._parts(states, history, slots):
            part = self._known.get((made_of, key)) or self._learn_part(made_of, key)
            indices += part[0]
            values += part[1]
        # Not cached, since counts and the turns in which names were last seen differ from turn to turn.
        for columns, seen in zip(self._seen, (history.intents, history.entities, history.actions), strict=True):
            for name, (count, turn) in seen.items():
                told = 1.0, math.log1p(count), LEFT_EACH_TURN ** (history.turns - turn)
                for index, value in zip(columns.get(name, ()), told, strict=False):
                    if index is not None:
                        indices.append(index)
                        values.append(value)
        return indices, values

    def _parts(self, states: Sequence[State], history: History, slots: Collection[Slot]) -> list[tuple[Any, Any]]:
        """Return the cacheable parts of the present moment, each as a function of its features, and the argument."""
        parts: list[tuple[Any, Any]] = [
            (of_now, tuple(with_best_intent_only(states[-1]).items())),
            (of_mentions, tuple(history.mentions)),
            (of_turn, tuple(history.turn_actions)),
            (of_last_actions, tuple(history.last_actions)),
            (of_turns, history.turns),
            (of_length, history.length),
        ]
        if texts := texts_of(slots):
            parts.append((of_slots, texts))
        if history.slots_set:
            parts.append((of_slots_set, tuple(history.slots_set.items())))
        if history.loop is not None:
            asked = next((slot.value for slot in slots if slot.name == REQUESTED_SLOT), None)
            parts.append((of_loop, (history.loop.name, None if asked is None else str(asked))))
        if history.turn_before is not None:
            intent, entities, actions = history.turn_before
            parts.append((of_message_before, (intent, tuple(entities))))
            parts.append((of_actions_before, tuple(actions)))
        return parts

    def _learn_part(self, made_of: Callable[[Any], Iterable[Group]], key: Hashable) -> Part:
        """Return the features of a part, and add them to the cache."""
        named = (
            (self.index_of((block, name)), value) for block, group in made_of(key) for name, value in group.items()
        )
        found = [(index, value) for index, value in named if index is not None]
        part = tuple(index for index, _ in found), tuple(value for _, value in found)
        if len(self._known) >= PARTS_KEPT:  # A limit, since users can send ever new messages.
            self._known.clear()
        self._known[made_of, key] = part
        return part

    def present(self, tracker: DialogueStateTracker) -> Sparse:
        """Return the features from which the next action of a conversation is predicted."""
        return self.features(tracker.last_states(self.max_history), tracker.history, tracker.slots.values())

    # -- training

    def learn_names(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Choose the features to use, from the number of times that each occurs in training, by block and name."""
        often = [name for name, count in counts.items() if name[0] in _OF_VALUES and count >= TIMES_A_VALUE_IS_SEEN]
        values = Counter(map(_owner, often))
        often = [name for name in often if values[_owner(name)] > 1]
        # Equally frequent values are sorted by name, so that the same stories give the same features.
        often.sort(key=lambda name: (-counts[name], name))
        kept = set(often[:VALUES_KEPT])
        names = [name for name in counts if name[0] not in _OF_VALUES or name in kept]
        if len(names) > FEATURES_KEPT:
            names.sort(key=lambda name: (_RANKS.get(name[0], len(_RANKS)), -counts[name], name))
            del names[max(FEATURES_KEPT, sum(block == "now" for block, _ in names)) :]
        self.names = sorted(names)
        self._take_names()

    @property
    def value_columns(self) -> NDArray[np.int32]:
        """Indices of the features of values, for which later conversations may have unknown values."""
        found = [index for index, (block, _) in enumerate(self.names) if block in _OF_VALUES]
        return np.array(found, np.int32)

    def index_of(self, name: tuple[str, str]) -> int | None:
        """Return the index of the feature with this block and name, or None."""
        return self._blocks.get(name[0], {}).get(name[1])

    def as_dict(self) -> dict[str, Any]:
        """Return the options and the names of the features as data for JSON."""
        return {"max_history": self.max_history, "names": [list(name) for name in self.names]}


def recent_events(states: Sequence[State], count: int) -> list[State]:
    """Return the last `count` events, the latest first, each as the features that it has in a state."""
    found: list[State] = []
    for state in reversed(states):
        found += events_before(state)
        if len(found) >= count:
            break
    return found[:count]


def events_before(state: State) -> list[State]:
    """Return the events since the state before, the latest first, as features of `state`.

    Each state contains its latest events: an action (``prev_``), and, if that was listening, the message after it
    (``intent_``, ``entity_``).
    """
    found = []
    if _LISTENED in state:
        best = with_best_intent_only(state)
        found.append({name: value for name, value in best.items() if name.startswith(("intent_", "entity_"))})
    for name in reversed(state):  # The action comes after all slots.
        if name.startswith("prev_"):
            found.append(_after(name, FAILED in state))
            break
    return found


def state_after(action: str, has_failed: bool) -> State:
    """Return the features of a state for the action before; the result is cached and must not be changed."""
    return _after(f"prev_{action}", has_failed)


@lru_cache(maxsize=10_000)
def _after(feature: str, has_failed: bool) -> State:
    return {feature: 1.0, FAILED: 1.0} if has_failed else {feature: 1.0}


def of_now(items: Iterable[tuple[str, float]]) -> Iterator[Group]:
    """Yield the features of the present state, and of the parts of its entities' names, from the items of the state."""
    state = dict(items)
    yield "now", with_best_intent_only(state)
    entities = [name[len("entity_") :] for name in state if name.startswith("entity_")]
    if entities:
        yield "words now", _ones(word for name in entities for word in words_of(name))


def of_mentions(mentions: Sequence[Mention]) -> Iterator[Group]:
    """Yield the entities of the latest message."""
    if mentions:
        yield "value", _ones(f"{mention.entity}={mention.value}" for mention in mentions)
        yield "novelty", _ones(f"{mention.novelty} {mention.entity}" for mention in mentions)
    else:
        yield "now", _NO_ENTITIES


def of_slots(texts: Iterable[tuple[str, str | None]]) -> Iterator[Group]:
    """Yield the features for values of slots, from the result of `texts_of`."""
    yield "slot value", _ones(f"{name}={text}" for name, text in texts if text is not None)


def of_slots_set(slots_set: Iterable[tuple[str, str | None]]) -> Iterator[Group]:
    """Yield the slots that were set after the latest message or action, from their names and values as text."""
    pairs = list(slots_set)
    yield "slot set", _ones(name for name, _ in pairs)
    yield "slot set to", _ones(f"{name}={text}" for name, text in pairs if text is not None)


def of_loop(loop_and_slot: tuple[str | None, str | None]) -> Iterator[Group]:
    """Yield a loop of Rasa 3, such as a form, and the slot that it asks for."""
    loop, requested = loop_and_slot
    if loop is not None:
        yield "loop", _ones([loop, *([] if requested is None else [f"asks {requested}"])])


def texts_of(slots: Iterable[Slot]) -> tuple[tuple[str, str], ...]:
    """Return the name of each slot with a `feature_text`, and this text."""
    return tuple([(slot.name, text) for slot in slots if (text := slot.feature_text()) is not None])


def of_turn(actions: Sequence[str]) -> Iterator[Group]:
    """Yield the actions since the latest message."""
    yield "turn", _ones(actions)
    yield "words turn", _ones(word for name in actions for word in words_of(name))
    yield "length", _one(f"{min(len(actions), ACTIONS_COUNTED)} actions")


def of_message_before(message: tuple[str | None, Iterable[str]]) -> Iterator[Group]:
    """Yield the features of the message in the turn before: its intent, and the names of its entities."""
    intent, entities = message
    yield "intent before", _one(str(intent))
    yield "entity before", _ones(entities)


def of_actions_before(actions: Sequence[str]) -> Iterator[Group]:
    """Yield the features of the actions in the turn before."""
    yield "action before", _ones(actions)
    acted = [name for name in actions if name != ACTION_LISTEN_NAME]
    yield from zip(_ENDED, map(_one, reversed(acted)), strict=False)


def of_last_actions(actions: Sequence[str]) -> Iterator[Group]:
    """Yield the last actions other than listening, oldest first."""
    for number, action in enumerate(reversed(actions)):
        yield from of_last_action(number, action)


def of_last_action(number: int, action: str) -> Iterator[Group]:
    """Yield one of the last actions other than listening; number 0 is the latest."""
    yield f"said {number}", _one(action)
    if number < SAID_IN_WORDS:
        yield f"words said {number}", _ones(words_of(action))


def of_turns(turns: int) -> Iterator[Group]:
    """Yield the features for the number of turns."""
    yield "length", {f"{min(turns, TURNS_COUNTED)} turns": 1.0, "turns": math.log1p(turns)}


def of_length(length: int) -> Iterator[Group]:
    """Yield the feature for the number of actions."""
    yield "length", {"actions": math.log1p(length) / 2}


def _owner(value: tuple[str, str]) -> tuple[str, str]:
    """Return the block, and the entity or slot, of a value's feature."""
    return value[0], value[1].partition("=")[0]


def _ones(names: Iterable[str]) -> Mapping[str, float]:
    return dict.fromkeys(names, 1.0)


def _one(name: str) -> Mapping[str, float]:
    return {name: 1.0}


@lru_cache(maxsize=10_000)
def words_of(name: str) -> tuple[str, ...]:
    """Return the distinct parts of a name, such as ``utter``, ``ask`` and ``price`` of ``utter_ask_price``."""
    return tuple(dict.fromkeys(part for part in _NOT_A_WORD.split(name) if part))


def _numbered(names: Sequence[tuple[str, str]]) -> dict[str, dict[str, int]]:
    blocks: dict[str, dict[str, int]] = {}
    for index, (block, name) in enumerate(names):
        blocks.setdefault(block, {})[name] = index
    return blocks
