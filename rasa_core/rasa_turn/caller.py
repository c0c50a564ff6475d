"""One turn of a Rasa 3 bot whose actions run in the caller's code, over ``parse`` and ``continue``.

The next action may be a form or a default action: the caller sends the ``messages`` of the answer, reports the action
as executed, and its events are logged then. Custom parts of an action are next actions too: custom actions that fill
and validate slots, before any prediction; ``validate_<form>``, before the form; ``action_ask_<slot>``, after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from rasa_core.actions.running import NotValidatedError
from rasa_core.actions.slot_mappings import VALIDATE_SLOTS
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ACTION_RESTART_NAME,
    ActionExecuted,
    BotUttered,
    Event,
    Restarted,
    SlotSet,
)
from rasa_core.events.rasa3 import ActionExecutionRejected, CallerAction, SessionStarted
from rasa_core.exceptions import ActionRejectedError
from rasa_core.policies.policy import Prediction, reason_of
from rasa_core.rasa3.domain_parts import REQUESTED_SLOT, SESSION_START
from rasa_core.rasa3.history import VALIDATION
from rasa_core.responses import ResponseDispatcher
from rasa_core.slash_messages import joined
from rasa_core.trackers import DialogueStateTracker

State = dict[str, Any]

_UNTOLD: Final = (ACTION_LISTEN_NAME, SESSION_START)
"""The actions that run here without being named to the caller."""


class CallerTurns:
    """The logic of ``parse`` and ``continue``, in front of `RasaTurns` and a `TurnProcessor`."""

    domain: Domain
    max_number_of_predictions: int
    dispatcher_for: Callable[..., ResponseDispatcher]
    hear: Any
    policy_ensemble: Any
    predict: Any
    run_action: Any
    runner: Any
    _answer: Callable[..., State]
    _break_circuit: Any
    _certain: Any
    is_silent: Any
    _log_action: Any
    _marks: Any
    expected: Any
    _log_outcome: Any

    def _hear_for_caller(self, tracker: DialogueStateTracker, text: str) -> None:
        if tracker.latest_action_name not in (None, ACTION_LISTEN_NAME):  # The caller broke a turn off.
            tracker.update(ActionExecuted(ACTION_LISTEN_NAME))
        message, run = UserMessage(text, None, tracker.sender_id), self.runner.for_caller()
        self.hear(tracker, message, self._silent_dispatcher(tracker), run)
        for name in () if self.is_silent(tracker) else run.fillers(tracker):
            tracker.update(CallerAction(name, False))

    def _silent_dispatcher(self, tracker: DialogueStateTracker) -> ResponseDispatcher:
        return self.dispatcher_for(UserMessage(None, RestOutputChannel(), tracker.sender_id))

    # -- what comes next

    def _next_step(self, tracker: DialogueStateTracker, info: str | None = None) -> State:
        if self.is_silent(tracker):
            answer: State = super()._next_step(tracker, info)  # type: ignore[misc]
            return answer
        if tracker.is_listening() and tracker.follow_up_action is None:
            return self._answer(tracker, self._certain(ACTION_LISTEN_NAME), info)
        for _ in range(self.max_number_of_predictions):
            due = tracker.history.due
            prediction = self.next_prediction(tracker)
            if prediction.action in _UNTOLD and not self._is_left(prediction.action):
                return self._listen(tracker, prediction, info)
            answer = {}
            if due:
                self._add_part(answer, due[0], tracker)
            if due or self._tell(answer, prediction, tracker):
                if not due:
                    tracker.expected = self.expected(prediction, prediction.action)
                told = joined(info, reason_of(prediction, self.policy_ensemble.policies, tracker))
                return answer | self._answer(tracker, prediction, told)
        self._break_circuit(tracker, self._silent_dispatcher(tracker))
        return self._answer(tracker, self._certain(ACTION_LISTEN_NAME), info)

    def next_prediction(self, tracker: DialogueStateTracker) -> Prediction:
        """Return the next action, or the custom part of it that the caller has to run first."""
        due = tracker.history.due
        return self._certain(due[0]) if due else self._predicted(tracker)

    def take_step(self, tracker: DialogueStateTracker, prediction: Prediction, dispatcher: Dispatcher) -> None:
        """Run an action that runs here; in the remote mode, log it as if the caller had reported it."""
        name = prediction.action
        if self.runner.runs_everything or name in _UNTOLD:
            self.run_action(name, tracker, dispatcher, prediction)
            return
        assert isinstance(dispatcher, ResponseDispatcher)
        came = self._came_of(prediction, tracker, dispatcher)
        if came is not None:
            tracker.expected = self.expected(prediction, name)
            self.take_report(tracker, name, [event for event in came if isinstance(event, BotUttered)], None)

    def _is_left(self, action_name: str) -> bool:
        """Tell whether a custom action replaces a default action."""
        return self.domain.rasa is not None and action_name in self.domain.rasa.custom_defaults

    def _predicted(self, tracker: DialogueStateTracker) -> Prediction:
        """Return the next action, which is the form if its answer was just validated."""
        # Validated slots may make another form, or none, the next one; the answer belongs to the form that has asked.
        prediction, form = self.predict(tracker), tracker.history.validated
        return prediction if form in (None, prediction.action) else Prediction(form, 1.0, None, {})

    def _listen(self, tracker: DialogueStateTracker, prediction: Prediction, info: str | None) -> State:
        self.run_action(prediction.action, tracker, self._silent_dispatcher(tracker), prediction)
        return self._answer(tracker, prediction, info) | {"next_action": ACTION_LISTEN_NAME}

    def _tell(self, answer: State, prediction: Prediction, tracker: DialogueStateTracker) -> bool:
        """Add the messages of the action to an answer; log a custom part that comes first, and return False."""
        channel = RestOutputChannel()
        events = self._came_of(prediction, tracker, self.dispatcher_for(UserMessage(None, channel, tracker.sender_id)))
        if events is None:
            return False
        asked = _asked(events)
        if channel.messages or asked:
            answer["messages"] = channel.messages
        if asked:
            answer["requested_slot"] = asked[-1].value
        return True

    def _came_of(
        self, prediction: Prediction, tracker: DialogueStateTracker, dispatcher: ResponseDispatcher
    ) -> list[Event] | None:
        """Run the parts of an action that are not custom; log a custom part that comes first, and return None."""
        name = prediction.action
        try:
            seen = tracker.ahead(prediction.events, self.domain)
            events: list[Event] = self.runner.for_caller().run(name, dispatcher, seen)
        except ActionRejectedError:
            tracker.update(ActionExecutionRejected(name, prediction.policy, prediction.confidence))
        except NotValidatedError:
            tracker.update(CallerAction(VALIDATION + name, False))
        else:
            return events
        return None

    def _add_part(self, answer: State, name: str, tracker: DialogueStateTracker) -> None:
        """Add the details of a custom part of an action to an answer, such as the slots to validate."""
        if REQUESTED_SLOT in tracker.slots:
            answer["requested_slot"] = tracker.slots[REQUESTED_SLOT].value
        form = self._form_validated_by(name)
        if name == VALIDATE_SLOTS:
            answer["slots_to_validate"] = tracker.slots_since_message()
        elif form is not None:
            answer["slots_to_validate"] = self._answers_to(form, tracker)

    def _form_validated_by(self, name: str) -> str | None:
        form = name.removeprefix(VALIDATION)
        return form if form != name and self.domain.rasa is not None and form in self.domain.rasa.forms else None

    def _answers_to(self, form: str, tracker: DialogueStateTracker) -> dict[str, Any]:
        try:
            self.runner.for_caller().run(form, self._silent_dispatcher(tracker), self._as_predicted(tracker))
        except NotValidatedError as error:
            return error.values
        except ActionRejectedError:
            pass
        return {}

    def _as_predicted(self, tracker: DialogueStateTracker) -> DialogueStateTracker:
        """Return the conversation after the events of a predicted form, which may be that the form takes no answer."""
        loop = tracker.history.loop
        if loop is None or not loop.rejected:
            return tracker
        return tracker.ahead(self.predict(tracker).events, self.domain)

    # -- what the caller has done

    def take_report(  # noqa: D102
        self, tracker: DialogueStateTracker, action_name: str | None, events: list[Event], error: str | None
    ) -> None:
        dispatcher, run = self._silent_dispatcher(tracker), self.runner.for_caller(is_reported=True)
        if action_name in tracker.history.due:
            self._take_part(tracker, action_name, events)
            return
        if action_name is not None and not any(isinstance(event, ActionExecutionRejected) for event in events):
            prediction = self._predicted(tracker)
            is_next = prediction.action == action_name
            seen = tracker.ahead(prediction.events, self.domain) if is_next else tracker
            try:
                decided = run.run(action_name, dispatcher, seen)
            except ActionRejectedError:  # The caller ran it all the same.
                decided = []
            chosen = prediction if is_next else prediction._replace(hide_rule_turn=False, events=())
            marks = self._marks(tracker, chosen) if is_next else ()
            self._log_action(action_name, tracker, chosen, marks, error, tracker.expected)
            # The caller tells itself what was said, and may have reported what the server decides, too.
            own = [event for event in decided if not isinstance(event, BotUttered) and event not in events]
            events = [*own, *_completed(action_name, events, own)]
        self._log_outcome([event.storable() for event in events], tracker, dispatcher, run)
        for name in run.left:
            if name != action_name:
                tracker.update(CallerAction(name, False))

    def _take_part(self, tracker: DialogueStateTracker, name: str, events: Sequence[Event]) -> None:
        form = self._form_validated_by(name)
        decided = () if form is None else self._decided_by(events, form, tracker)
        for event in (CallerAction(name, True), *events, *decided):
            tracker.update(event)

    def _decided_by(self, validation: Sequence[Event], form: str, tracker: DialogueStateTracker) -> list[Event]:
        """Return the events of a form after a validated answer: it asks for a slot, or rejects its execution."""
        try:
            seen = self._as_predicted(tracker)
            events = self.runner.for_caller(validation).run(form, self._silent_dispatcher(tracker), seen)
        except ActionRejectedError:
            prediction = self.predict(tracker)
            return [ActionExecutionRejected(form, prediction.policy, prediction.confidence)]
        decided = _asked(events)[-1:]
        if self.domain.rasa is not None and self.domain.rasa.forms[form].of_rasa_2:  # Its slots are not set before.
            decided = [
                event for event in events if isinstance(event, SlotSet) and event.key != REQUESTED_SLOT
            ] + decided
        return [event for event in decided if event not in validation]


def _asked(events: Iterable[Event]) -> list[SlotSet]:
    return [event for event in events if isinstance(event, SlotSet) and event.key == REQUESTED_SLOT]


def _completed(action_name: str, events: list[Event], own: Sequence[Event]) -> list[Event]:
    """Return the events of a caller's restart or session, with the restart or session event if it is missing."""
    known = {type(event) for event in (*events, *own)}
    if action_name == ACTION_RESTART_NAME and Restarted not in known:
        return [*events, Restarted()]
    if action_name == SESSION_START:
        begun = [] if SessionStarted in known else [SessionStarted()]
        return [*begun, *events, *([] if ActionExecuted in known else [ActionExecuted(ACTION_LISTEN_NAME)])]
    return events
