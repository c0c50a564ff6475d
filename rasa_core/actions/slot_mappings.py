"""Fills slots from a message by the slot mappings of a Rasa 3 domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.events import SlotSet, UserUttered
from rasa_core.rasa3.domain_parts import REQUESTED_SLOT, RasaParts
from rasa_core.rasa3.history import Loop
from rasa_core.rasa3.mappings import Form, SlotMapping
from rasa_core.rasa3.slots import RasaListSlot
from rasa_core.trackers import DialogueStateTracker

VALIDATE_SLOTS: Final = "action_validate_slot_mappings"


@dataclass(slots=True)
class Filling:
    """The slots that a message sets.

    Attributes
    ----------
    steps : list of SlotSet or str
        The slots that mappings fill, and the names of custom actions that fill more, in the order of the domain.
    """

    steps: list[SlotSet | str] = field(default_factory=list)

    @property
    def slots(self) -> list[SlotSet]:
        """The slots that mappings fill."""
        return [step for step in self.steps if isinstance(step, SlotSet)]

    @property
    def actions(self) -> list[str]:
        """The names of custom actions that fill more slots."""
        return [step for step in self.steps if isinstance(step, str)]


class SlotFiller:
    """Fills the slots of a domain from messages."""

    def __init__(self, domain: Domain) -> None:
        assert domain.rasa is not None
        self._parts: RasaParts = domain.rasa
        self._lists = {slot.name for slot in domain.slots if isinstance(slot, RasaListSlot)}
        self._shared = {form.name: self._shared_in(form) for form in self._parts.forms.values()}
        old = {form.name for form in self._parts.forms.values() if form.of_rasa_2}
        # Forms of Rasa 2 fill their slots when they run.
        self._at_messages = {
            slot: tuple(one for one in mappings if not old.intersection(_loops_of(one)))
            for slot, mappings in self._parts.mappings.items()
        }

    def _shared_in(self, form: Form) -> list[SlotMapping]:
        """Return the mappings of entities by which a message would fill more than one slot of a form."""
        mapped = [one for slot in form.required_slots for one in self._parts.mappings.get(slot, ())]
        return [one for one in mapped if one.kind == "from_entity" and mapped.count(one) > 1]

    def fill(self, tracker: DialogueStateTracker, loop: Loop | None) -> Filling:
        """Return the slots that the latest message sets while `loop` is active."""
        found = Filling()
        for slot, mappings in self._at_messages.items():
            self._fill_slot(slot, mappings, tracker, loop, found)
        return found

    def take(self, form: Form, tracker: DialogueStateTracker, requested: str | None, *, begins: bool) -> dict[str, Any]:
        """Return the slots that a form of Rasa 2 fills from the latest message: the requested slot, and others.

        A slot that was not requested takes an entity of its own name, or one that no other slot of the form takes. With
        `begins`, a slot also takes the intent that begins the form.
        """
        found: dict[str, Any] = {}
        message = tracker.latest_message
        others = [slot for slot in form.required_slots if slot != requested]
        for slot in [*others, *([] if requested is None else [requested])]:
            for mapping in self._parts.mappings.get(slot, ()):
                if form.name in _loops_of(mapping) and _is_meant(mapping, message, form):
                    is_asked = slot == requested and mapping.kind != "from_trigger_intent"
                    is_open = is_asked or (slot != requested and self._is_open(slot, mapping, form, requested, begins))
                    value = self._taken(slot, mapping, message) if is_open else None
                    if value is not None:
                        found[slot] = value
                        break
        return found

    def _is_open(self, slot: str, mapping: SlotMapping, form: Form, requested: str | None, begins: bool) -> bool:
        """Tell whether a mapping of a form of Rasa 2 may fill a slot that was not requested."""
        if mapping.kind == "from_trigger_intent":
            return begins
        if mapping.kind != "from_entity":
            return False
        wanted = self._parts.mappings.get(requested or "", ())
        entity = next((one.entity for one in wanted if form.name in _loops_of(one) and one.entity), None)
        is_part = entity == mapping.entity and (mapping.role, mapping.group) != (None, None)
        return is_part or slot == mapping.entity or mapping not in self._shared[form.name]

    def _taken(self, slot: str, mapping: SlotMapping, message: UserUttered) -> Any:
        """Return the value that a mapping of Rasa 2 finds, or None; for several entities, a list."""
        if mapping.kind == "from_entity":
            values = [entity.get("value") for entity in message.entities if mapping.takes(entity)]
            return (values if slot in self._lists or len(values) > 1 else values[0]) if values else None
        return message.text if mapping.kind == "from_text" else mapping.value

    def _fill_slot(
        self,
        slot: str,
        mappings: Iterable[SlotMapping],
        tracker: DialogueStateTracker,
        loop: Loop | None,
        found: Filling,
    ) -> None:
        """Fill a slot by the first mapping that finds a value; custom mappings before it are used too."""
        message = tracker.latest_message
        form = None if loop is None else self._parts.forms.get(loop.name)
        is_of_form = form is not None and slot in form.required_slots
        requested = tracker.slots[REQUESTED_SLOT].value if REQUESTED_SLOT in tracker.slots else None
        for mapping in mappings:
            if form is not None and is_of_form and slot != requested and mapping in self._shared[form.name]:
                continue  # The entity is for the slot that is asked for.
            if not _is_meant(mapping, message, form) or not _holds(slot, mapping, loop, requested):
                continue
            for value in self._found(slot, mapping, message):
                # That nothing is set to nothing again is no change, is not logged, and lets the next mapping try.
                if value is not None or (slot in tracker.slots and tracker.slots[slot].value is not None):
                    found.steps.append(SlotSet(slot, value))
                    return
            if mapping.kind == "custom" and mapping.action is not None and mapping.action not in found.steps:
                found.steps.append(mapping.action)

    def _found(self, slot: str, mapping: SlotMapping, message: UserUttered) -> Iterator[Any]:
        """Yield the value that a mapping finds, if it finds one."""
        if mapping.kind == "from_entity":
            values = [entity.get("value") for entity in message.entities if mapping.takes(entity)]
            if values:
                yield values if slot in self._lists else values[-1]  # Of several, the last counts, as in Rasa.
        elif mapping.kind == "from_text":
            if message.text is not None:
                yield [message.text] if slot in self._lists else message.text
        elif mapping.kind in ("from_intent", "from_trigger_intent"):
            yield [mapping.value] if slot in self._lists else mapping.value


def _is_meant(mapping: SlotMapping, message: UserUttered, form: Form | None) -> bool:
    """Tell whether a mapping takes the intent of a message; one that it names it always takes."""
    name: str | None = message.intent.get("name")
    if mapping.intents:
        return name in mapping.intents
    if name in mapping.not_intents:
        return False
    if mapping.fills:  # In Rasa 2, that is no part of a form.
        return True
    # While a form is active, only mappings for other loops use messages that the form ignores.
    ignores = form is not None and name in form.ignored_intents
    return not ignores or form is None or bool(mapping.conditions and form.name not in _loops_of(mapping))


def _loops_of(mapping: SlotMapping) -> list[str | None]:
    return [condition.get("active_loop") for condition in mapping.conditions]


def _holds(slot: str, mapping: SlotMapping, loop: Loop | None, requested: str | None) -> bool:
    name = None if loop is None else loop.name
    if mapping.kind == "from_trigger_intent":  # The message that begins a loop is seen twice, the second time in it.
        return name is not None and (not mapping.conditions or name in _loops_of(mapping))
    if mapping.conditions and loop is not None and loop.rejected and slot == requested:
        return False  # The loop was rejected after its question, and has not asked again.
    return not mapping.conditions or any(_is_met(condition, name, requested) for condition in mapping.conditions)


def _is_met(condition: Mapping[str, Any], loop: str | None, requested: str | None) -> bool:
    if condition.get("active_loop") != loop:  # A condition that names none holds outside of loops.
        return False
    return loop is None or condition.get("requested_slot") in (None, requested)
