"""Turns on the conversations of a store: opens one, takes the turn, commits it."""

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

# Conflicts are rare, since a lock orders writers; they come from stores that other software writes to, or from a lease
# that has ended.
CONFLICT_WAITS = (0.01, 0.02, 0.04, 0.08)
"""How long to wait before a turn is taken again, in seconds."""


class MessageProcessor(StepsOfOld, TurnProcessor):
    """Takes turns on the conversations of a store.

    Parameters are those of `TurnProcessor`, and ``tracker_store``; the runner is that of the action `server`, or the
    one that the domain asks for. Where a commit meets another version than the one that was read, the turn is taken
    again from a fresh read, unless actions have run here meanwhile: then `VersionConflictError` is raised.

    The methods that return `RequestResult` take `RequestConditions`: a request with a key is carried out once. Results
    are to be read, not to be changed, since parts of them may belong to a tracker that is used again.
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
        """Take in a message, and return what the caller is to do next."""
        # Callers in Python may change what they get; over HTTP it is written out at once, and needs no copy.
        state: State = independent(self.parse(message).result)
        return state

    def continue_message_handling(
        self, sender_id: str, executed_action: str | None, events: Iterable[Event], error: str | None = None
    ) -> State:
        """Take in what the caller did, and return what it is to do next."""
        state: State = independent(self.continue_(sender_id, executed_action, events, error=error).result)
        return state

    def handle_message(self, message: UserMessage) -> list[dict[str, Any]] | None:
        """Take in a message and run actions until the bot listens; `respond` tells what is returned."""
        messages: list[dict[str, Any]] | None = self.respond(message).result
        return messages

    # -- changes

    def parse(self, message: UserMessage, conditions: RequestConditions | None = None) -> RequestResult:
        """Take in a message; the result is what the caller is to do next."""

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
        """Take in what the caller did, and why that failed if it did; the result is what it is to do next."""
        events = list(events)

        def take(conversation: Conversation) -> State:
            if events:
                _begin_by(conversation, events)
            return self.continue_turn(conversation.tracker, executed_action, events, error)

        return self.change(sender_id, take, conditions)

    def check_log(self, events: Iterable[Event]) -> None:
        """Raise as `check` does, for events that say what has happened elsewhere."""
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
        """Append a message that was understood, without a prediction; the result is the state."""
        # Checked before the conversation is opened: what cannot be stored is refused without waiting for a lock.
        message = cast(UserUttered, message.storable())

        def append(conversation: Conversation) -> State:
            _begin_by(conversation, [message])
            self.take_message(conversation.tracker, message)
            return conversation.tracker.current_state()

        return self.change(sender_id, append, conditions)

    def replace_events(
        self, sender_id: str, events: Iterable[Event], conditions: RequestConditions | None = None
    ) -> RequestResult:
        """Replace a conversation by events; the result is its state, with those after the latest restart."""
        events = list(events)
        self.check_log(events)

        def replace(conversation: Conversation) -> State:
            conversation.replace(events)
            # Of Rasa 3, all: a session, which begins like a restart, is none to those who read the log.
            return conversation.tracker.current_state(True, only_events_after_latest_restart=self.domain.rasa is None)

        return self.change(sender_id, replace, conditions)

    def respond(self, message: UserMessage, conditions: RequestConditions | None = None) -> RequestResult:
        """Take in a message and run actions here until the bot listens, while nobody else has the conversation.

        What has happened is stored before each action of the user's own starts, and after each one. A request
        with a key that was cut off is taken up where it was stored last: what was said is not said again, and
        only the action that was running then runs a second time.

        Returns
        -------
        RequestResult
            The result is the list of what was said, if the message came with a `CollectingOutputChannel` or
            with none, and None otherwise.
        """
        return self._converse(message, self.run_turn, conditions)

    def act(
        self,
        message: UserMessage,
        take: Callable[[DialogueStateTracker, Dispatcher], object],
        conditions: RequestConditions | None = None,
    ) -> RequestResult:
        """Let `take` change a conversation and say something; the result is the state, and what was said."""
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
        """Let `act` run actions, as `respond` does; with the state, the result has that and what was said."""
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
            # A runner that hands trackers to actions of the user's own cannot know who still holds one.
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
        """Go on with a turn that was cut off, unless the conversation has gone on without it."""
        if said is not None:
            # In front, as it was said first; the answer is whole, as if nothing had happened.
            said[:0] = json.loads(earlier.text) or []
        if earlier.version == tracker.version:
            self.run_until_listening(tracker, self.dispatcher_for(message), commit)

    # -- step by step

    def next_prediction(self, tracker: DialogueStateTracker) -> Prediction:
        """Return what comes next, which may also be a part of an action that a caller has to run first."""
        return self.predict(tracker)

    def take_step(self, tracker: DialogueStateTracker, prediction: Prediction, dispatcher: Dispatcher) -> None:
        """Run an action that runs here, also of a bot that leaves others to its caller."""
        self.run_action(prediction.action, tracker, dispatcher, prediction)

    def handle_reminder(self, reminder_event: ReminderScheduled, dispatcher: Dispatcher) -> None:
        """Run the action of a reminder, and what follows it, unless it was cancelled.

        An empty message of the user is logged before it, as in 0.9.

        Parameters
        ----------
        reminder_event
            As it stands in the conversation; one that no message cancels need not stand there.
        dispatcher
            Names the conversation, and says what the bot says.
        """
        with self.tracker_store.conversation(dispatcher.sender_id) as conversation:
            tracker = conversation.tracker
            name = reminder_event.action_name
            if name is None or _is_cancelled(reminder_event, tracker):
                return
            # Else policies would take what follows for an answer to the user's last message.
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
        """Change a conversation and commit that, once for a request with a key; `change` may be called again."""
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
    """Tell whether a reminder of 0.9 no longer stands: by a restart since it was set, or by a message."""

    def is_it(event: Event) -> bool:
        return isinstance(event, ReminderScheduled) and event.name == reminder.name

    found = False
    for event in tracker.events_after_latest_restart():
        if is_it(event):
            found = True  # Perhaps anew, after a message that had cancelled it.
        elif isinstance(event, UserUttered) and reminder.kill_on_user_message:
            found = False
    # One that no message cancels may have been set elsewhere, and stand in no log.
    return not found and (reminder.kill_on_user_message or any(map(is_it, tracker.events)))


def _begin_by(conversation: Conversation, events: Sequence[Event]) -> None:
    """Let a conversation that starts now begin no later than with its first events, which may be of the past."""
    moments = [event.timestamp for event in events if isinstance(event, Event)]
    conversation.tracker.begin_by(min(moments, default=math.inf))


class RasaProcessor(RasaRequests, CallerTurns, RasaTurns, MessageProcessor):
    """Takes turns of a Rasa 3 bot on the conversations of a store; parameters are those of `MessageProcessor`."""

    def __init__(
        self, *args: Any, server: ActionServer | None = None, nlg: NlgServer | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.nlg = nlg
        self.runner = RasaRunner(self.domain, server)
