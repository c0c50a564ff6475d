"""Forms of Rasa 3: loops that ask for one slot after the other, and end once all are filled.

A form asks by the action ``action_ask_<form>_<slot>``, the response ``utter_ask_<form>_<slot>``, ``action_ask_<slot>``
or ``utter_ask_<slot>``, whichever exists first. If the domain has an action ``validate_<form>``, it gets the values
from a message, and may change them, refuse them by null, or choose the next slot to ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any, Final

from rasa_core.actions.running import RunsActions, with_unnamed
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet
from rasa_core.events.rasa3 import ActionExecutionRejected, ActiveLoop
from rasa_core.exceptions import ActionRejectedError
from rasa_core.rasa3.domain_parts import REQUESTED_SLOT
from rasa_core.rasa3.history import VALIDATION, Loop
from rasa_core.rasa3.mappings import Form
from rasa_core.responses import ResponseDispatcher
from rasa_core.trackers import DialogueStateTracker

_QUESTIONS: Final = (  # In the order of Rasa: a response for one form wins over a response for all forms.
    "action_ask_{form}_{slot}",
    "utter_ask_{form}_{slot}",
    "action_ask_{slot}",
    "utter_ask_{slot}",
)


class FormRun:
    """One run of a form.

    Parameters
    ----------
    tracker
        The conversation; it is not changed.
    """

    def __init__(
        self, form: Form, runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker
    ) -> None:
        self._form, self._runner, self._dispatcher, self._tracker = form, runner, dispatcher, tracker
        self._events: list[Event] = []

    def run(self) -> list[Event]:
        """Return the events up to the next question or the end of the form.

        Raises
        ------
        ActionRejectedError
            If a slot was asked for, and the message fills no slot of the form.
        """
        if not self._goes_on:
            self._activate()
        if not self._is_done():
            begins_with_more = any(not isinstance(event, ActiveLoop) for event in self._events)
            answer = () if begins_with_more else self._answer()
            self._events += answer
            # As in Rasa, a validation keeps a form from asking only once it goes on.
            if not any(isinstance(event, ActionExecutionRejected) for event in answer):
                self._ask()
        if self._is_done():
            self._events.append(ActiveLoop(None))
        return self._events

    def run_validated(self) -> list[Event]:
        """Return the events if the answer was validated before, and ``requested_slot`` is already set."""
        requested = self._tracker.slots[REQUESTED_SLOT].value
        if not self._goes_on:
            self._events += [ActiveLoop(self._form.name), *(one for one in self._found() if not self._needs(one.key))]
        if requested is None:
            self._events += [SlotSet(REQUESTED_SLOT, None), ActiveLoop(None)]
        else:
            self._events.append(SlotSet(REQUESTED_SLOT, requested))
            self._events += self._question(str(requested))
        return self._events

    @property
    def _goes_on(self) -> bool:
        """Whether the form had begun before this run."""
        loop = self._tracker.history.loop
        return loop is not None and loop.name == self._form.name

    def _needs(self, slot: str) -> bool:
        return slot in self._form.required_slots

    def _found(self) -> list[SlotSet]:
        """Return the slots that the message fills while the form is active."""
        if self._form.of_rasa_2:
            taken = self._runner.taken(self._form, self._tracker, None, begins=True)
            return [SlotSet(slot, value) for slot, value in taken.items()]
        now = self._tracker.ahead([ActiveLoop(self._form.name)], self._runner.domain)
        found = self._runner.filled(self._dispatcher, now, Loop(self._form.name))
        return [event for event in found if isinstance(event, SlotSet)]

    def _activate(self) -> None:
        self._events.append(ActiveLoop(self._form.name))
        with self._dispatcher.holding() as said:
            found = self._found()
            said.clear()  # As in Rasa, where this has been said at the message.
        if not self._validates:
            self._events += found
            return
        slots = self._tracker.ahead(found, self._runner.domain).slots
        values = {name: slots[name].value for name in self._form.required_slots if name in slots}
        # Slots that were set before are validated too.
        validated = self._validated({name: value for name, value in values.items() if value is not None}, found)
        self._events += with_unnamed(validated, found)

    def _answer(self) -> Sequence[Event]:
        """Return the events of the validation of the message."""
        loop = self._tracker.history.loop
        if loop is not None and (self._tracker.latest_action_name != ACTION_LISTEN_NAME or loop.is_interrupted):
            # It goes on after something else, and the message was no answer; the validation may still choose a slot.
            return self._validated({})
        requested = self._requested_before()
        if self._form.of_rasa_2:
            own = self._runner.taken(self._form, self._tracker, requested, begins=False)
        else:
            filled = self._tracker.slots_since_message()
            own = {key: value for key, value in filled.items() if self._needs(key) or key == requested}
        validated = self._validated(own)
        if self._form.of_rasa_2:
            validated = with_unnamed(validated, starmap(SlotSet, own.items()))
        # A validation may find an answer that the mappings did not find, or reject the form itself.
        answers = any(isinstance(event, SlotSet) and event.key != REQUESTED_SLOT for event in validated)
        refuses = any(isinstance(event, ActionExecutionRejected) for event in validated)
        if requested and not (own or answers or refuses):
            raise ActionRejectedError(self._form.name, f"the message does not fill {requested!r}")
        return validated

    def _requested_before(self) -> str | None:
        """Return the slot that this form has asked for, not another form."""
        return self._tracker.slots[REQUESTED_SLOT].value if self._goes_on else None

    @property
    def _validates(self) -> bool:
        return VALIDATION + self._form.name in self._runner.domain.action_indices

    def _validated(self, values: dict[str, object], found: Sequence[Event] = ()) -> Sequence[Event]:
        """Return the events of the form's validation of these slots; it also sees the `found` events."""
        if not self._validates:
            return []
        candidates = [SlotSet(key, value) for key, value in values.items()]
        # As in Rasa, the validation of a form that has just begun sees the requested slot of another form.
        requested = self._tracker.slots[REQUESTED_SLOT].value if self._events else self._requested_before()
        now = self._seen([*self._events, *found], requested, candidates)
        return self._runner.validated(self._form.name, candidates, self._dispatcher, now)

    def _seen(self, before: Sequence[Event], requested: object, after: Sequence[Event] = ()) -> DialogueStateTracker:
        """Return the tracker for parts of the form; rasa-sdk takes the slots after the form's event as new."""
        told = [*before, SlotSet(REQUESTED_SLOT, requested), ActionExecuted(self._form.name), *after]
        return self._tracker.ahead(told, self._runner.domain)

    def _is_done(self) -> bool:
        """Tell whether the form ends: its last event sets ``requested_slot`` to None, or ends the loop."""
        if any(isinstance(event, ActionExecutionRejected) for event in self._events):
            return False
        asked = self._asked()
        loops = [event.loop_name for event in self._events if isinstance(event, ActiveLoop)]
        return None in asked[-1:] or None in loops[-1:]

    def _asked(self) -> list[Any]:
        """Return the values of ``requested_slot`` that this run has set."""
        return [event.value for event in self._events if isinstance(event, SlotSet) and event.key == REQUESTED_SLOT]

    def _ask(self) -> None:
        """Ask for the next slot, or end the form if no slot is empty."""
        if self._is_done():
            self._events.append(SlotSet(REQUESTED_SLOT, None))
            return
        # The next slot that the validation chooses wins over the order of the slots.
        slot = next(iter(self._asked()), None)
        asked = [] if slot else [SlotSet(REQUESTED_SLOT, slot := self._next_slot())]
        question = self._question(str(slot)) if slot else ()
        self._events += [*asked, *question]

    def _next_slot(self) -> str | None:
        slots = self._seen([], self._requested_before(), self._events).slots
        return next(
            (name for name in self._form.required_slots if name not in slots or slots[name].value is None), None
        )

    def _question(self, slot: str) -> Sequence[Event]:
        names = (question.format(form=self._form.name, slot=slot) for question in _QUESTIONS)
        name = next((name for name in names if name in self._runner.domain.action_indices), None)
        now = self._seen([], self._requested_before(), self._events)
        return [] if name is None else self._runner.run(name, self._dispatcher, now)
