"""Forms of Rasa 3: loops that ask for one slot after the other, and end once all are filled.

A form asks by the action ``action_ask_<form>_<slot>``, the response ``utter_ask_<form>_<slot>``, ``action_ask_<slot>``
or ``utter_ask_<slot>``, whichever comes first. The action ``validate_<form>``, if the domain has one, sees the values
that a message brought, and may change them, refuse them by null, or say which slot is to be asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rasa_core.actions.running import RunsActions
from rasa_core.events import ACTION_LISTEN_NAME, Event, SlotSet
from rasa_core.events.rasa3 import ActionExecutionRejected, ActiveLoop
from rasa_core.exceptions import ActionRejectedError
from rasa_core.rasa3.domain_parts import REQUESTED_SLOT, Form
from rasa_core.rasa3.history import VALIDATION, Loop
from rasa_core.responses import ResponseDispatcher
from rasa_core.trackers import DialogueStateTracker

_QUESTIONS: Final = (  # In this order, as in Rasa: what is written for one form wins over what is for all.
    "action_ask_{form}_{slot}",
    "utter_ask_{form}_{slot}",
    "action_ask_{slot}",
    "utter_ask_{slot}",
)


class FormRun:
    """One run of a form.

    Parameters
    ----------
    form
        The form.
    runner
        Runs the actions of the form.
    dispatcher
        Says its questions.
    tracker
        The conversation; it is not changed.
    """

    def __init__(
        self, form: Form, runner: RunsActions, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker
    ) -> None:
        self._form, self._runner, self._dispatcher, self._tracker = form, runner, dispatcher, tracker
        self._events: list[Event] = []

    def run(self) -> list[Event]:
        """Return what happens, up to the next question or the end of the form.

        Raises
        ------
        ActionRejectedError
            If a slot was asked for, and the message fills none of the form.
        """
        loop = self._tracker.history.loop
        if loop is None or loop.name != self._form.name:
            self._begin()
        elif self._tracker.latest_action_name == ACTION_LISTEN_NAME and not loop.is_interrupted:
            self._take_answer()
        else:  # It goes on after something else, and the message was no answer; the validation may still choose a slot.
            self._events += self._validated({})
        self._ask()
        return self._events

    def run_validated(self) -> list[Event]:
        """Return what happens where the answer was validated before, and the slot to be asked for is set already."""
        loop, requested = self._tracker.history.loop, self._tracker.slots[REQUESTED_SLOT].value
        if loop is None or loop.name != self._form.name:
            self._activate()
        if requested is None:
            self._end()
        else:
            self._events.append(SlotSet(REQUESTED_SLOT, requested))
            self._events += self._question(str(requested), self._now())
        return self._events

    def _activate(self) -> dict[str, object]:
        """Begin, and return the slots of the form that the message fills now."""
        self._events.append(ActiveLoop(self._form.name))
        found = self._runner.filled(self._dispatcher, self._now(), Loop(self._form.name))
        slots = [event for event in found if isinstance(event, SlotSet) and event.key in self._form.required_slots]
        self._events += [event for event in found if event not in slots]
        return {event.key: event.value for event in slots}

    def _begin(self) -> None:
        own = self._activate()
        if self._validates:
            own = self._filled_before() | own
        self._events += self._validated(own)
        if not own and self._validates:  # Rasa asks it twice where it has nothing to see, as recorded.
            self._events += self._validated({})

    def _filled_before(self) -> dict[str, object]:
        """Return the slots of the form that have a value already, which its validation sees as well."""
        slots = self._tracker.slots
        values = {name: slots[name].value for name in self._form.required_slots if name in slots}
        return {name: value for name, value in values.items() if value is not None}

    def _take_answer(self) -> None:
        requested = self._tracker.slots[REQUESTED_SLOT].value
        filled = self._tracker.slots_since_message()
        own = {key: value for key, value in filled.items() if key in (*self._form.required_slots, requested)}
        validated = self._validated(own) if self._validates else []
        # A validation may find by itself what the mappings did not, and then there was an answer.
        changes = any(isinstance(event, SlotSet) and event.key != REQUESTED_SLOT for event in validated)
        if requested is not None and not own and not changes:
            raise ActionRejectedError(self._form.name, f"the message does not fill {requested!r}")
        self._events += validated

    @property
    def _validates(self) -> bool:
        return VALIDATION + self._form.name in self._runner.domain.action_map

    def _validated(self, values: dict[str, object]) -> Sequence[Event]:
        """Return the slots as the form's validation leaves them; without one, as they are."""
        candidates = [SlotSet(key, value) for key, value in values.items()]
        if not self._validates:
            return candidates
        return self._runner.validated(self._form.name, candidates, self._dispatcher, self._now(candidates))

    def _now(self, more: Iterable[Event] = ()) -> DialogueStateTracker:
        """Return the conversation as it will be with what has happened here."""
        return self._tracker.ahead([*self._events, *more], self._runner.domain)

    def _ask(self) -> None:
        """Ask for the next slot, or end the form."""
        if any(isinstance(event, ActionExecutionRejected) for event in self._events):
            return  # Its validation says itself that the form is not to run.
        # What the validation has said of it wins over the order of the slots; null ends the form.
        chosen = [event.value for event in self._events if isinstance(event, SlotSet) and event.key == REQUESTED_SLOT]
        now = self._now()
        if None in chosen or any(isinstance(event, ActiveLoop) and not event.loop_name for event in self._events):
            self._end()
            return
        slot = chosen[0] if chosen else self._next_slot(now)
        if slot is None:
            self._end()
            return
        if not chosen:
            self._events.append(SlotSet(REQUESTED_SLOT, slot))
        self._events += self._question(str(slot), now)

    def _next_slot(self, now: DialogueStateTracker) -> str | None:
        slots = now.slots
        return next(
            (name for name in self._form.required_slots if name not in slots or slots[name].value is None), None
        )

    def _end(self) -> None:
        self._events += [SlotSet(REQUESTED_SLOT, None), ActiveLoop(None)]

    def _question(self, slot: str, now: DialogueStateTracker) -> Sequence[Event]:
        names = (question.format(form=self._form.name, slot=slot) for question in _QUESTIONS)
        name = next((name for name in names if name in self._runner.domain.action_map), None)
        return [] if name is None else self._runner.run(name, self._dispatcher, now)
