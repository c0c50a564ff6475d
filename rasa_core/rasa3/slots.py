"""Slots of Rasa 2 and 3, whose features distinguish a slot that is not set from the values false, 0 or unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rasa_core.events import Event, SlotSet
from rasa_core.exceptions import DomainError, did_you_mean
from rasa_core.rasa3.mappings import SlotMapping
from rasa_core.slots import Slot, class_from_path, short_text, unfit_option

OTHER_VALUE: Final = "__other__"  # As Rasa names it, since a domain may list it itself.


class RasaSlot(Slot):
    """Base of the slots of Rasa 2 and 3.

    Parameters
    ----------
    influence_conversation
        Whether policies see the slot.
    """

    def __init__(self, name: str, initial_value: Any = None, influence_conversation: bool = True) -> None:
        super().__init__(name, initial_value)
        self.influence_conversation = influence_conversation

    def features_of(self, value: Any) -> list[float]:
        """Return the features of a value; subclasses define them."""
        return [1.0]

    def as_feature(self) -> list[float]:  # noqa: D102
        return [] if self.value is None or not self.influence_conversation else self.features_of(self.value)

    def feature_dimensionality(self) -> int:  # noqa: D102
        return 1 if self.influence_conversation else 0

    def condition_value(self) -> Any:
        """Return the value for a story that has only the name of the slot; None if that means "not set"."""
        return None


class RasaTextSlot(RasaSlot):
    """Text; policies see only whether it is set."""

    def condition_value(self) -> Any:  # noqa: D102
        return "set"  # Any text does, as only the presence is seen.

    def feature_text(self) -> str | None:  # noqa: D102
        return short_text(self.value) if self.influence_conversation else None


class RasaListSlot(RasaSlot):
    """A list; policies see only whether it is set. A single value becomes a list of one.

    As in Rasa, a single value that is false in Python, such as an empty text, stays unchanged, and counts as not set.
    """

    def features_of(self, value: Any) -> list[float]:  # noqa: D102
        return [1.0] if value else []

    @property
    def value(self) -> Any:
        """The list, or None."""
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self._value = [value] if value and not isinstance(value, list) else value

    def condition_value(self) -> Any:  # noqa: D102
        return ["set"]


class RasaBooleanSlot(RasaSlot):
    """True, false, or not set."""

    def features_of(self, value: Any) -> list[float]:  # noqa: D102
        truth = _truth(value)
        return [] if truth is None else [1.0, float(truth)]

    def feature_dimensionality(self) -> int:  # noqa: D102
        return 2 if self.influence_conversation else 0


class RasaFloatSlot(RasaSlot):
    """A number, scaled from ``min_value..max_value`` to 0..1, or not set."""

    def __init__(
        self,
        name: str,
        initial_value: Any = None,
        influence_conversation: bool = True,
        max_value: float = 1.0,
        min_value: float = 0.0,
    ) -> None:
        super().__init__(name, initial_value, influence_conversation)
        if not all(isinstance(bound, int | float) for bound in (min_value, max_value)) or not min_value < max_value:
            raise DomainError(f"slot {name!r}: min_value ({min_value}) must be less than max_value ({max_value}).")
        if not isinstance(initial_value, int | float | None):
            raise DomainError(f"slot {name!r}: initial_value is a number, not {initial_value!r:.40}.")
        self.max_value, self.min_value = max_value, min_value

    def features_of(self, value: Any) -> list[float]:  # noqa: D102
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return []
        if math.isnan(number):  # Which `min` and `max` would let through, into the network.
            return []
        clipped = min(max(number, self.min_value), self.max_value)
        return [1.0, (clipped - self.min_value) / (self.max_value - self.min_value)]

    def feature_dimensionality(self) -> int:  # noqa: D102
        return 2 if self.influence_conversation else 0


class RasaCategoricalSlot(RasaSlot):
    """One of the ``values:`` in upper or lower case, or another value, or not set."""

    def __init__(
        self, name: str, initial_value: Any = None, influence_conversation: bool = True, values: Any = None
    ) -> None:
        super().__init__(name, initial_value, influence_conversation)
        if values is not None and not isinstance(values, list):
            raise DomainError(f"slot {name!r}: values is a list such as [low, high], not {values!r}.")
        known = [str(value).lower() for value in values or []]
        self.values = known if OTHER_VALUE in known else [*known, OTHER_VALUE]

    def features_of(self, value: Any) -> list[float]:  # noqa: D102
        text = str(value).lower()
        chosen = text if text in self.values else OTHER_VALUE
        return [1.0 if one == chosen else 0.0 for one in self.values]

    def feature_dimensionality(self) -> int:  # noqa: D102
        return len(self.values) if self.influence_conversation else 0


class RasaAnySlot(RasaSlot):
    """Anything; policies never see it."""

    def as_feature(self) -> list[float]:  # noqa: D102
        return []

    def feature_dimensionality(self) -> int:  # noqa: D102
        return 0


_TYPES: Final[Mapping[str, type[RasaSlot]]] = {
    "text": RasaTextSlot,
    "bool": RasaBooleanSlot,
    "categorical": RasaCategoricalSlot,
    "float": RasaFloatSlot,
    "list": RasaListSlot,
    "any": RasaAnySlot,
}
_BUILT_IN: Final[Mapping[str, str]] = {
    "TextSlot": "text",
    "BooleanSlot": "bool",
    "CategoricalSlot": "categorical",
    "FloatSlot": "float",
    "ListSlot": "list",
    "AnySlot": "any",
    "UnfeaturizedSlot": "any",
}
_OPTIONS: Final = ("values", "min_value", "max_value")
_OF_EVERY_SLOT: Final = ("type", "initial_value", "mappings", "influence_conversation", "auto_fill")
KNOWN_OPTIONS: Final = (*_OPTIONS, *_OF_EVERY_SLOT, "value_reset_delay")


def rasa_slot(name: str, described: Mapping[str, Any]) -> Slot:
    """Return the slot for an entry under ``slots:`` in a Rasa 3 domain.

    Raises
    ------
    DomainError
        If its type is unknown, or its options do not fit the type.
    """
    type_name = described.get("type")
    module, _, class_name = str(type_name).rpartition(".")
    if module.startswith("rasa."):  # rasa.shared.core.slots.TextSlot, and where it stood in Rasa 2.
        type_name = _BUILT_IN.get(class_name, type_name)
    type_name = "any" if type_name == "unfeaturized" else type_name
    kind: type[Slot] | None = _TYPES.get(str(type_name))
    if kind is None and module and not module.startswith("rasa."):
        kind = class_from_path(str(type_name), Slot)
    if kind is None:
        known = ", ".join(_TYPES)
        raise DomainError(
            f"slot {name!r}: unknown type {type_name!r}.{did_you_mean(str(type_name), _TYPES)} Known types: {known}, "
            "or the dotted path of your own Slot class."
        )
    for key in sorted(described.keys() - set(KNOWN_OPTIONS)) if kind in _TYPES.values() else ():
        if hint := did_you_mean(key, KNOWN_OPTIONS):
            raise DomainError(f"slot {name!r} of type {type_name!r}: there is no option {key!r}.{hint}")
    is_seen = described.get("influence_conversation", True) is not False
    if type_name == "any" == described.get("type") and described.get("influence_conversation") is True:
        text = "has no features, so that influence_conversation: true does nothing. Leave it out, or take another type."
        raise DomainError(f"slot {name!r}: a slot of type 'any' {text}")
    # What is null is not said; what does not fit the type, its class refuses, below.
    said = {key: value for key, value in described.items() if value is not None and key not in _OF_EVERY_SLOT}
    if issubclass(kind, RasaSlot):
        options = {key: said[key] for key in _OPTIONS if key in said} | {"influence_conversation": is_seen}
    else:  # A class of the user's own has options of its own.
        options = said
        kind = kind if is_seen else _unseen(kind)
    try:
        return kind(name, described.get("initial_value"), **options)
    except TypeError as error:
        raise DomainError(f"slot {name!r} of type {type_name!r}: {unfit_option(error)}") from error


def implied_slots(
    mappings: Mapping[str, Sequence[SlotMapping]], slots: Iterable[Slot], entities: Iterable[Mapping[str, Any]]
) -> list[Event]:
    """Return the slots that the entities of a message in a story or rule fill, in the order of the domain.

    As in Rasa, mappings count there without their intents, and of their conditions only the first loop counts.
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


def _unseen(kind: type[Slot]) -> type[Slot]:
    """Return a subclass of a slot class without features, so that policies do not see its slots."""
    return type(kind.__name__, (kind,), {"feature_dimensionality": lambda slot: 0, "as_feature": lambda slot: []})


def _truth(value: Any) -> bool | None:
    """Return a value as a bool: of texts and numbers, only 1 is true; None for a value that is no bool.

    A text with a point or a sign, such as "0.5", is no bool, as in Rasa.
    """
    if isinstance(value, str) and not value.isnumeric():
        return {"true": True, "false": False}.get(value.strip().lower())
    try:  # As Rasa reads it: 0.5 and 2 are false.
        return float(value) == 1.0
    except (TypeError, ValueError, OverflowError):
        return None
