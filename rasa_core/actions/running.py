"""Common parts of forms and default actions: running other actions, logging them, and taking their messages."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, BotUttered, Event, FollowupAction, Restarted, SlotSet
from rasa_core.exceptions import RasaCoreError, RemoteActionError


class RunsActions(Protocol):
    """The runner that forms and default actions use: a `rasa_core.actions.rasa_runner.RasaRunner`."""

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
    def taken(  # noqa: D102
        self, form: Any, tracker: Any, requested: str | None, *, begins: bool
    ) -> dict[str, Any]: ...


class NotValidatedError(RasaCoreError):
    """The caller has to validate the answer to a form first.

    Attributes
    ----------
    values : dict
        The values to validate, by slot.
    """

    def __init__(self, form: str, candidates: Sequence[Event]) -> None:
        super().__init__(f"the answer to {form!r} is to be validated first.")
        self.values = {event.key: event.value for event in candidates if isinstance(event, SlotSet)}


def log_failure(logger: logging.Logger, action_name: str, sender_id: str, error: Exception) -> None:
    """Log that an action failed, with its traceback; for an error of an action server, only its text."""
    if isinstance(error, RemoteActionError):
        logger.error("the action %r failed in conversation %r: %s", action_name, sender_id, error)
    else:
        logger.error("the action %r failed in conversation %r.", action_name, sender_id, exc_info=error)


def with_unnamed(answered: Sequence[Event], found: Iterable[SlotSet]) -> list[Event]:
    """Return the events of a validation, and the `found` slots that it does not mention.

    rasa-sdk returns only slots for which it has a validation method; other slots keep their values.
    """
    named = {event.key for event in answered if isinstance(event, SlotSet)}
    return [*answered, *(event for event in found if event.key not in named)]


def log_executed(tracker: Any, executed: ActionExecuted, version: int) -> None:
    """Log an action that began when the tracker had this version.

    If the action itself fixed the next action, with ``tracker.trigger_follow_up_action`` or by a restart, that action
    stays fixed: its event is before the action in the log, so logging the action would otherwise use it up.
    """
    fixed = None
    if tracker.version != version:
        new = tracker.pending_events[version - tracker.version :]
        if any(isinstance(event, FollowupAction | Restarted) for event in new):
            fixed = ACTION_LISTEN_NAME if tracker.must_listen else tracker.follow_up_action
    tracker.take(executed)
    if fixed is not None:
        tracker.take(FollowupAction(fixed))


def take_said(dispatcher: Any) -> list[Event]:
    """Return the messages since the last call, as events."""
    said = [
        BotUttered(message.text, message.data, metadata=message.metadata) for message in dispatcher.latest_bot_messages
    ]
    dispatcher.latest_bot_messages = []
    return list(said)
