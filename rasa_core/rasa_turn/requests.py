"""Requests to a Rasa 3 bot other than user messages: events, intents, reminders and single actions.

Each begins a session if one is due, as a message does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, cast

from rasa_core.channels.channel import UserMessage
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import Event, ReminderScheduled, UserUttered
from rasa_core.events.rasa3 import entities_in
from rasa_core.policies.policy import Prediction
from rasa_core.trackers import DialogueStateTracker

State = dict[str, Any]


class RasaRequests:
    """Changes of conversations, in front of `RasaTurns` and a `MessageProcessor`, which has the types of results."""

    domain: Domain
    begin_session: Any
    dispatcher_for: Any
    hear: Any
    take_in: Any
    run_action: Any
    run_until_listening: Any
    runner: Any
    change: Any
    _converse: Any
    _once: Any

    def check_log(self, events: Iterable[Event]) -> None:
        """Accept slots and actions that the domain does not have, as Rasa does; they have no effect."""

    def append_events(self, sender_id: str, events: Iterable[Event], conditions: Any = None) -> Any:
        """Append events to a conversation, after a session if it is new, and return its state."""
        events = list(events)

        def append(conversation: Any) -> State:
            tracker: DialogueStateTracker = conversation.tracker
            if not tracker.has_begun:
                self.begin_session(tracker, self.dispatcher_for(UserMessage(None, None, sender_id)))
            for event in events:
                tracker.update(event)
            return tracker.current_state()

        return self.change(sender_id, append, conditions)

    def append_message(self, sender_id: str, message: UserUttered, conditions: Any = None) -> Any:
        """Append an interpreted message, with the session and the slots that it brings, and return the state."""
        message = cast(UserUttered, message.storable())

        def append(conversation: Any) -> State:
            known: dict[str, Any] = {"input_channel": message.input_channel, "metadata": message.metadata}
            said = UserMessage(message.text, None, sender_id, **known, parse_data=dict(message.parse_data))
            self.hear(conversation.tracker, said, self.dispatcher_for(said))
            state: State = conversation.tracker.current_state()
            return state

        return self.change(sender_id, append, conditions)

    def trigger_intent(
        self,
        message: UserMessage,
        intent: str,
        entities: object = None,
        conditions: Any = None,
    ) -> Any:
        """Run a turn as if the user had sent this intent, and return the state and the messages."""

        def act(tracker: DialogueStateTracker, message: UserMessage, commit: Callable[[], object]) -> None:
            self._act_on_intent(tracker, message, commit, intent, entities)

        return self._converse(message, act, conditions, with_state=True)

    def _act_on_intent(
        self,
        tracker: DialogueStateTracker,
        message: UserMessage,
        commit: Callable[[], object],
        intent: str,
        entities: object,
    ) -> None:
        text = f"EXTERNAL: {intent}"
        external = UserMessage(
            text,
            message.output_channel,
            message.sender_id,
            input_channel=message.input_channel or tracker.latest_input_channel,
            metadata={"is_external": True},
            parse_data={"intent": {"name": intent}, "entities": entities_in(entities), "text": text},
        )
        dispatcher = self.dispatcher_for(external)
        self.begin_session(tracker, dispatcher)
        self.take_in(tracker, external, dispatcher)
        self.run_until_listening(tracker, dispatcher, commit)

    def handle_reminder(self, reminder_event: ReminderScheduled, dispatcher: Dispatcher) -> None:
        """Run a turn as if the user had sent the intent of a reminder, once, if it was not cancelled or replaced."""
        intent, told = reminder_event.intent, reminder_event.as_dict()
        if intent is None:
            super().handle_reminder(reminder_event, dispatcher)  # type: ignore[misc]
            return
        # The event itself is the key of the turn: whichever process comes second finds it done.
        key = hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()

        def act(tracker: DialogueStateTracker, message: UserMessage, commit: Callable[[], object]) -> None:
            if tracker.history.reminders.get(reminder_event.name) == told:
                self._act_on_intent(tracker, message, commit, intent, reminder_event.entities)

        message = UserMessage(None, dispatcher.output_channel, dispatcher.sender_id)
        self._converse(message, act, self._once(f"reminder-{key}"))

    def foresee_session(self, tracker: DialogueStateTracker) -> None:
        """Begin a session if one is due, in a tracker that is not stored, without running custom actions."""
        self.begin_session(tracker, self.dispatcher_for(UserMessage(None, None, "")), None, self.runner.for_caller())

    def execute(
        self,
        message: UserMessage,
        action_name: str,
        policy: str | None = None,
        confidence: float | None = None,
        conditions: Any = None,
    ) -> Any:
        """Run one action, whatever the policies predict, and return the state and the messages."""
        self.domain.index_for_action(action_name)
        chosen = Prediction(action_name, confidence or 0.0, policy, {})

        def act(tracker: DialogueStateTracker, message: UserMessage, commit: Callable[[], object]) -> None:
            dispatcher = self.dispatcher_for(message)
            self.begin_session(tracker, dispatcher)
            commit()
            self.run_action(action_name, tracker, dispatcher, chosen, is_predicted=False)

        return self._converse(message, act, conditions, with_state=True)
