"""A bot with a few scripted turns, and a caller that runs its actions in code of its own."""

from __future__ import annotations

from typing import Any

from policy_bot import Script, remote_domain

from rasa_core.channels import UserMessage
from rasa_core.events import ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.interpreter import RegexInterpreter
from rasa_core.policies import PolicyEnsemble
from rasa_core.processor import MessageProcessor
from rasa_core.tracker_store import InMemoryTrackerStore, TrackerStore

FOLLOWING = {
    ("greet", "action_listen"): "utter_greet",
    ("greet", "utter_greet"): "utter_ask_cuisine",
    ("inform", "action_listen"): "action_search",
    ("inform", "action_search"): "utter_found",
    ("bye", "action_listen"): "utter_bye",
}


def make_processor(store: TrackerStore | None = None, **options: Any) -> MessageProcessor:
    domain = remote_domain()
    store = store if store is not None else InMemoryTrackerStore()
    store.bind(domain, 5, domain.fingerprint())
    return MessageProcessor(RegexInterpreter(), PolicyEnsemble([Script(FOLLOWING)]), domain, store, **options)


class Caller:
    """A caller of the protocol that also reads the store."""

    def __init__(self, processor: MessageProcessor, sender_id: str = "anna") -> None:
        self.processor = processor
        self.sender_id = sender_id

    def parse(self, text: str) -> dict[str, Any]:
        return self.processor.start_message_handling(UserMessage(text, None, self.sender_id))

    def next(self, action: str | None, *events: Event) -> dict[str, Any]:
        return self.processor.continue_message_handling(self.sender_id, action, events)

    def events(self) -> list[Event]:
        return list(self.processor.tracker_store.peek(self.sender_id).events)

    def log(self) -> list[str]:
        return [described(event) for event in self.events()]


def described(event: Event) -> str:
    if isinstance(event, UserUttered):
        return f"{event.text}"
    if isinstance(event, ActionExecuted):
        return event.action_name
    if isinstance(event, SlotSet):
        return f"{event.key}={event.value}"
    return event.type_name
