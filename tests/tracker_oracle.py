"""A slow and simple oracle of a conversation's state, and a minimal store, for tests.

`Oracle` takes the events that apply, one after another, from nothing. A tracker must agree with it after
every event, however often it was stored and fetched in between.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import strategies

from rasa_core.events import (
    ActionExecuted,
    ActionReverted,
    AllSlotsReset,
    BotUttered,
    ConversationPaused,
    ConversationResumed,
    Event,
    FollowupAction,
    Restarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.trackers import DialogueStateTracker

DOMAIN = strategies.small_domain()
INITIAL: dict[str, Any] = {
    "cuisine": None,
    "happy": True,
    "notes": {"seen": []},
    "people": 2,
    "price": None,
    "tags": ["old"],
}
LISTEN = ActionExecuted("action_listen")
REWIND, UNDO, RESTART = UserUtteranceReverted(), ActionReverted(), Restarted()


def said(intent: str, *entities: tuple[str, Any], stamp: float = 1.0) -> UserUttered:
    return UserUttered(
        intent,
        {"name": intent},
        [{"entity": name, "value": value} for name, value in entities],
        timestamp=stamp,
    )


def action(name: str) -> ActionExecuted:
    return ActionExecuted(name)


def tracker_of(*events: Event, window: int | None = None) -> DialogueStateTracker:
    return DialogueStateTracker.from_events("zoë", events, DOMAIN, window)


TURN = (LISTEN, said("greet"), action("utter_greet"))


# -- the oracle


@dataclass
class Oracle:
    """The state after `events`, computed from nothing."""

    events: Sequence[Event]

    def __post_init__(self) -> None:
        restarts = [index for index, event in enumerate(self.events) if isinstance(event, Restarted)]
        self.since_restart = list(self.events[restarts[-1] + 1 :] if restarts else self.events)
        self.restarted = bool(restarts)
        self.applied: list[Event] = []
        self.start_over()
        for event in self.since_restart:
            if isinstance(event, UserUtteranceReverted):
                self.applied = rewound(self.applied)
                self.start_over()
                self.listen_next()
            elif isinstance(event, ActionReverted):
                self.applied = undone(self.applied)
                self.start_over()
            else:
                self.applied = [*self.applied, event]
                self.take(event)

    def start_over(self) -> None:
        """Take from nothing what counts so far."""
        self.slots: dict[str, Any] = json.loads(json.dumps(INITIAL))
        self.message: dict[str, Any] = {"intent": {}, "entities": [], "text": None}
        self.bot: tuple[Any, Any] = (None, None)
        self.action: str | None = None
        self.failed = False
        self.follow_up: str | None = None
        self.must_listen = False
        self.paused = False
        self.states: list[dict[str, float]] = []
        self.counts: dict[str, dict[str, tuple[int, int]]] = {"intents": {}, "entities": {}, "actions": {}}
        self.said = 0
        if self.restarted:
            self.listen_next()
        for event in self.applied:
            self.take(event)

    def listen_next(self) -> None:
        self.must_listen = True
        self.follow_up = self.follow_up or "action_listen"

    def take(self, event: Event) -> None:
        if isinstance(event, UserUttered):
            self.take_message(event)
        elif isinstance(event, ActionExecuted):
            self.states.append(self.state())
            self.action, self.failed = event.action_name, event.error is not None
            outlives = self.must_listen and self.action == "action_listen" and self.follow_up != "action_listen"
            self.follow_up = self.follow_up if outlives else None
            self.must_listen = False
            self.count("actions", event.action_name, DOMAIN.action_names)
        elif isinstance(event, SlotSet):
            if event.key in self.slots:
                self.slots[event.key] = event.value
        elif isinstance(event, AllSlotsReset):
            self.slots = dict(INITIAL)
        elif isinstance(event, BotUttered):
            self.bot = (event.text, event.data)
        elif isinstance(event, FollowupAction):
            self.follow_up, self.must_listen = event.action_name, False
        elif isinstance(event, ConversationPaused | ConversationResumed):
            self.paused = isinstance(event, ConversationPaused)

    def take_message(self, event: UserUttered) -> None:
        self.message = event.parse_data
        self.must_listen = False
        self.said += 1
        if self.follow_up == "action_listen":
            self.follow_up = None
        intent = self.message["intent"].get("name")
        self.count("intents", intent, DOMAIN.intents)
        for name in {name for name, _ in self.known_entities(event)}:
            self.count("entities", name, DOMAIN.entities)

    def count(self, kind: str, name: str | None, known: Sequence[str]) -> None:
        if name in known:
            assert name is not None
            self.counts[kind][name] = self.counts[kind].get(name, (0, 0))[0] + 1, self.said

    def state(self) -> dict[str, float]:
        ranking = self.message.get("intent_ranking") or [self.message["intent"]]
        state = {f"intent_{one['name']}": one.get("confidence", 1.0) for one in ranking if one.get("name")}
        if self.message["intent"].get("name") != "chitchat":
            state |= {f"entity_{entity['entity']}": 1.0 for entity in self.message["entities"]}
        state |= {f"slot_{name}": value for name, value in slot_features(self.slots).items() if value}
        state |= {} if self.action is None else {f"prev_{self.action}": 1.0}
        return state | ({"failed": 1.0} if self.failed else {})

    @staticmethod
    def known_entities(message: UserUttered) -> list[tuple[str, str]]:
        """Return names and values, as text, of the entities that count."""
        if message.intent.get("name") == "chitchat":
            return []
        told = [(entity["entity"], as_text(entity["value"])) for entity in message.entities]
        return [(name, value) for name, value in told if name in DOMAIN.entities]

    @staticmethod
    def known_intent(message: UserUttered) -> str | None:
        name = message.intent.get("name")
        return name if name in DOMAIN.intents else None

    def turns(self) -> list[tuple[UserUttered, list[str]]]:
        """Return each message with the actions that followed it."""
        turns: list[tuple[UserUttered, list[str]]] = []
        for event in self.applied:
            if isinstance(event, UserUttered):
                turns.append((event, []))
            elif isinstance(event, ActionExecuted) and turns:
                turns[-1][1].append(event.action_name)
        return turns

    def summary(self) -> dict[str, Any]:
        """Return what a history knows beyond states and counts."""
        turns = self.turns()
        acted = [event.action_name for event in self.applied if isinstance(event, ActionExecuted)]
        mentioned = [self.known_entities(message) for message, _ in turns]
        before = None
        if len(turns) > 1:
            message, actions = turns[-2]
            entities = list(dict.fromkeys(name for name, _ in mentioned[-2]))
            before = (self.known_intent(message), entities, actions[-10:])
        return {
            "turns": len(turns),
            "intent": self.known_intent(turns[-1][0]) if turns else None,
            "mentions": [(name, value[:60], novelty(name, value, mentioned[:-1])) for name, value in mentioned[-1]]
            if turns
            else [],
            "turn_actions": (turns[-1][1] if turns else acted)[-10:],
            "turn_before": before,
            "last_actions": [name for name in acted if name != "action_listen"][-4:],
            "slots_set": self.slots_set(),
            "values": {name: zlib.crc32(value.encode()) for pairs in mentioned for name, value in pairs},
        }

    def slots_set(self) -> dict[str, str | None]:
        """Return the slots with features that were set after the latest message or action."""
        found: dict[str, str | None] = {}
        for event in self.applied:
            if isinstance(event, ActionExecuted | UserUttered):
                found = {}
            elif isinstance(event, SlotSet) and event.key in self.slots and event.key != "notes":
                is_short = isinstance(event.value, int | float | str) and len(str(event.value)) <= 60
                found[event.key] = str(event.value) if is_short else None
        return found

    def last_states(self, count: int | None) -> list[dict[str, float]]:
        states = [*self.states, self.state()]
        return states if count is None else states[len(states) - min(count, len(states)) :]


def last(events: list[Event], *kinds: type[Event]) -> int | None:
    """Return the index of the last event of some kinds."""
    return next((index for index in reversed(range(len(events))) if isinstance(events[index], kinds)), None)


def rewound(events: list[Event]) -> list[Event]:
    """Return the events without the last message, what followed it, and the listening before it."""
    events = events[: last(events, UserUttered)]
    listening = last(events, UserUttered, ActionExecuted)
    if listening is None or getattr(events[listening], "action_name", None) != LISTEN.action_name:
        return events
    return events[:listening] + events[listening + 1 :]


def undone(events: list[Event]) -> list[Event]:
    """Return the events without the last action and what followed it; only messages follow from listening."""
    index = last(events, ActionExecuted)
    if index is None:
        return events
    if getattr(events[index], "action_name", None) != LISTEN.action_name:  # One that has failed is listening, too.
        return events[:index]
    behind = events[index + 1 :]
    messages = [place for place, event in enumerate(behind) if isinstance(event, UserUttered)]
    return events[:index] + (behind[: messages[0]] if messages else behind)


def novelty(name: str, value: str, earlier: list[list[tuple[str, str]]]) -> str:
    """Tell how the value of an entity relates to the one it had last, in earlier messages."""
    values = [told for pairs in earlier for told_name, told in pairs if told_name == name]
    return "new" if not values else "same" if values[-1] == value else "changed"


def as_text(value: Any) -> str:
    return as_json(value) if isinstance(value, list | dict) else str(value)


def number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def slot_features(slots: dict[str, Any]) -> dict[str, float]:
    listed = isinstance(slots["tags"], list | str | dict) and len(slots["tags"]) > 0
    price = str(slots["price"]).lower()
    return {
        "cuisine_0": float(slots["cuisine"] is not None),
        "happy_0": float(number(slots["happy"]) != 0.0),
        "people_0": min(max(number(slots["people"]), 0.0), 8.0) / 8,
        "price_0": float(price == "low"),
        "price_1": float(price == "high"),
        "tags_0": float(listed),
    }


def check(tracker: DialogueStateTracker, oracle: Oracle) -> None:
    """Compare everything that can be asked without the log."""
    expected = {
        "sender_id": "zoë",
        "slots": oracle.slots,
        "latest_message": oracle.message,
        "latest_event_time": oracle.events[-1].timestamp if oracle.events else None,
        "paused": oracle.paused,
        "events": None,
    }
    assert as_json(tracker.current_state()) == as_json(expected)
    assert tracker.active_state() == oracle.state()
    assert tracker.follow_up_action == oracle.follow_up
    assert tracker.must_listen == oracle.must_listen
    assert (tracker.latest_action_name, tracker.latest_action_failed) == (oracle.action, oracle.failed)
    assert tracker.latest_message.parse_data == oracle.message
    assert tracker.is_paused() == oracle.paused
    assert (tracker.latest_bot_utterance.text, tracker.latest_bot_utterance.data) == oracle.bot
    history = tracker.history
    assert history.length == len(oracle.states)
    summary = oracle.summary()
    assert {name: getattr(history, name) for name in summary} == summary
    found = {"intents": history.intents, "entities": history.entities, "actions": history.actions}
    assert found == oracle.counts
    kept = len(oracle.states) if history.window is None else history.window
    for count in range(1, kept + 2):
        assert tracker.last_states(count) == oracle.last_states(count)


def as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


# -- a store as small as can be


class Log:
    """Keeps events as JSON, and trackers as snapshots; what stands before `origin` must not be read."""

    def __init__(self, window: int | None, origin: int = 0) -> None:
        self.window = window
        self.origin = origin
        self.rows: list[str] = ["not to be read"] * origin
        self.reads = 0

    def read(self, start: int, stop: int) -> list[Event]:
        assert self.origin <= start < stop <= len(self.rows)
        self.reads += 1
        return [Event.from_parameters(json.loads(row)) for row in self.rows[start:stop]]

    def keep(self, tracker: DialogueStateTracker) -> None:
        self.rows += [as_json(event.as_dict()) for event in tracker.pending_events]
        assert tracker.version == len(self.rows)

    def fetch(self, snapshot: dict[str, Any]) -> DialogueStateTracker:
        return DialogueStateTracker.from_snapshot(
            "zoë",
            DOMAIN,
            json.loads(as_json(snapshot)),
            version=len(self.rows),
            origin=self.origin,
            window=self.window,
            read_events=self.read,
        )

    def stored(self, tracker: DialogueStateTracker) -> DialogueStateTracker:
        self.keep(tracker)
        return self.fetch(tracker.snapshot())

    def started(self) -> DialogueStateTracker:
        return self.fetch(DialogueStateTracker.from_events("zoë", [], DOMAIN, self.window).snapshot())
