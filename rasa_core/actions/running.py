"""What forms and default actions stand on: other actions, and what was said."""

from __future__ import annotations

from typing import Any, Protocol

from rasa_core.events import BotUttered, Event


class RunsActions(Protocol):
    """What forms and default actions ask for other actions: a `rasa_core.actions.rasa_runner.RasaRunner`."""

    domain: Any

    def run(self, action_name: str, dispatcher: Any, tracker: Any) -> list[Event]: ...  # noqa: D102
    def run_custom(self, name: str, dispatcher: Any, tracker: Any) -> list[Event]: ...  # noqa: D102
    def say(self, response: str, dispatcher: Any, tracker: Any) -> list[Event]: ...  # noqa: D102
    def extract_slots(self, dispatcher: Any, tracker: Any) -> list[Event]: ...  # noqa: D102
    def filled(  # noqa: D102
        self, dispatcher: Any, tracker: Any, loop: Any
    ) -> list[Event]: ...


def take_said(dispatcher: Any) -> list[Event]:
    """Return what was said since the last call, as events."""
    said = [
        BotUttered(message.text, message.data, metadata=message.metadata) for message in dispatcher.latest_bot_messages
    ]
    dispatcher.latest_bot_messages = []
    return list(said)
