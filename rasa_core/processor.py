"""The processor takes turns on stored conversations: it opens a conversation, takes the turn, and commits it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from rasa_core.actions.nlg import NlgServer
from rasa_core.actions.rasa_runner import RasaRunner
from rasa_core.actions.runner import runner_for
from rasa_core.actions.webhook import ActionServer
from rasa_core.channels.channel import InputChannel, UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.compat.processors import StepsOfOld
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import Event, ReminderScheduled, UserUttered
from rasa_core.exceptions import VersionConflictError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.policies.policy import Prediction
from rasa_core.rasa_turn import RasaTurns
from rasa_core.rasa_turn.caller import CallerTurns
from rasa_core.rasa_turn.requests import RasaRequests
from rasa_core.support.strict_json import independent
from rasa_core.tracker_store.base import Conversation, StoredAnswer, TrackerStore
from rasa_core.tracker_store.idempotency import IdempotentRequest, RequestConditions, RequestResult
from rasa_core.trackers import DialogueStateTracker
from rasa_core.turn import (
    INFO_LISTENING,
    INFO_NO_MESSAGE,
    INFO_PAUSED,
    INFO_REPEATED,
    Preprocessor,
    State,
    TurnProcessor,
)

__all__ = [
    "INFO_LISTENING",
    "INFO_NO_MESSAGE",
    "INFO_PAUSED",
    "INFO_REPEATED",
    "MessageProcessor",
    "Preprocessor",
    "RasaProcessor",
    "TurnProcessor",
]

# Version conflicts are rare, since each writer holds a lock. They occur if other software writes to the store, or if
# the lease of a lock has expired.
CONFLICT_WAITS = (0.01, 0.02, 0.04, 0.08)
"""Seconds to wait before each retry of a turn whose commit met a version conflict."""


class MessageProcessor(StepsOfOld, TurnProcessor):
    """Takes turns on the conversations of a store.

    Parameters are those of `TurnProcessor`, and ``tracker_store``. Actions run on the action `server`, if it is given,
    or else where the domain says. If somebody else has changed the conversation before a commit, the turn is repeated
    on the changed conversation, unless actions have run in this process: then `VersionConflictError` is raised.

    The methods that return a `RequestResult` take `RequestConditions`: a request with an idempotency key is carried out
    once. A result must not be changed by the caller, since parts of it may belong to a tracker that is used again.
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
        server: ActionServer | None = None,
    ) -> None:
        super().__init__(
            interpreter,
            policy_ensemble,
            domain,
            runner_for(domain, server),
            max_number_of_predictions,
            message_preprocessor,
            on_circuit_break,
        )
        self.tracker_store = tracker_store
        self.on_commit: Callable[[DialogueStateTracker], object] = _nothing

    # -- as they were always called

    def start_message_handling(self, message: UserMessage) -> State:
        """Log a user's message, and return the caller's next action and the state of the conversation."""
        # A copy, since callers in Python may change the result. The server writes it out at once and needs no copy.
        state: State = independent(self.parse(message).result)
        return state

    def continue_message_handling(
        self, sender_id: str, executed_action: str | None, events: Iterable[Event], error: str | None = None
    ) -> State:
        """Log an action that the caller ran, and return its next action and the state of the conversation."""
        state: State = independent(self.continue_(sender_id, executed_action, events, error=error).result)
        return state

    def handle_message(self, message: UserMessage) -> list[dict[str, Any]] | None:
        """Log a user's message and run actions until the bot listens; return the same messages as `respond`."""
        messages: list[dict[str, Any]] | None = self.respond(message).result
        return messages

    # -- changes

    def parse(self, message: UserMessage, conditions: RequestConditions | None = None) -> RequestResult:
        """Log a user's message; the result is the caller's next action and the state of the conversation."""

        def take(conversation: Conversation) -> State:
            return self.start_turn(conversation.tracker, message.text or "")

        return self.change(message.sender_id, take, conditions)

    def continue_(
        self,
        sender_id: str,
        executed_action: str | None,
        events: Iterable[Event],
        conditions: RequestConditions | None = None,
        error: str | None = None,
    ) -> RequestResult:
        """Log an action that the caller ran, with its `error` if it failed; the result is the caller's next action."""
        events = list(events)

        def take(conversation: Conversation) -> State:
            if events:
                _begin_by(conversation, events)
            return self.continue_turn(conversation.tracker, executed_action, events, error)

        return self.change(sender_id, take, conditions)

    def check_log(self, events: Iterable[Event]) -> None:
        """Raise the errors of `check` for events that a client appends without an action."""
        self.check(None, events)

    def append_events(
        self, sender_id: str, events: Iterable[Event], conditions: RequestConditions | None = None
    ) -> RequestResult:
        """Append events to a conversation, without a prediction; the result is its state."""
        events = list(events)
        self.check_log(events)

        def append(conversation: Conversation) -> State:
            _begin_by(conversation, events)
            for event in events:
                conversation.tracker.update(event)
            return conversation.tracker.current_state()

        return self.change(sender_id, append, conditions)

    def append_message(
        self, sender_id: str, message: UserUttered, conditions: RequestConditions | None = None
    ) -> RequestResult:
        """Append a message that has been interpreted, without a prediction; the result is the conversation's state."""
        # Checked before the conversation is opened, so that an invalid message is refused without waiting for a lock.
        message = cast(UserUttered, message.storable())

        def append(conversation: Conversation) -> State:
            _begin_by(conversation, [message])
            self.take_message(conversation.tracker, message)
            return conversation.tracker.current_state()

        return self.change(sender_id, append, conditions)

    def replace_events(
        self, sender_id: str, events: Iterable[Event], conditions: RequestConditions | None = None
    ) -> RequestResult:
        """Replace all events of a conversation; the result is its state, with the events since the latest restart."""
        events = list(events)
        self.check_log(events)

        def replace(conversation: Conversation) -> State:
            conversation.replace(events)
            # Clients of Rasa 3 get all events: for them the start of a session, which is like a restart, hides nothing.
            return conversation.tracker.current_state(True, only_events_after_latest_restart=self.domain.rasa is None)

        return self.change(sender_id, replace, conditions)

    def respond(self, message: UserMessage, conditions: RequestConditions | None = None) -> RequestResult:
        """Log a user's message and run actions in this process until the bot listens; holds the conversation's lock.

        The events are stored before and after each custom action. If a request with an idempotency key was interrupted
        and is sent again, the turn goes on after the events that were stored last: messages that were sent are not sent
        again, and only the action that was running when it was interrupted runs a second time.

        Returns
        -------
        RequestResult
            The result is the list of the bot's messages, if `message` has a `CollectingOutputChannel` or no output
            channel, and None otherwise.
        """
        return self._converse(message, self.run_turn, conditions)

    def act(
        self,
        message: UserMessage,
        take: Callable[[DialogueStateTracker, Dispatcher], object],
        conditions: RequestConditions | None = None,
    ) -> RequestResult:
        """Let `take` change a conversation and send messages; the result is the state and the bot's messages."""
        return self._converse(
            message,
            lambda tracker, message, commit: take(tracker, self.dispatcher_for(message)),
            conditions,
            with_state=True,
        )

    def _converse(
        self,
        message: UserMessage,
        act: Callable[..., object],
        conditions: RequestConditions | None,
        *,
        with_state: bool = False,
    ) -> RequestResult:
        """Let `act` run actions, as `respond` does; `with_state` adds the conversation's state to the result."""
        channel = message.output_channel or CollectingOutputChannel()
        if channel is not message.output_channel:
            message = message.to(channel)
        said = channel.messages if isinstance(channel, CollectingOutputChannel) else None
        with self.tracker_store.conversation(message.sender_id or UserMessage.DEFAULT_SENDER_ID) as conversation:
            exchange = IdempotentRequest(conversation, conditions)
            repeated = exchange.repeated()
            if repeated is not None:
                return repeated
            tracker = conversation.tracker

            def commit() -> None:
                exchange.commit(said, complete=False)
                if isinstance(channel, CollectingOutputChannel):
                    channel.stored()

            if exchange.earlier is None:
                act(tracker, message, commit)
            else:
                self._take_up(exchange.earlier, tracker, message, said, commit)
            result: Any = said
            if with_state:
                result = {"tracker": tracker.current_state(should_include_events=True), "messages": said}
            answered = exchange.commit(result)
            self.on_commit(tracker)
            # If custom actions get trackers, one of them may still hold this tracker, and it must not be used again.
            if not self.runner.shows_trackers:
                conversation.keep_tracker()
            return answered

    def _take_up(
        self,
        earlier: StoredAnswer,
        tracker: DialogueStateTracker,
        message: UserMessage,
        said: list[dict[str, Any]] | None,
        commit: Callable[[], object],
    ) -> None:
        """Go on with a turn that was interrupted, unless the conversation has been continued since."""
        if said is not None:
            # Put first the messages that were sent before the interruption, so that the answer has all of the turn.
            said[:0] = json.loads(earlier.text) or []
        if earlier.version == tracker.version:
            self.run_until_listening(tracker, self.dispatcher_for(message), commit)

    # -- step by step

    def next_prediction(self, tracker: DialogueStateTracker) -> Prediction:
        """Return the next prediction; for Rasa 3 this may be a part of an action that the caller has to run first."""
        return self.predict(tracker)

    def take_step(self, tracker: DialogueStateTracker, prediction: Prediction, dispatcher: Dispatcher) -> None:
        """Run one action in this process; other actions of the bot may be left to the caller."""
        self.run_action(prediction.action, tracker, dispatcher, prediction)

    def handle_reminder(self, reminder_event: ReminderScheduled, dispatcher: Dispatcher) -> None:
        """Run the action of a reminder and the actions after it, unless the reminder was cancelled.

        As in 0.9, an empty user message is logged before the action.

        Parameters
        ----------
        reminder_event
            The event in the conversation's log. A reminder that no message cancels need not be in the log.
        dispatcher
            Holds the sender_id, and sends the bot's messages.
        """
        with self.tracker_store.conversation(dispatcher.sender_id) as conversation:
            tracker = conversation.tracker
            name = reminder_event.action_name
            if name is None or _is_cancelled(reminder_event, tracker):
                return
            # Otherwise policies would predict the actions after the reminder as if they answered the last message.
            tracker.take(UserUttered.empty())
            self.run_action(name, tracker, dispatcher)
            conversation.commit()
            self.run_until_listening(tracker, dispatcher, conversation.commit)
            conversation.commit()

    def handle_channel(self, input_channel: InputChannel) -> None:
        """Handle the messages of a channel until it ends."""
        input_channel.start_sync_listening(self.handle_message)

    # -- once

    @staticmethod
    def _once(key: str) -> RequestConditions:
        return RequestConditions(key, key)

    def change(
        self, sender_id: str, change: Callable[[Conversation], State], conditions: RequestConditions | None = None
    ) -> RequestResult:
        """Apply `change` to a conversation and commit it, once for each idempotency key.

        After a version conflict, `change` is called again on the changed conversation.
        """
        sender_id = sender_id or UserMessage.DEFAULT_SENDER_ID
        for wait in CONFLICT_WAITS:
            try:
                return self._try(sender_id, change, conditions)
            except VersionConflictError:
                time.sleep(wait)
        return self._try(sender_id, change, conditions)

    def _try(
        self, sender_id: str, change: Callable[[Conversation], State], conditions: RequestConditions | None
    ) -> RequestResult:
        with self.tracker_store.conversation(sender_id) as conversation:
            exchange = IdempotentRequest(conversation, conditions)
            repeated = exchange.repeated()
            if repeated is not None:
                return repeated
            answered = exchange.commit(change(conversation))
            self.on_commit(conversation.tracker)
            conversation.keep_tracker()
            return answered


