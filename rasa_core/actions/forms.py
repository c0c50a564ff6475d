"""Actions that ask for one slot after another, and act once all are filled.

A form needs a slot ``requested_slot`` and, for each field that it asks for, a template ``utter_ask_<slot>``::

    class SearchVenues(FormAction):
        @staticmethod
        def required_fields():
            return [EntityFormField("city", "city"), BooleanFormField("outdoors", "affirm", "deny")]

        def name(self):
            return "action_search_venues"

        def submit(self, dispatcher, tracker, domain):
            dispatcher.utter_message(f"Searching in {tracker.get_slot('city')}.")
            return []

Each time it runs, a form first fills slots from the latest message: the slot that it asked for last, and other slots
with an entity. The first of several entities of one name fills one slot; the others fill none, because only the answer
to a question tells which of two cities is the destination. Then the form asks for the first empty slot, or submits.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from rasa_core.actions.action import Action
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import Event, SlotSet
from rasa_core.exceptions import DomainError, did_you_mean
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

REQUESTED_SLOT = "requested_slot"


class FormField:
    """A slot that a form fills; a subclass decides how."""

    slot_name: str

    def validate(self, value: Any) -> Any:
        """Return the value to keep, perhaps changed, or None to reject it; override this.

        If the message has no value, it is called with None, and may return a value.
        """
        return value

    def extract(self, tracker: DialogueStateTracker) -> list[Event]:
        """Return the event that fills the slot from the latest message, if that has a valid value."""
        raise NotImplementedError(f"{type(self).__name__} needs a method extract(tracker).")

    def _fill(self, value: Any) -> list[Event]:
        kept = self.validate(value)
        return [] if kept is None else [SlotSet(self.slot_name, kept)]


class EntityFormField(FormField):
    """A slot that is filled from an entity of the latest message."""

    def __init__(self, entity_name: str, slot_name: str) -> None:
        self.entity_name = entity_name
        self.slot_name = slot_name

    def extract(self, tracker: DialogueStateTracker) -> list[Event]:  # noqa: D102
        return self._fill(next(iter(tracker.get_latest_entity_values(self.entity_name)), None))


class BooleanFormField(FormField):
    """A slot that one intent sets to True and another to False; its values are not validated."""

    def __init__(self, slot_name: str, affirm_intent: str, deny_intent: str) -> None:
        self.slot_name = slot_name
        self.affirm_intent = affirm_intent
        self.deny_intent = deny_intent

    def extract(self, tracker: DialogueStateTracker) -> list[Event]:  # noqa: D102
        answers = {self.affirm_intent: True, self.deny_intent: False}
        answer = answers.get(tracker.latest_message.intent.get("name") or "")
        return [] if answer is None else [SlotSet(self.slot_name, answer)]


class FreeTextFormField(FormField):
    """A slot that takes the whole text of the latest message."""

    def __init__(self, slot_name: str) -> None:
        self.slot_name = slot_name

    def extract(self, tracker: DialogueStateTracker) -> list[Event]:  # noqa: D102
        return self._fill(tracker.latest_message.text)


class FormAction(Action):
    """Asks for slots until all are filled, and then calls `submit`.

    Attributes
    ----------
    RANDOMIZE : bool
        Accepted; has no effect. Slots are asked for in the order of `required_fields`.
    """

    RANDOMIZE = True

    @staticmethod
    def required_fields() -> Sequence[FormField]:
        """Return the fields, in the order in which they are asked for; override this."""
        return []

    def submit(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event] | None:
        """Act on the slots, all of which are filled in `tracker`; override this."""
        raise NotImplementedError(f"{type(self).__name__} needs a method submit(dispatcher, tracker, domain).")

    def should_request_slot(self, tracker: DialogueStateTracker, slot_name: str) -> bool:
        """Tell whether to ask for a slot: by default, if it is empty."""
        return tracker.get_slot(slot_name) is None

    def get_requested_slot(self, tracker: DialogueStateTracker) -> list[Event]:
        """Return the event that fills the slot that was asked for last."""
        requested = tracker.get_slot(REQUESTED_SLOT)
        return [event for field in self._fields(requested, True) for event in field.extract(tracker)]

    def get_other_slots(self, tracker: DialogueStateTracker) -> list[Event]:
        """Return the events that fill, from entities, slots that were not asked for."""
        requested = tracker.get_slot(REQUESTED_SLOT)
        # The requested slot has the first right to its entities, even if it took none.
        taken = {getattr(field, "entity_name", None) for field in self._fields(requested, True)}
        events = []
        for field in self._fields(requested, False):
            if isinstance(field, EntityFormField) and field.entity_name not in taken:
                taken.add(field.entity_name)
                events += field.extract(tracker)
        return events

    def _fields(self, slot_name: str | None, asked_for: bool) -> list[FormField]:
        return [field for field in self.required_fields() if (field.slot_name == slot_name) is asked_for]

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        """Fill slots from the latest message, then ask for the next slot or submit.

        Raises
        ------
        DomainError
            If the domain lacks a slot that the form fills.
        """
        self._check(domain)
        events = self.get_requested_slot(tracker) + self.get_other_slots(tracker)
        filled = tracker.ahead(events, domain)  # The tracker itself must not change: what is returned is logged later.
        for field in self.required_fields():
            if self.should_request_slot(filled, field.slot_name):
                dispatcher.utter_template(f"utter_ask_{field.slot_name}", filled.current_slot_values())
                return [*events, *self._asked(field, tracker)]
        return [*events, *(self.submit(dispatcher, filled, domain) or [])]

    def _asked(self, field: FormField, tracker: DialogueStateTracker) -> list[Event]:
        """Return the event that sets ``requested_slot``."""
        if REQUESTED_SLOT in tracker.slots:
            return [SlotSet(REQUESTED_SLOT, field.slot_name)]
        # Fields that are filled from entities need no more than the question.
        _warn_of_no_memory(self.name())
        return []

    def _check(self, domain: Domain) -> None:
        slots = {slot.name for slot in domain.slots}
        for name in (field.slot_name for field in self.required_fields()):
            if name not in slots:
                raise DomainError(
                    f"the form {self.name()!r} needs the slot {name!r}.{did_you_mean(name, slots)} "
                    f"Add it to the domain, under slots: {name}: {{type: text}}."
                )


@lru_cache(maxsize=1000)
def _warn_of_no_memory(form: str) -> None:
    logger.warning(
        "the form %r cannot remember what it asked for: only entities fill its slots. Add it to the domain, under "
        "slots: %s: {type: unfeaturized}. This is told once.",
        form,
        REQUESTED_SLOT,
    )
