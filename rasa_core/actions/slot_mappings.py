"""Fills slots from a message, as the mappings of a Rasa 3 domain say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.events import SlotSet, UserUttered
from rasa_core.rasa3.domain_parts import REQUESTED_SLOT, Form, RasaParts, SlotMapping
from rasa_core.rasa3.history import Loop
from rasa_core.trackers import DialogueStateTracker

VALIDATE_SLOTS: Final = "action_validate_slot_mappings"
_NOTHING: Final = object()


class SlotFiller:
    """What fills the slots of a domain."""

    def __init__(self, domain: Domain) -> None:
        assert domain.rasa is not None
        self._parts: RasaParts = domain.rasa
        self._lists = {slot.name for slot in domain.slots if type(slot).__name__ == "RasaListSlot"}
        mapped = (mapping for mappings in self._parts.mappings.values() for mapping in mappings)
        actions = (mapping.action for mapping in mapped if mapping.kind == "custom")
        self.actions = list(dict.fromkeys(action for action in actions if action is not None))
        """Names of the actions that fill slots themselves."""
        self._shared = {form.name: self._shared_in(form) for form in self._parts.forms.values()}

    def _shared_in(self, form: Form) -> list[SlotMapping]:
        """Return the mappings of entities by which a message would fill more than one slot of a form."""
        mapped = [one for slot in form.required_slots for one in self._parts.mappings.get(slot, ())]
        return [one for one in mapped if one.kind == "from_entity" and mapped.count(one) > 1]

    def fill(self, tracker: DialogueStateTracker, loop: Loop | None) -> list[SlotSet]:
        """Return the slots that the latest message sets, while `loop` is going on."""
        found = []
        for slot, mappings in self._parts.mappings.items():
            value = self._value(slot, mappings, tracker, loop)
            if value is not _NOTHING:
                found.append(SlotSet(slot, value))
        return found

    def _value(
        self, slot: str, mappings: Iterable[SlotMapping], tracker: DialogueStateTracker, loop: Loop | None
    ) -> Any:
        message = tracker.latest_message
        form = None if loop is None else self._parts.forms.get(loop.name)
        if form is not None and slot in form.required_slots and _intent(message) in form.ignored_intents:
            return _NOTHING
        requested = tracker.slots[REQUESTED_SLOT].value if REQUESTED_SLOT in tracker.slots else None
        is_other = form is not None and slot in form.required_slots and slot != requested
        for mapping in mappings:
            if form is not None and is_other and mapping in self._shared[form.name]:
                continue  # The entity is for the slot that is asked for.
            if _is_meant(mapping, message) and _holds(mapping, loop, requested):
                for value in self._found(slot, mapping, message, form):
                    return value
        return _NOTHING

    def _found(self, slot: str, mapping: SlotMapping, message: UserUttered, form: Form | None) -> Iterator[Any]:
        """Yield the value that a mapping finds, if it does."""
        if mapping.kind == "from_entity":
            values = [entity.get("value") for entity in message.entities if _fits(entity, mapping)]
            if values:
                yield values if slot in self._lists else values[-1]
        elif mapping.kind == "from_text":
            if message.text is not None:
                yield message.text
        elif mapping.kind == "from_intent" or (
            mapping.kind == "from_trigger_intent" and form is not None and slot in form.required_slots
        ):
            yield mapping.value


def _intent(message: UserUttered) -> str | None:
    name: str | None = message.intent.get("name")
    return name


def _is_meant(mapping: SlotMapping, message: UserUttered) -> bool:
    name = _intent(message)
    return (not mapping.intents or name in mapping.intents) and name not in mapping.not_intents


def _holds(mapping: SlotMapping, loop: Loop | None, requested: str | None) -> bool:
    name = None if loop is None else loop.name
    return not mapping.conditions or any(_is_met(condition, name, requested) for condition in mapping.conditions)


def _is_met(condition: Mapping[str, Any], loop: str | None, requested: str | None) -> bool:
    if "active_loop" in condition and condition["active_loop"] != loop:
        return False
    return condition.get("requested_slot") in (None, requested)


def _fits(entity: Mapping[str, Any], mapping: SlotMapping) -> bool:
    wanted = mapping.entity, mapping.role, mapping.group
    return (entity.get("entity"), entity.get("role"), entity.get("group")) == wanted
