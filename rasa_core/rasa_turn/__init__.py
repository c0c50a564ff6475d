"""One turn of a Rasa 3 bot: sessions, slot mappings before the first prediction, rejected actions, hidden turns."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from rasa_core.actions.running import log_failure, take_said
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.events.rasa3 import ActionExecutionRejected, DefinePrevUserUtteredFeaturization
from rasa_core.exceptions import ActionRejectedError, CallersActionError, brief
from rasa_core.interpreter import NaturalLanguageInterpreter, RegexInterpreter, parsed_by, signature
from rasa_core.policies.policy import Prediction, surely_means
from rasa_core.rasa3.domain_parts import SESSION_METADATA_SLOT, SESSION_START
from rasa_core.responses import ResponseDispatcher, WordsResponses
from rasa_core.slash_messages import NOT_UNDERSTOOD, parse_slash_message
from rasa_core.trackers import DialogueStateTracker, Expected

logger = logging.getLogger(__name__)

FOLLOWUP: Final = "followup_action"
"""The name that stands for the policy if an event has fixed the action."""
_LAST: Final = (ACTION_LISTEN_NAME, SESSION_START)
"""The actions that end a turn."""


class RasaTurns:
    """The logic of a turn of a Rasa 3 bot, in front of a `TurnProcessor`; its runner is a `RasaRunner`."""

    domain: Domain
    interpreter: NaturalLanguageInterpreter
    max_number_of_predictions: int
    message_preprocessor: Callable[[str], str] | None
    policy_ensemble: Any
    runner: Any
    expected: Any
    nlg: WordsResponses | None
    _break_circuit: Any

    # -- a message

    def understood(self, text: str) -> tuple[dict[str, Any], str]:
        """Return the parse of a text, which may be ``/intent{...}``, and the name of its interpreter for the log."""
        if text.lstrip().startswith("/"):
            rasa = self.domain.rasa
            entities = () if rasa is None else rasa.entity_names
            named = parse_slash_message(text, self.domain.intents, entities)
            # What names no intent of the domain is a text like another, as in Rasa.
            if named["intent"]["name"] is not None or isinstance(self.interpreter, RegexInterpreter):
                return named, RegexInterpreter.__name__
        if isinstance(self.interpreter, RegexInterpreter):  # It takes every text for an intent.
            return {"text": text, **NOT_UNDERSTOOD}, signature(self.interpreter)
        return parsed_by(self.interpreter, text), signature(self.interpreter)

    def hear(
        self, tracker: DialogueStateTracker, message: UserMessage, dispatcher: ResponseDispatcher, runner: Any = None
    ) -> None:
        """Begin a session if one is due, and append the message and the slots that it sets.

        `runner`, if given, replaces the runner of the bot for both.
        """
        self.begin_session(tracker, dispatcher, message.metadata, runner)
        self.take_in(tracker, message, dispatcher, runner)

    def take_in(
        self, tracker: DialogueStateTracker, message: UserMessage, dispatcher: ResponseDispatcher, runner: Any = None
    ) -> None:
        """Append a message and the slots that it sets, without beginning a session."""
        text, parsed, interpreter = message.text, message.parse_data, None
        if parsed is None:
            text = (text or "").strip()
            if self.message_preprocessor is not None:
                text = self.message_preprocessor(text)
            parsed, interpreter = self.understood(text)
        said = UserUttered(
            text,  # As it was typed: an interpreter may read another, as one in lower case.
            # Actions look for it there, too, as what the message told of its user.
            parse_data={**parsed, "metadata": dict(message.metadata)} if message.metadata else parsed,
            input_channel=message.input_channel,
            metadata=message.metadata or None,
            interpreter=interpreter,
        )
        tracker.update(said)
        self.fill_slots(tracker, dispatcher, runner)

    def fill_slots(self, tracker: DialogueStateTracker, dispatcher: ResponseDispatcher, runner: Any = None) -> None:
        """Append the slots that the latest message sets."""
        for event in (runner or self.runner).extract_slots(dispatcher, tracker):
            tracker.update(event)

    def begin_session(
        self,
        tracker: DialogueStateTracker,
        dispatcher: ResponseDispatcher,
        metadata: Mapping[str, Any] | None = None,
        runner: Any = None,
    ) -> None:
        """Begin a session if the conversation is new, or its latest event is older than the session timeout."""
        tracker.turn_began = tracker.version
        if _has_begun(tracker) and not self._has_rested(tracker):
            return
        if metadata:  # Before the session, whose action sees it, and lets the new session begin with it.
            tracker.update(SlotSet(SESSION_METADATA_SLOT, dict(metadata)))
        self.run_action(SESSION_START, tracker, dispatcher, Prediction(SESSION_START, 1.0, None, {}), runner=runner)

    def _has_rested(self, tracker: DialogueStateTracker) -> bool:
        rasa = self.domain.rasa
        if rasa is None or not rasa.session_seconds or not tracker.latest_message.parse_data.get("intent"):
            return False
        rests_since = time.time() - rasa.session_seconds
        return tracker.latest_message.timestamp < rests_since and not _began_after(rests_since, tracker)

    def log_message(self, tracker: DialogueStateTracker, text: str) -> None:  # noqa: D102
        message = UserMessage(text, RestOutputChannel(), tracker.sender_id)
        self.hear(tracker, message, self.dispatcher_for(message))

    def take_message(self, tracker: DialogueStateTracker, message: UserUttered) -> None:
        """Append an interpreted message, and the slots that it sets."""
        tracker.update(message)
        self.fill_slots(tracker, self.dispatcher_for(UserMessage(None, RestOutputChannel(), tracker.sender_id)))

    # -- deciding

    def predict(self, tracker: DialogueStateTracker) -> Prediction:  # noqa: D102
        followup = tracker.follow_up_action
        if followup is not None and followup in self.domain.action_indices:
            scores = dict.fromkeys(self.domain.action_names, 0.0)
            scores[followup] = 1.0
            return Prediction(followup, 1.0, FOLLOWUP, scores)
        if followup is not None:
            logger.error("there is no action %r, which was to follow; the policies decide.", followup)
        chosen: Prediction = self.policy_ensemble.predict(tracker, self.domain)
        return chosen

    def is_silent(self, tracker: DialogueStateTracker) -> bool:  # noqa: D102
        return tracker.is_paused() and not surely_means(tracker.latest_message, self.domain.restart_intent)

    # -- running

    def run_turn(  # noqa: D102
        self, tracker: DialogueStateTracker, message: UserMessage, commit: Callable[[], object] = lambda: None
    ) -> None:
        dispatcher = self.dispatcher_for(message)
        self.hear(tracker, message, dispatcher)
        self.run_until_listening(tracker, dispatcher, commit)

    def dispatcher_for(self, message: UserMessage) -> ResponseDispatcher:  # noqa: D102
        channel = message.output_channel or RestOutputChannel()
        return ResponseDispatcher(message.sender_id, channel, self.domain, self.nlg)

    def run_until_listening(  # noqa: D102
        self, tracker: DialogueStateTracker, dispatcher: Dispatcher, commit: Callable[[], object]
    ) -> None:
        may_commit = self.runner.runs_everything  # A turn that may end at an action of the caller's is stored whole.
        number = 0
        for _ in range(2 * self.max_number_of_predictions):  # Actions that refuse each in turn would go on for ever.
            if self.is_silent(tracker):
                return
            prediction = self.predict(tracker)
            name = prediction.action
            if may_commit and name != ACTION_LISTEN_NAME and (number or self.runner.has_effects(name)):
                commit()
            self.run_action(prediction.action, tracker, dispatcher, prediction)
            if prediction.action in _LAST:
                return
            number += tracker.history.rejected != name  # One that refuses to run is no action, as in Rasa.
            if number == self.max_number_of_predictions:
                break
        self._break_circuit(tracker, dispatcher)

    def run_action(
        self,
        action_name: str,
        tracker: DialogueStateTracker,
        dispatcher: Dispatcher,
        prediction: Prediction | None = None,
        *,
        is_predicted: bool = True,
        runner: Any = None,
    ) -> None:
        """Run one action, and log it with its events and messages.

        An action that rejects its execution is logged as rejected; an action that raises is logged with its error.
        """
        assert isinstance(dispatcher, ResponseDispatcher)
        chosen = prediction or Prediction(action_name, 0.0, None, {})
        seen, problem = tracker.ahead(chosen.events, self.domain), None  # What is predicted with it holds for it.
        marks = self._marks(tracker, chosen) if is_predicted else ()
        seen.foretold = marks
        try:
            with dispatcher.holding():  # What an action says that fails after that is not said.
                events = [event.storable() for event in (runner or self.runner).run(action_name, dispatcher, seen)]
        except ActionRejectedError:
            take_said(dispatcher)
            tracker.update(ActionExecutionRejected(action_name, chosen.policy, chosen.confidence))
            return
        except CallersActionError:  # Nothing of the turn is stored.
            raise
        except Exception as error:  # whatever an action raises must not end the conversation
            log_failure(logger, action_name, tracker.sender_id, error)
            take_said(dispatcher)
            events, problem = [], brief(error)
        finally:
            seen.foretold = ()
        if not any(isinstance(event, ActionExecutionRejected) for event in events):
            self._log_action(action_name, tracker, chosen, marks, problem)
        self._log_outcome(events, tracker, dispatcher, runner)
        if problem is not None:
            dispatcher.report_failure(action_name, problem)

    def _marks(self, tracker: DialogueStateTracker, chosen: Prediction) -> Sequence[Event]:
        """Return the event that Rasa logs when a policy decides after a message; it has no effect here."""
        if tracker.latest_action_name != ACTION_LISTEN_NAME or chosen.policy in (None, FOLLOWUP):
            return ()
        return (DefinePrevUserUtteredFeaturization(False),)

    def _log_outcome(
        self, events: Iterable[Event], tracker: DialogueStateTracker, dispatcher: ResponseDispatcher, runner: Any
    ) -> None:
        for event in events:
            tracker.enter(event)
            if isinstance(event, UserUttered):  # An action may say what the user meant, as the two-stage fallback does.
                self.fill_slots(tracker, dispatcher, runner)

    def _log_action(
        self,
        name: str,
        tracker: DialogueStateTracker,
        chosen: Prediction,
        marks: Iterable[Event],
        problem: str | None,
        told: Expected | None = None,
    ) -> None:
        for event in chosen.events:
            tracker.update(event)
        for event in marks:
            tracker.take(event)
        expected = told or self.expected(chosen, name)
        is_text = self.runner.is_text(name)
        tracker.take(expected.executed(name, problem, hidden=chosen.hide_rule_turn, is_text=is_text))


def _has_begun(tracker: DialogueStateTracker) -> bool:
    """Tell whether a conversation has events that were not taken back."""
    if not tracker.has_begun:
        return False
    # Only where nothing is known to have been done, since the log is read for the rest.
    return tracker.latest_action_name is not None or bool(tracker.applied_events())


def _began_after(moment: float, tracker: DialogueStateTracker) -> bool:
    """Tell whether a custom action has begun a session since `moment`, without the event of a session.

    If the messages since then were taken back, the latest message is older than `moment`.
    """
    begun = (
        isinstance(event, ActionExecuted) and event.action_name == SESSION_START and event.timestamp > moment
        for event in reversed(tracker.latest_events(_LATELY))
    )
    return any(begun)


_LATELY: Final = 100  # Events that are looked through; as many turns in which nothing was understood have more.
