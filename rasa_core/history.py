"""The history of a conversation: the features from which policies predict, updated with each event.

A *state* holds the features at the moment of a prediction: a mapping from feature name to value
(``intent_greet``, ``entity_name``, ``slot_cuisine_0``, ``prev_action_listen``). A history keeps the last
states in full and everything before them in summary, so its size does not grow with the conversation.
"""

from __future__ import annotations

import json
import zlib
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from operator import attrgetter
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeAlias

from rasa_core.events.base import ACTION_LISTEN_NAME, Event
from rasa_core.slots import Slot, short_text

State = dict[str, float]

# Limits on the summary in a history, so that a stored head stays small however long a turn or a message is. The network
# looks at the last four actions (`said 0` to `said 3` of `rasa_core.policies.features.history`).
TURN_ACTIONS_KEPT: Final = 10
LAST_ACTIONS_KEPT: Final = 4
MENTIONS_KEPT: Final = 20
SLOTS_KEPT: Final = 20
VALUE_LENGTH_KEPT: Final = 60

NEW, SAME, CHANGED = "new", "same", "changed"

FAILED: Final = "failed"
"""The feature of a state after an action that failed; the feature ``prev_...`` says which action it was."""

HEARD: Final = ""
"""Stands for a user message in a list of slots that were set (`History.fresh`); no slot has this name."""


