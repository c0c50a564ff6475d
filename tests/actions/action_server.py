"""Actions for a real rasa-sdk, with which `test_webhook` runs them."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action
from rasa_sdk.events import AllSlotsReset, FollowupAction, SlotSet
from rasa_sdk.interfaces import ActionExecutionRejection


class LookAround(Action):  # type: ignore[misc]
    """An action that reports its arguments."""

    def name(self) -> str:
        return "action_look"

    def run(self, dispatcher: Any, tracker: Any, domain: Any) -> list[Any]:
        said = tracker.latest_message["text"]
        seen = f"{tracker.sender_id}|{tracker.get_slot('city')}|{tracker.get_intent_of_latest_message()}"
        dispatcher.utter_message(text=f"{said}|{seen}|{len(tracker.events)}|{tracker.latest_action_name}")
        dispatcher.utter_message(response="utter_city", mood="sunny")
        return [SlotSet("city", "Oslo")]


class SayAll(Action):  # type: ignore[misc]
    """An action whose message has every possible part."""

    def name(self) -> str:
        return "action_say_all"

    def run(self, dispatcher: Any, tracker: Any, domain: Any) -> list[Any]:
        dispatcher.utter_message(text="pick", buttons=[{"title": "yes", "payload": "/yes"}])
        dispatcher.utter_message(image="https://example.org/a.png")
        return [AllSlotsReset(), FollowupAction("utter_city")]


class Reject(Action):  # type: ignore[misc]
    """An action that rejects its execution."""

    def name(self) -> str:
        return "action_reject"

    def run(self, dispatcher: Any, tracker: Any, domain: Any) -> list[Any]:
        raise ActionExecutionRejection(self.name(), "not now")


class Fail(Action):  # type: ignore[misc]
    """An action that raises an error."""

    def name(self) -> str:
        return "action_fail"

    def run(self, dispatcher: Any, tracker: Any, domain: Any) -> list[Any]:
        raise RuntimeError("the database is away")
