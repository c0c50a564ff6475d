"""Slot mappings: by which parts of a message slots are filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

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