def _nothing(tracker: DialogueStateTracker) -> None:
    pass


def _is_cancelled(reminder: ReminderScheduled, tracker: DialogueStateTracker) -> bool:
    """Tell whether a reminder of 0.9 was cancelled by a restart or, if it is cancelled by messages, by a message."""

    def is_it(event: Event) -> bool:
        return isinstance(event, ReminderScheduled) and event.name == reminder.name

    found = False
    for event in tracker.events_after_latest_restart():
        if is_it(event):
            found = True  # The reminder may have been set again after a message that had cancelled it.
        elif isinstance(event, UserUttered) and reminder.kill_on_user_message:
            found = False
    # A reminder that no message cancels may have been set elsewhere and then is in no log: it counts as still set.
    return not found and (reminder.kill_on_user_message or any(map(is_it, tracker.events)))


def _begin_by(conversation: Conversation, events: Sequence[Event]) -> None:
    """Date the start of a new conversation no later than its first events, whose timestamps may be in the past."""
    moments = [event.timestamp for event in events if isinstance(event, Event)]
    conversation.tracker.begin_by(min(moments, default=math.inf))


class RasaProcessor(RasaRequests, CallerTurns, RasaTurns, MessageProcessor):
    """Takes turns of a Rasa 3 bot on the conversations of a store; it has the parameters of `MessageProcessor`."""

    def __init__(
        self, *args: Any, server: ActionServer | None = None, nlg: NlgServer | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.nlg = nlg
        self.runner = RasaRunner(self.domain, server)
