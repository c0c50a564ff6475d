"""Support for custom processors that override the methods that 0.9 had for the steps of a turn.

If a subclass of `MessageProcessor` overrides some of these methods, they are called at the same points of a turn as in
0.9. Other subclasses, and `MessageProcessor` itself, are not affected. The methods may call each other and their base
methods.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from rasa_core.actions.running import log_failure
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, UserUttered
from rasa_core.interpreter import parsed_by
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)


class StepsOfOld:
    """The methods of 0.9 for the steps of a turn, for subclasses; comes before `TurnProcessor` in the base classes."""

    domain: Any
    tracker_store: Any
    dispatcher_for: Callable[..., Dispatcher]
    log_bot_utterances_on_tracker: Callable[..., None]
    run_until_listening: Callable[..., None]
    take_message: Callable[..., None]
    understand: Callable[[str], dict[str, Any]]

    def __init_subclass__(cls, **options: Any) -> None:
        """Replace the methods of a turn by ones that call the steps that the class overrides."""
        super().__init_subclass__(**options)
        own = {name for name in _STEPS if name in vars(cls)}
        for steps, routes in _ROUTES:
            if own & steps:
                for name, route in routes.items():
                    if name not in vars(cls):
                        setattr(cls, name, route)

    def _get_tracker(self, sender_id: str | None) -> DialogueStateTracker:
        found: DialogueStateTracker = self.tracker_store.get_or_create_tracker(
            sender_id or UserMessage.DEFAULT_SENDER_ID
        )
        return found

    def _save_tracker(self, tracker: DialogueStateTracker) -> None:
        self.tracker_store.save(tracker)

    def _parse_message(self, message: UserMessage) -> dict[str, Any]:
        return self.understand(message.text)

    def _handle_message_with_tracker(self, message: UserMessage, tracker: DialogueStateTracker) -> None:
        parsed = parsed_by(_AsInterpreter(self._parse_message, message), message.text)  # type: ignore[arg-type]
        self.take_message(tracker, UserUttered(message.text, parse_data=parsed, interpreter=type(self).__name__))

    def _should_handle_message(self, tracker: DialogueStateTracker) -> bool:
        return not cast(Any, super()).is_silent(tracker)

    def _log_slots(self, tracker: DialogueStateTracker) -> None:
        """Do nothing; slots are in the log of the conversation."""

    def _schedule_reminders(self, events: Iterable[Event], dispatcher: Dispatcher) -> None:
        """Do nothing; reminders are in the log of the conversation."""

    def _get_next_action(self, tracker: DialogueStateTracker) -> Any:
        return self.domain.action_for_name(cast(Any, super()).predict(tracker).action)

    @staticmethod
    def should_predict_another_action(action_name: str | None, events: Iterable[Event] | None) -> bool:
        """Tell whether the turn goes on after an action."""
        return action_name != ACTION_LISTEN_NAME

    def _predict_and_execute_next_action(self, message: UserMessage, tracker: DialogueStateTracker) -> None:
        self.run_until_listening(tracker, self.dispatcher_for(message), lambda: None)

    def _run_action(self, action: Any, tracker: DialogueStateTracker, dispatcher: Dispatcher) -> bool:
        name, events = action.name(), []
        try:
            events = [event.storable() for event in action.run(dispatcher, tracker, self.domain) or ()]
        except Exception as error:  # No exception of a custom action may end the conversation.
            log_failure(logger, name, tracker.sender_id, error)
        self._log_action_on_tracker(tracker, name, events)
        self.log_bot_utterances_on_tracker(tracker, dispatcher)
        return self.should_predict_another_action(name, events)

    def _log_action_on_tracker(
        self, tracker: DialogueStateTracker, action_name: str | None, events: Iterable[Event] | None
    ) -> None:
        cast(Any, super()).take_report(tracker, action_name, list(events or ()), None)


class _AsInterpreter:
    """An interpreter that parses one message by a method of a custom processor."""

    def __init__(self, parse: Callable[[UserMessage], dict[str, Any]], message: UserMessage) -> None:
        self._parse, self._message = parse, message

    def parse(self, text: str) -> dict[str, Any]:
        return self._parse(self._message)


def _hear(self: Any, tracker: DialogueStateTracker, text: str) -> None:
    self._handle_message_with_tracker(UserMessage(_preprocessed(self, text), None, tracker.sender_id), tracker)


def _run_turn(
    self: Any, tracker: DialogueStateTracker, message: UserMessage, commit: Callable[[], object] = lambda: None
) -> None:
    heard = message.to(message.output_channel or CollectingOutputChannel())
    heard.text = _preprocessed(self, message.text)
    self._handle_message_with_tracker(heard, tracker)
    self._predict_and_execute_next_action(heard, tracker)


def _preprocessed(self: Any, text: str | None) -> str:
    return str(text or "" if self.message_preprocessor is None else self.message_preprocessor(text or ""))


def _run_until_listening(
    self: Any, tracker: DialogueStateTracker, dispatcher: Dispatcher, commit: Callable[[], object]
) -> None:
    for number in range(self.max_number_of_predictions):
        if not self._should_handle_message(tracker):
            if tracker.history.turn_actions and not tracker.is_listening():
                tracker.take(ActionExecuted(ACTION_LISTEN_NAME))
            return
        action = self._get_next_action(tracker)
        self.runner.check_runs_here(action.name())
        if number and self.runner.runs_everything:
            commit()
        if not self._run_action(action, tracker, dispatcher):
            return
    self._break_circuit(tracker, dispatcher)


def _predict(self: Any, tracker: DialogueStateTracker) -> Any:
    name, plain = self._get_next_action(tracker).name(), super(StepsOfOld, self).predict(tracker)
    return plain if name == plain.action else self._certain(name)


def _take_report(
    self: Any, tracker: DialogueStateTracker, action_name: str | None, events: list[Event], error: str | None
) -> None:
    self._log_action_on_tracker(tracker, action_name, events)


def _handle_message(self: Any, message: UserMessage) -> list[dict[str, Any]] | None:
    channel = message.output_channel or CollectingOutputChannel()
    tracker = self._get_tracker(message.sender_id)
    self.run_turn(tracker, message.to(channel))
    self._save_tracker(tracker)
    return channel.messages if isinstance(channel, CollectingOutputChannel) else None


def _start_message_handling(self: Any, message: UserMessage) -> dict[str, Any]:
    tracker = self._get_tracker(message.sender_id)
    state: dict[str, Any] = self.start_turn(tracker, message.text or "")
    self._save_tracker(tracker)
    return state


def _continue_message_handling(
    self: Any, sender_id: str, executed_action: str | None, events: Iterable[Event], error: str | None = None
) -> dict[str, Any]:
    tracker = self._get_tracker(sender_id)
    state: dict[str, Any] = self.continue_turn(tracker, executed_action, events, error)
    self._save_tracker(tracker)
    return state


_HEARING: Final = frozenset({"_parse_message", "_handle_message_with_tracker"})
_DECIDING: Final = frozenset({"_get_next_action"})
_ACTING: Final = frozenset({"_run_action", "_log_action_on_tracker", "should_predict_another_action"})
_SILENT: Final = frozenset({"_should_handle_message"})
_WHOLE: Final = frozenset({"_predict_and_execute_next_action"})
_KEEPING: Final = frozenset({"_get_tracker", "_save_tracker"})
_STEPS: Final = _HEARING | _DECIDING | _ACTING | _SILENT | _WHOLE | _KEEPING
_ROUTES: Final[tuple[tuple[frozenset[str], dict[str, Callable[..., Any]]], ...]] = (
    (_HEARING, {"log_message": _hear, "_hear_for_caller": _hear}),
    (_HEARING | _WHOLE, {"run_turn": _run_turn}),
    (_DECIDING | _ACTING | _SILENT, {"run_until_listening": _run_until_listening}),
    (_DECIDING, {"predict": _predict}),
    (_SILENT, {"is_silent": lambda self, tracker: not self._should_handle_message(tracker)}),
    (frozenset({"_log_action_on_tracker"}), {"take_report": _take_report}),
    (
        _KEEPING,
        {
            "handle_message": _handle_message,
            "start_message_handling": _start_message_handling,
            "continue_message_handling": _continue_message_handling,
        },
    ),
)
"""Maps the overridable steps to the methods of a processor that call them."""