class Understood(Protocol):
    """A user's message with its intent and entities: a `rasa_core.events.UserUttered`."""

    @property
    def intent(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def entities(self) -> list[dict[str, Any]]: ...  # noqa: D102
    @property
    def parse_data(self) -> dict[str, Any]: ...  # noqa: D102


class Mention(NamedTuple):
    """An entity of the latest message: its value as text, cut off, and whether the value is NEW, SAME or CHANGED."""

    entity: str
    value: str
    novelty: str


Seen: TypeAlias = tuple[int, int]
"""How often something occurred, and in which turn last. A plain tuple, since it is made for every action."""


class TurnSummary(NamedTuple):
    """What happened in a turn: the intent, the entities, and the last actions."""

    intent: str | None
    entities: list[str]
    actions: list[str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names that a history counts; with other names, such as misspelt intents, it would grow without bound."""

    intents: frozenset[str]
    entities: frozenset[str]
    actions: frozenset[str]
    intents_without_entities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RasaVocabulary(Vocabulary):
    """The names of a Rasa 3 domain.

    Attributes
    ----------
    entity_features : mapping of str to frozenset of str
        For each intent the entities (``city``, ``city#from``) that influence the predictions after it.
    loops : frozenset of str
        Names of the actions that are loops.
    slot_order : tuple of str
        Names of the slots in the order in which action servers get them.
    """

    entity_features: Mapping[str, frozenset[str]] = field(default_factory=dict)
    loops: frozenset[str] = frozenset()
    slot_order: tuple[str, ...] = ()

    def features_of(self, message: Understood) -> State:
        """Return the features of a message: its intent, and the names of its entities with roles and groups."""
        name = message.intent.get("name")
        labels: dict[str, None] = {}
        for entity in message.entities:
            own = str(entity["entity"])
            marks = [f"{own}#{entity[key]}" for key in ("role", "group") if entity.get(key)]
            labels.update(dict.fromkeys([own, *marks]))
        used = self.entity_features.get(str(name))
        state = {f"intent_{name}": 1.0} if name else {}
        state.update({f"entity_{label}": 1.0 for label in sorted(labels) if used is None or label in used})
        return state


_NEVER: Final[Seen] = (0, 0)
_COUNTED: Final = ("intents", "entities", "actions")
_SUMMARY: Final = (
    *(*_COUNTED, "fresh", "intent", "last_actions", "length", "mentions", "slots_set"),
    *("turn_actions", "turn_before", "turns", "values"),
)
"""The attributes that summarise the conversation, besides its last states."""
_summary_of: Final = attrgetter(*_SUMMARY)
_CHANGING: Final = (*_COUNTED, "values")
"""The attributes whose dictionaries are changed in place, so that a copy needs its own; others are replaced whole."""


class History:
    """The last states, and a summary of the whole conversation since its latest restart.

    Parameters
    ----------
    window
        How many states are kept; None for all.
    vocabulary
        The names that are counted; None for every name.

    Attributes
    ----------
    states : deque of State
        The states in which the last `window` actions were chosen, oldest first.
    length : int
        How many actions there were.
    turns : int
        How many messages the user sent.
    intents, entities, actions : dict of str to Seen
        For each intent, entity and action, how often it occurred and in which turn last.
    intent : str or None
        The intent of the latest message.
    mentions : list of Mention
        The entities of the latest message.
    turn_actions : list of str
        The last actions since the latest user message.
    turn_before : TurnSummary or None
        The turn before the present one.
    last_actions : list of str
        The last actions other than listening, oldest first.
    slots_set : dict of str to (str or None)
        The slots that were set after the latest message or action, each with its value if that is a `short_text`.
    fresh : list of str
        The slots that were set after the latest action, also to the value that they had, and `HEARD` if a message came.
    news : deque of list of str
        For each of the `states`, the content of `fresh` at that moment.
    values : dict of str to int
        For each entity the checksum of its latest value, which tells whether the next value is the same.
    """

    __slots__ = (*_SUMMARY, "news", "states", "vocabulary", "window")

    loops: Collection[str] | None = None
    """Names of the loops; None unless the bot is one of Rasa 3."""
    loop: Any = None
    """The active loop; None unless the bot is one of Rasa 3."""
    rejected: str | None = None
    """The action that has just refused to run; None unless the bot is one of Rasa 3."""
    parts: ClassVar[tuple[str, ...]] = (*_SUMMARY, "news", "states")
    """The names of the attributes in a snapshot, in order."""
    reminders: dict[str, Any]
    acting: dict[str, Any] | None
    due: list[str]
    validated: str | None

    def __init__(self, window: int | None = None, vocabulary: Vocabulary | None = None) -> None:
        self.window = window
        self.vocabulary = vocabulary
        self.clear()

    def go_on_with(self, reminders: dict[str, Any]) -> None:
        """After events were taken back, keep `reminders`, and let a rejected action be tried again; only for Rasa 3."""

    def clear(self) -> None:
        """Forget everything."""
        self.states: deque[State] = deque(maxlen=self.window)
        self.news: deque[list[str]] = deque(maxlen=self.window)
        self.fresh: list[str] = []
        self.length = 0
        self.turns = 0
        self.intents: dict[str, Seen] = {}
        self.entities: dict[str, Seen] = {}
        self.actions: dict[str, Seen] = {}
        self.intent: str | None = None
        self.mentions: list[Mention] = []
        self.turn_actions: list[str] = []
        self.turn_before: TurnSummary | None = None
        self.last_actions: list[str] = []
        self.slots_set: dict[str, str | None] = {}
        self.values: dict[str, int] = {}

    def record_message(self, message: Understood) -> None:
        """Record a user message."""
        entities = ((str(entity["entity"]), entity.get("value")) for entity in message.entities)
        self.record_user(message.intent.get("name"), entities)

    def record_other(self, event: Event, message: Understood | None = None) -> None:
        """Record an event that is no message, slot or action; only the history of Rasa 3 does something here."""

    def record_user(self, intent: str | None, entities: Iterable[tuple[str, Any]]) -> None:
        """Record a user message by its intent and the names and values of its entities."""
        known = self.vocabulary
        if HEARD not in self.fresh:
            self.fresh = [*self.fresh, HEARD]  # A new list, since copies and snapshots share the old one.
        if self.turns:
            named = list(dict.fromkeys(mention.entity for mention in self.mentions))
            self.turn_before = TurnSummary(self.intent, named, self.turn_actions)
        self.turns += 1
        self.turn_actions, self.slots_set = [], {}
        if known is not None and intent in known.intents_without_entities:
            entities = ()
        self.intent = intent if known is None or intent in known.intents else None
        if self.intent is not None:
            self._see(self.intents, self.intent)
        self._mention([one for one in entities if known is None or one[0] in known.entities])

    def _mention(self, entities: list[tuple[str, Any]]) -> None:
        # A value is compared with the values in earlier messages, not with a value earlier in this message.
        before, self.mentions = dict(self.values), []
        for entity, value in entities:
            # A checksum and not the value, so that the stored head has one number per entity, however long the values.
            text = _as_text(value)
            checksum = zlib.crc32(text.encode("utf-8", "surrogatepass"))
            last = before.get(entity)
            novelty = NEW if last is None else SAME if last == checksum else CHANGED
            self.values[entity] = checksum
            self.mentions.append(Mention(entity, text[:VALUE_LENGTH_KEPT], novelty))
        for entity in dict.fromkeys(entity for entity, _ in entities):
            self._see(self.entities, entity)
        self.mentions = self.mentions[:MENTIONS_KEPT]

    def record_slot(self, name: str, value: Any) -> None:
        """Record that a slot was set."""
        if name not in self.fresh:
            self.fresh = [*self.fresh, name]
        self.slots_set = dict([*self.slots_set.items(), (name, short_text(value))][-SLOTS_KEPT:])

    def _see(self, seen: dict[str, Seen], name: str) -> None:
        times, _ = seen.get(name, _NEVER)
        seen[name] = times + 1, self.turns

    def record_action(
        self, state: State, action_name: str, *, is_hidden: bool = False, is_followup: bool = False
    ) -> None:
        """Record an action that was executed in `state`.

        Parameters
        ----------
        is_hidden, is_followup
            Whether the turn is hidden from the other policies, and whether the action was a follow-up action. Only the
            history of Rasa 3 uses them.
        """
        known = self.vocabulary
        self.states.append(state)
        self.news.append(self.fresh)
        self.fresh = []
        self.length += 1
        if known is None or action_name in known.actions:
            self._see(self.actions, action_name)
        # A new list, since copies and snapshots share the old one.
        self.turn_actions = [*self.turn_actions, action_name][-TURN_ACTIONS_KEPT:]
        self.slots_set = {}
        if action_name != ACTION_LISTEN_NAME:
            self.last_actions = [*self.last_actions, action_name][-LAST_ACTIONS_KEPT:]

    def present_state(self, message: Understood, slots: Iterable[Slot], action_name: str | None) -> State:
        """Return the state for the latest message, the slots, and the action before."""
        return compute_state(message, slots, action_name, self.vocabulary)

    def recorded_states(self) -> Collection[State]:
        """Return the states that are kept, oldest first."""
        return self.states

    def visible(self, state: State, *, is_followup: bool = False) -> list[State]:
        """Return the present state as policies see it, as a list."""
        return [state]

    def slots_set_before(self, count: int) -> Sequence[Collection[str]]:
        """Return for each of the last `count` states the slots that were set since the state before; fewer if not kept.

        For Rasa 3, the slots map to 1.0 if they were set after the last action before the state, hidden actions
        included, else to 0.0.
        """
        return [*self.news, self.fresh][-count:]

    def reaches(self, count: int | None) -> bool:
        """Tell whether the last `count` states (None: all) are kept, or all states if there were fewer."""
        return len(self.states) == self.length or (count is not None and count <= len(self.states))

    def content(self) -> list[Any]:
        """Return the values of the attributes as data for JSON, in the order of `parts`."""
        found = [dict(part) if type(part) is dict else part for part in _summary_of(self)]
        return [*found, list(self.news), [_packed(state) for state in self.states]]

    def snapshot(self) -> dict[str, Any]:
        """Return the values of the attributes by name, as data for JSON."""
        return dict(zip(self.parts, self.content(), strict=True))

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Set the attributes to the values of a `snapshot`, which may have been written to JSON and read again."""
        for name in _SUMMARY:
            setattr(self, name, snapshot[name])
        self.news = deque(snapshot["news"], maxlen=self.window)
        self.states = deque(map(_unpacked, snapshot["states"]), maxlen=self.window)
        for name in _COUNTED:
            setattr(self, name, {one: (times, turn) for one, (times, turn) in snapshot[name].items()})
        self.mentions = [Mention(*mention) for mention in snapshot["mentions"]]
        before = snapshot["turn_before"]
        self.turn_before = None if before is None else TurnSummary(*before)
        self.values = dict(snapshot["values"])

    def copy(self) -> History:
        """Return an independent copy; the states themselves are never changed and are shared."""
        twin = History(self.window, self.vocabulary)
        twin._copy_from(self)
        return twin

    def _copy_from(self, other: History) -> None:
        for name in _SUMMARY:
            setattr(self, name, getattr(other, name))
        self.news = deque(other.news, maxlen=self.window)
        self.states = deque(other.states, maxlen=self.window)
        for name in _CHANGING:
            setattr(self, name, dict(getattr(other, name)))


def _as_text(value: Any) -> str:
    """Return a value as text, the same text for values that are equal in JSON, such as a tuple and a list."""
    return json.dumps(value, sort_keys=True, default=str) if isinstance(value, dict | list | tuple) else str(value)


def _packed(state: State) -> State | list[str]:
    """Return only the names of a state if every value is 1.0, as nearly always: it is shorter and quicker to read."""
    values = list(state.values())
    return list(state) if values.count(1.0) == len(values) else state


def _unpacked(packed: State | list[str]) -> State:
    return dict.fromkeys(packed, 1.0) if isinstance(packed, list) else packed


def compute_state(
    message: Understood, slots: Iterable[Slot], action_name: str | None, vocabulary: Vocabulary | None
) -> State:
    """Return the state for the latest user message, the slots, and the action before (`action_name`)."""
    state: State = {}
    # All intents of the ranking, as in 0.9; most policies reduce them to the best intent (`with_best_intent_only`).
    for intent in message.parse_data.get("intent_ranking") or [message.intent]:
        if intent.get("name"):
            confidence = intent.get("confidence")
            state[f"intent_{intent['name']}"] = 1.0 if confidence is None else float(confidence)
    if vocabulary is None or message.intent.get("name") not in vocabulary.intents_without_entities:
        for entity in message.entities:
            state[f"entity_{entity['entity']}"] = 1.0
    for slot in slots:
        if slot.value is not None:
            for index, feature in enumerate(slot.as_feature()):
                # A state leaves out every feature that is 0.
                if feature:
                    state[f"slot_{slot.name}_{index}"] = float(feature)
    if action_name is not None:
        state[f"prev_{action_name}"] = 1.0
    return state


def with_best_intent_only(state: State) -> State:
    """Return `state` with 1.0 for its most probable intent and without its other intents.

    Intents come first in a state of a tracker. Of equally probable intents the first is kept.
    """
    names = iter(state)
    first, second = next(names, ""), next(names, "")
    if second[:7] != "intent_" and (first[:7] != "intent_" or state[first] == 1.0):
        return state  # By far the most frequent case, at every prediction.
    intents = list(takewhile(lambda name: name.startswith("intent_"), state))
    kept = {max(intents, key=state.__getitem__): 1.0}
    kept.update(islice(state.items(), len(intents), None))
    return kept
