"""Slot mappings: by which parts of a message slots are filled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rasa_core.events import Event, SlotSet
from rasa_core.rasa3.slots import RasaListSlot
from rasa_core.slots import Slot

MAPPING_TYPES: Final = ("from_entity", "from_text", "from_intent", "from_trigger_intent", "custom")


@dataclass(frozen=True, slots=True)
class SlotMapping:
    """One way in which a message fills a slot.

    Attributes
    ----------
    kind : str
        One of `MAPPING_TYPES`.
    conditions : tuple of dict
        ``active_loop`` and ``requested_slot``, of which one must hold; none for always.
    intents, not_intents : frozenset of str
        Intents for which it works, empty for all; and those for which it does not.
    """

    kind: str
    entity: str | None = None
    role: str | None = None
    group: str | None = None
    value: Any = None
    action: str | None = None
    intents: frozenset[str] = frozenset()
    not_intents: frozenset[str] = frozenset()
    conditions: tuple[Mapping[str, Any], ...] = ()

    def takes(self, entity: Mapping[str, Any]) -> bool:
        """Tell whether an entity is the one that is mapped; without a role, one that has none."""
        return (entity.get("entity"), entity.get("role"), entity.get("group")) == (self.entity, self.role, self.group)


def implied_slots(
    mappings: Mapping[str, Sequence[SlotMapping]], slots: Iterable[Slot], entities: Iterable[Mapping[str, Any]]
) -> list[Event]:
    """Return the slots that the entities of a message in a story or rule fill, in the order of the domain.

    As in Rasa, their mappings count there without intents, and without conditions but for the loop that is named first.
    """
    entities = [entity for entity in entities if entity.get("value") is not None]
    found: list[Event] = []
    for slot in slots if entities else ():
        values = [
            entity["value"]
            for mapping in mappings.get(slot.name, ())
            if mapping.kind == "from_entity" and not any(one.get("active_loop") for one in mapping.conditions[:1])
            for entity in entities
            if mapping.takes(entity)
        ]
        if values:
            found.append(SlotSet(slot.name, values if isinstance(slot, RasaListSlot) else values[-1]))
    return found
