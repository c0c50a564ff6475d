"""One turn of a conversation as pure logic: a message comes in, events and the next action come out.

`TurnProcessor` reads and updates the tracker that it is given. It uses no tracker store, and sends by a dispatcher.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from rasa_core.actions.running import log_executed, log_failure
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ACTION_RESTART_NAME,
    ActionExecuted,
    ActionReverted,
    BotUttered,
    Event,
    FollowupAction,
    Restarted,
    SlotSet,
    UserUttered,
)
from rasa_core.events.base import check_length_of
from rasa_core.exceptions import EventError, brief
from rasa_core.interpreter import NaturalLanguageInterpreter, RegexInterpreter, names_its_intent, parsed_by, signature
from rasa_core.policies.policy import Policy, Prediction, reason_of, surely_means
from rasa_core.slash_messages import INFO_LISTENING as INFO_LISTENING
from rasa_core.slash_messages import INFO_NO_MESSAGE as INFO_NO_MESSAGE
from rasa_core.slash_messages import INFO_PAUSED as INFO_PAUSED
from rasa_core.slash_messages import INFO_REPEATED as INFO_REPEATED
from rasa_core.slash_messages import info_about, joined, values_info
from rasa_core.support.own_code import call_either
from rasa_core.trackers import DialogueStateTracker, Expected

logger = logging.getLogger(__name__)

State = dict[str, Any]  # The state of a conversation in answers to callers.
Preprocessor = Callable[[str], str]

_LONGEST_PROBLEM = 1000


class Ensemble(Protocol):
    """The part of `PolicyEnsemble` that a turn uses: it chooses the next action."""

    @property
    def policies(self) -> Sequence[Policy]: ...  # noqa: D102
    @property
    def action_fingerprints(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def longest_history(self) -> int | None: ...  # noqa: D102
    @property
    def window(self) -> int: ...  # noqa: D102
    @property
    def fingerprint(self) -> str | None: ...  # noqa: D102
    def predict(self, tracker: DialogueStateTracker, domain: Domain) -> Prediction: ...  # noqa: D102


class Runner(Protocol):
    """The part of `ActionRunner` that a turn uses; the methods are documented there."""

    @property
    def runs_everything(self) -> bool: ...  # noqa: D102
    @property
    def shows_trackers(self) -> bool: ...  # noqa: D102
    def runs_here(self, action_name: str) -> bool: ...  # noqa: D102
    def check_runs_here(self, action_name: str) -> None: ...  # noqa: D102
    def has_effects(self, action_name: str) -> bool: ...  # noqa: D102
    def run(self, action_name: str, dispatcher: Dispatcher, tracker: DialogueStateTracker) -> list[Event]: ...  # noqa: D102
    def messages_of(self, action_name: str, tracker: DialogueStateTracker) -> list[dict[str, Any]]: ...  # noqa: D102


class TurnProcessor:
    """The logic of a turn. Safe to share between threads.

    Parameters
    ----------
    runner
        Runs the actions that run in this process or on an action server.
    max_number_of_predictions
        How many actions may run for one message, ``action_listen`` included.
    message_preprocessor
        Changes the text of a message before it is interpreted.
    on_circuit_break
        Called if so many actions ran without listening: with tracker and dispatcher, or tracker, channel, dispatcher.
    """

    def __init__(
        self,
        interpreter: NaturalLanguageInterpreter,
        policy_ensemble: Ensemble,
        domain: Domain,
        runner: Runner,
        max_number_of_predictions: int = 10,
        message_preprocessor: Preprocessor | None = None,
        on_circuit_break: Callable[..., object] | None = None,
    ) -> None:
        self.interpreter = interpreter
        self.policy_ensemble = policy_ensemble
        self.domain = domain
        self.max_number_of_predictions = max_number_of_predictions
        self.message_preprocessor = message_preprocessor
        self.on_circuit_break = on_circuit_break
        self.runner = runner
        self._intents = domain.vocabulary.intents | {domain.restart_intent}
        self._regex = RegexInterpreter(self._intents)
        self._warned: set[tuple[str, str]] = set()

    def understand(self, text: str) -> dict[str, Any]:
        """Return the parse of a text; a text that names its intent, as ``/intent{...}``, needs no interpreter.

        Raises
        ------
        InterpreterError
            If the interpreter's result is not a parse.
        """
        return self.understood(text)[0]

    def understood(self, text: str) -> tuple[dict[str, Any], str]:
        """Return the parse of a text, as `understand` does, and the name of its interpreter for the log."""
        if names_its_intent(text, self._intents):
            return self._regex.parse(text), signature(self._regex)
        return parsed_by(self.interpreter, text), signature(self.interpreter)

    def log_message(self, tracker: DialogueStateTracker, text: str) -> None:
        """Interpret a user's message, and append it and the slots that its entities set.

        If ``action_listen`` is not the latest action, as after a rewind or a restart, it is added before the message. A
        follow-up action that was set stays set.
        """
        if self.message_preprocessor is not None:
            text = self.message_preprocessor(text)
        parsed, by = self.understood(text)  # The text in `parsed` may differ from `text`, such as in its case.
        self.take_message(tracker, UserUttered(text, parse_data=parsed, interpreter=by))

    _hear_for_caller = log_message

    def take_message(self, tracker: DialogueStateTracker, message: UserUttered) -> None:
        """Append a message that has been interpreted, as `log_message` does; its values must be JSON data."""
        check_length_of(message.parse_data)
        if tracker.latest_action_name != ACTION_LISTEN_NAME:
            fixed = tracker.follow_up_action
            told = tracker.expected or Expected(ACTION_LISTEN_NAME)  # The bot listened, since a message came.
            tracker.take(told.executed(ACTION_LISTEN_NAME, moment=message.timestamp))
            if fixed not in (tracker.follow_up_action, ACTION_LISTEN_NAME):
                tracker.take(FollowupAction(fixed))
        tracker.take(message)
        for event in self.domain.slots_for_entities(message.entities):
            tracker.take(event)

    def predict(self, tracker: DialogueStateTracker) -> Prediction:
        """Return the next action: a follow-up action, a restart that the user asks for, or the policies' choice."""
        fixed = ACTION_LISTEN_NAME if tracker.must_listen else tracker.follow_up_action
        if fixed is not None and fixed in self.domain.action_indices:
            return self._certain(str(fixed))
        if self.wants_restart(tracker):
            return self._certain(ACTION_RESTART_NAME)
        return self.policy_ensemble.predict(tracker, self.domain)

    def _certain(self, action_name: str) -> Prediction:
        scores = dict.fromkeys(self.domain.action_names, 0.0) | {action_name: 1.0}
        return Prediction(action_name, 1.0, None, scores)

    def expected(self, prediction: Prediction | None, action_name: str) -> Expected:
        """Return the policy, confidence and model to log with an action; without `prediction`, no policy chose it."""
        if prediction is None:
            return Expected(action_name, model=self.policy_ensemble.fingerprint)
        sure = float(prediction.confidence)  # The confidence of a custom ensemble may be a NumPy float.
        return Expected(prediction.action, prediction.policy, sure, self.policy_ensemble.fingerprint)

    def is_silent(self, tracker: DialogueStateTracker) -> bool:
        """Tell whether the bot is paused and the user does not ask for a restart."""
        return tracker.is_paused() and not self.wants_restart(tracker)

    def wants_restart(self, tracker: DialogueStateTracker) -> bool:
        """Tell whether the user surely asks for a restart; an uncertain intent must not delete a conversation."""
        return surely_means(tracker.latest_message, self.domain.restart_intent, self.policy_ensemble.policies)

    def start_turn(self, tracker: DialogueStateTracker, text: str) -> State:
        """Log a user's message, and return the caller's next action and the state of the conversation."""
        self._hear_for_caller(tracker, text)
        info = info_about(tracker.latest_message, self.domain, tracker.slots)
        if self.is_silent(tracker):
            return self._answer(tracker, None, joined(INFO_PAUSED, info))
        return self._next_step(tracker, info)

    def continue_turn(
        self,
        tracker: DialogueStateTracker,
        executed_action: str | None,
        events: Iterable[Event],
        error: str | None = None,
    ) -> State:
        """Log an action that the caller ran, with its `error` if it failed, and return the caller's next action.

        Raises
        ------
        UnknownActionError, UnknownSlotError
            If the domain does not have the action, or a slot in `events`; the tracker is not changed then.
        """
        events = list(events)
        self.check(executed_action, events)
        if executed_action == ACTION_LISTEN_NAME:
            self._take_events(tracker, None, events)
            if tracker.must_listen:
                tracker.take(ActionExecuted(ACTION_LISTEN_NAME))
            return self._answer(tracker, None, joined(INFO_LISTENING, values_info(events, tracker.slots)))
        info = values_info(events, tracker.slots)
        if executed_action is not None:
            info = joined(self._info_about(tracker, executed_action), info)
        if error is not None:
            logger.warning("the action %r failed in %r: %.300s", executed_action, tracker.sender_id, error)
        self.take_report(tracker, executed_action, events, error and error[:_LONGEST_PROBLEM])
        return self._next_step(tracker, info)

    def take_report(
        self, tracker: DialogueStateTracker, action_name: str | None, events: list[Event], error: str | None
    ) -> None:
        """Append an action that the caller ran, with its `error` if it failed, and the events that it returned."""
        if action_name is not None:
            tracker.take((tracker.expected or self.expected(None, action_name)).executed(action_name, error))
        if action_name == ACTION_RESTART_NAME and not any(isinstance(event, Restarted) for event in events):
            events.append(Restarted())
        self._take_events(tracker, action_name, events)

    def check(self, executed_action: str | None, events: Iterable[Event]) -> None:
        """Raise `UnknownActionError` or `UnknownSlotError` if the domain lacks the action or a slot in `events`."""
        if executed_action is not None:
            self.domain.index_for_action(executed_action)
        for event in events:
            self.domain.check_event(event)

    def _info_about(self, tracker: DialogueStateTracker, executed_action: str) -> str | None:
        """Return a note to the caller if an action was reported that was not the next one."""
        if tracker.is_listening():
            return INFO_NO_MESSAGE
        if executed_action == tracker.latest_action_name and self.predict(tracker).action != executed_action:
            return INFO_REPEATED
        return None

    def _next_step(self, tracker: DialogueStateTracker, info: str | None = None) -> State:
        """Return the caller's next action and the state; for a paused bot the next action is to listen."""
        is_silent = self.is_silent(tracker)
        prediction = self._certain(ACTION_LISTEN_NAME) if is_silent else self.predict(tracker)
        expected = self.expected(prediction, prediction.action)
        if prediction.action != ACTION_LISTEN_NAME:
            tracker.expected = expected
        elif not (is_silent and tracker.is_listening()):
            tracker.take(expected.executed(ACTION_LISTEN_NAME))
        info = joined(info, reason_of(prediction, self.policy_ensemble.policies, tracker))
        answer = self._answer(tracker, prediction, joined(INFO_PAUSED, info) if is_silent else info)
        if prediction.action in self.domain.templates:
            answer["messages"] = self.runner.messages_of(prediction.action, tracker)
        return answer

    @staticmethod
    def _answer(tracker: DialogueStateTracker, prediction: Prediction | None, info: str | None) -> State:
        answer: State = {
            "next_action": None if prediction is None else prediction.action,
            "confidence": None if prediction is None else prediction.confidence,
            "policy": None if prediction is None else prediction.policy,
            "understood": tracker.latest_message.intent.get("confidence"),
            "version": tracker.version,
            "tracker": tracker.current_state(),
        }
        if info is not None:
            answer["info"] = info
        return answer

    # -- actions that run here

    def run_turn(
        self,
        tracker: DialogueStateTracker,
        message: UserMessage,
        commit: Callable[[], object] = lambda: None,
    ) -> None:
        """Log a user's message, run actions until the bot listens, and send their messages.

        Parameters
        ----------
        commit
            Stores the events so far; called before each action that may have effects outside of the conversation,
            and before the action after it.

        Raises
        ------
        RemoteActionError
            If the next action is one that the caller has to run.
        """
        self.log_message(tracker, message.text or "")
        self.run_until_listening(tracker, self.dispatcher_for(message), commit)

    def dispatcher_for(self, message: UserMessage) -> Dispatcher:
        """Return a dispatcher that sends messages to the sender of `message`."""
        return Dispatcher(message.sender_id, message.output_channel or CollectingOutputChannel(), self.domain)

    def run_until_listening(
        self, tracker: DialogueStateTracker, dispatcher: Dispatcher, commit: Callable[[], object]
    ) -> None:
        """Run actions until the bot listens or is paused, or `max_number_of_predictions` actions have run."""
        # If the caller has to run some actions, the turn may fail at one of them; then nothing of it may be stored.
        may_commit = self.runner.runs_everything
        for number in range(self.max_number_of_predictions):
            if self.is_silent(tracker):
                if tracker.history.turn_actions and not tracker.is_listening():
                    tracker.take(ActionExecuted(ACTION_LISTEN_NAME))
                return
            prediction = self.predict(tracker)
            name = prediction.action
            if may_commit and name != ACTION_LISTEN_NAME and (number or self.runner.has_effects(name)):
                commit()
            self.run_action(name, tracker, dispatcher, prediction)
            if name == ACTION_LISTEN_NAME:
                return
        self._break_circuit(tracker, dispatcher)

    def _break_circuit(self, tracker: DialogueStateTracker, dispatcher: Dispatcher) -> None:
        logger.error(
            "conversation %r: %d actions ran for one message, and the bot still would not listen; it listens "
            "now. Do the stories let %r follow itself?",
            *(tracker.sender_id, self.max_number_of_predictions, tracker.latest_action_name),
        )
        if self.on_circuit_break is not None:
            call_either(self.on_circuit_break, (tracker, dispatcher), (tracker, dispatcher.output_channel, dispatcher))
            self.log_bot_utterances_on_tracker(tracker, dispatcher)
        tracker.take(ActionExecuted(ACTION_LISTEN_NAME))

    def run_action(
        self,
        action_name: str,
        tracker: DialogueStateTracker,
        dispatcher: Dispatcher,
        prediction: Prediction | None = None,
    ) -> None:
        """Run one action; log the action, then the bot's messages, then the events that it returned.

        An action that raises is logged with its error, and the output channel is told; the turn goes on.

        Raises
        ------
        RemoteActionError
            If the action is one that the caller has to run.
        """
        self.runner.check_runs_here(action_name)
        problem, version = None, tracker.version
        try:
            events = [event.storable() for event in self.runner.run(action_name, dispatcher, tracker)]
        except Exception as error:  # No exception of a custom action may end the conversation.
            log_failure(logger, action_name, tracker.sender_id, error)
            events, problem = [], brief(error, _LONGEST_PROBLEM)
        log_executed(tracker, self.expected(prediction, action_name).executed(action_name, problem), version)
        self.log_bot_utterances_on_tracker(tracker, dispatcher)
        if problem is not None:
            dispatcher.report_failure(action_name, problem)
        self._take_events(tracker, action_name, events)

    def _take_events(self, tracker: DialogueStateTracker, action_name: str | None, events: Sequence[Event]) -> None:
        """Append the events that an action returned, or that a caller sent without an action."""
        for event in events:
            self._warn_about_new_slot(action_name, event)
            tracker.update(event)
        takes_back = action_name is not None and any(isinstance(event, ActionReverted) for event in events)
        if takes_back and tracker.follow_up_action is None:  # Otherwise the action would be chosen again for ever.
            tracker.take(FollowupAction(ACTION_LISTEN_NAME))

    @staticmethod
    def log_bot_utterances_on_tracker(tracker: DialogueStateTracker, dispatcher: Dispatcher) -> None:
        """Append the bot's messages since the last call."""
        for message in dispatcher.latest_bot_messages:
            try:
                tracker.update(BotUttered(message.text, message.data))
            except EventError as error:  # A custom action put it into the list itself; a dispatcher refuses it.
                logger.error("what the bot said in conversation %r is not logged: %s", tracker.sender_id, error)
        dispatcher.latest_bot_messages = []

    def _warn_about_new_slot(self, action_name: str | None, event: Event) -> None:
        known = self.policy_ensemble.action_fingerprints
        if not isinstance(event, SlotSet) or action_name is None or not known:
            return
        if event.key in known.get(action_name, {}).get("slots", ()) or (action_name, event.key) in self._warned:
            return
        self._warned.add((action_name, event.key))
        logger.warning(
            "the action %r set the slot %r, which it does in no story; predictions may be off. "
            "Add the slot line to a story and train again.",
            *(action_name, event.key),
        )
