"""Short functions that put something into a store."""

from __future__ import annotations

from rasa_core.events import ActionExecuted, BotUttered, Event, SlotSet, UserUttered
from rasa_core.tracker_store import EventLogStore, Head

LISTEN = ActionExecuted("action_listen")
HI = UserUttered("hi 😀 \x00", {"name": "greet", "confidence": 0.9}, [{"entity": "name", "value": "Ada"}])
TURN: list[Event] = [HI, SlotSet("name", "Ada"), ActionExecuted("utter_hi"), BotUttered("hi"), LISTEN]


def head(version: int, origin: int = 0, state: str = "{}", updated: float = 1.5) -> Head:
    return Head(version, origin, "model", updated, state)


def append(store: EventLogStore, sender_id: str, *rows: str) -> None:
    stored = store.read_head(sender_id)
    version = 0 if stored is None else stored.version
    store.commit(sender_id, version, rows, head(version + len(rows)))


def take_turn(store: EventLogStore, sender_id: str, *events: Event) -> None:
    """Store some events, by default the events of `TURN`, as a turn does."""
    with store.conversation(sender_id) as conversation:
        for event in events or TURN:
            conversation.tracker.update(event)
        conversation.commit()
