"""What forms and default actions stand on: other actions, and what was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rasa_core.events import BotUttered, Event, SlotSet
from rasa_core.exceptions import RasaCoreError


class RunsActions(Protocol):
    """What forms and default actions ask for other actions: a `rasa_core.actions.rasa_runner.RasaRunner`."""

    domain: Any

    def run(self, action_name: str, dispatcher: Any, tracker: Any) -> list[Event]: ...  # noqa: D102
    def run_custom(self, name: str, dispatcher: Any, tracker: Any) -> list[Event]: ...  # noqa: D102
    def validated(  # noqa: D102
        self, form: str, candidates: Any, dispatcher: Any, tracker: Any
    ) -> list[Event]: ...
    def say(self, response: str, dispatcher: Any, tracker: Any) -> list[Event]: ...  # noqa: D102
    def extract_slots(self, dispatcher: Any, tracker: Any) -> list[Event]: ...  # noqa: D102
    def filled(  # noqa: D102
        self, dispatcher: Any, tracker: Any, loop: Any
    ) -> list[Event]: ...


class NotValidatedError(RasaCoreError):
    """The caller has to validate the answer to a form first.

    Attributes
    ----------
    values : dict
        What there is to be validated, by slot.
    """

    def __init__(self, form: str, candidates: Sequence[Event]) -> None:
        super().__init__(f"the answer to {form!r} is to be validated first.")
        self.values = {event.key: event.value for event in candidates if isinstance(event, SlotSet)}


def take_said(dispatcher: Any) -> list[Event]:
    """Return what was said since the last call, as events."""
    said = [
        BotUttered(message.text, message.data, metadata=message.metadata) for message in dispatcher.latest_bot_messages
    ]
    dispatcher.latest_bot_messages = []
    return list(said)
