"""Turns on the conversations of a store: opens one, takes the turn, commits it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.events import Event, ReminderScheduled, UserUttered
from rasa_core.exceptions import VersionConflictError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.turn import (
    INFO_LISTENING,
    INFO_NO_MESSAGE,
    INFO_PAUSED,
    INFO_REPEATED,
    Preprocessor,
    State,
    TurnProcessor,
)

if TYPE_CHECKING:
    from rasa_core.channels.channel import InputChannel
    from rasa_core.domain import Domain
    from rasa_core.policies.ensemble import PolicyEnsemble
    from rasa_core.tracker_store.base import TrackerStore
    from rasa_core.tracker_store.conversation import Conversation
    from rasa_core.trackers import DialogueStateTracker

__all__ = [
    "INFO_LISTENING",
    "INFO_NO_MESSAGE",
    "INFO_PAUSED",
    "INFO_REPEATED",
    "MessageProcessor",
    "Preprocessor",
    "TurnProcessor",
]

T = TypeVar("T")

CONFLICT_WAITS = (0.01, 0.02, 0.04, 0.08)
"""How long to wait before a turn is taken again, in seconds."""


class MessageProcessor(TurnProcessor):
    """Takes turns on the conversations of a store.

    Parameters are those of `TurnProcessor`, and ``tracker_store``. Where a commit meets another version than
    the one that was read, the turn is taken again from a fresh read; `handle_message` alone raises
    `VersionConflictError` then, because its actions have run.
    """

    def __init__(
        self,
        interpreter: NaturalLanguageInterpreter,
        policy_ensemble: PolicyEnsemble,
        domain: Domain,
        tracker_store: TrackerStore,
        max_number_of_predictions: int = 10,
        message_preprocessor: Preprocessor | None = None,
        on_circuit_break: Callable[..., object] | None = None,
    ) -> None:
        super().__init__(
            interpreter,
            policy_ensemble,
            domain,
            max_number_of_predictions,
            message_preprocessor,
            on_circuit_break,
        )
        self.tracker_store = tracker_store

    def start_message_handling(self, message: UserMessage) -> State:
        """Take in a message, and return what the caller is to do next."""
        return self._in_conversation(
            message.sender_id, lambda found: self.start_turn(found.tracker, message.text or "")
        )

    def continue_message_handling(self, sender_id: str, executed_action: str | None, events: Iterable[Event]) -> State:
        """Take in what the caller did, and return what it is to do next."""
        events = list(events)
        return self._in_conversation(
            sender_id, lambda found: self.continue_turn(found.tracker, executed_action, events)
        )

    def handle_message(self, message: UserMessage) -> list[dict[str, Any]] | None:
        """Take in a message and run actions until the bot listens.

        Returns
        -------
        list of dict, or None
            What was said, if the message came with a `CollectingOutputChannel` or none; None otherwise.
        """
        channel = message.output_channel or CollectingOutputChannel()
        message = UserMessage(message.text, channel, message.sender_id)
        with self.tracker_store.conversation(message.sender_id) as conversation:
            self.run_turn(conversation.tracker, message, conversation.commit)
            conversation.commit()
        return channel.messages if isinstance(channel, CollectingOutputChannel) else None

    def append_events(self, sender_id: str, events: Iterable[Event]) -> DialogueStateTracker:
        """Append events to a conversation, without a prediction, and return its tracker."""
        events = list(events)
        self.check(None, events)

        def append(conversation: Conversation) -> DialogueStateTracker:
            for event in events:
                conversation.tracker.update(event)
            return conversation.tracker

        return self._in_conversation(sender_id, append)

    def replace_events(self, sender_id: str, events: Iterable[Event]) -> DialogueStateTracker:
        """Replace a conversation by events, and return its tracker."""
        events = list(events)
        self.check(None, events)

        def replace(conversation: Conversation) -> DialogueStateTracker:
            conversation.replace(events)
            return conversation.tracker

        return self._in_conversation(sender_id, replace)

    def handle_reminder(self, reminder: ReminderScheduled, message: UserMessage) -> None:
        """Run the action of a reminder, and what follows it, unless it was cancelled."""
        with self.tracker_store.conversation(message.sender_id) as conversation:
            tracker = conversation.tracker
            if _is_cancelled(reminder, tracker):
                return
            dispatcher = self.dispatcher_for(message)
            self.run_action(self.domain.action_for_name(reminder.action_name), tracker, dispatcher)
            conversation.commit()
            self.run_until_listening(tracker, dispatcher, conversation.commit)
            conversation.commit()

    def handle_channel(self, input_channel: InputChannel) -> None:
        """Handle the messages of a channel until it ends."""
        input_channel.start_sync_listening(self.handle_message)

    def _in_conversation(self, sender_id: str, turn: Callable[[Conversation], T]) -> T:
        for wait in CONFLICT_WAITS:
            try:
                return self._take(sender_id, turn)
            except VersionConflictError:
                time.sleep(wait)
        return self._take(sender_id, turn)

    def _take(self, sender_id: str, turn: Callable[[Conversation], T]) -> T:
        with self.tracker_store.conversation(sender_id) as conversation:
            result = turn(conversation)
            conversation.commit()
            return result


def _is_cancelled(reminder: ReminderScheduled, tracker: DialogueStateTracker) -> bool:
    found = False
    for event in tracker.events_after_latest_restart():
        if isinstance(event, ReminderScheduled) and event.name == reminder.name:
            found = True
        elif isinstance(event, UserUttered) and reminder.kill_on_user_message:
            found = False
    return not found
