"""Forms, entities that intents use, and slot mappings: the parts of a message that fill slots; and what sessions keep.

In Rasa 2, forms list the mappings, or they are implied.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rasa_core.exceptions import did_you_mean

logger = logging.getLogger(__name__)

MAPPING_TYPES: Final = ("from_entity", "from_text", "from_intent", "from_trigger_intent", "custom")
KNOWLEDGE_BASE_ACTION: Final = "action_query_knowledge_base"
"""The action of rasa-sdk that answers from a knowledge base."""
KNOWLEDGE_BASE_SLOTS: Final = (
    *("knowledge_base_listed_objects", "knowledge_base_last_object", "knowledge_base_last_object_type"),
)
"""The slots of every bot of Rasa 3 with that action, which no domain lists."""
OF_CONDITIONS: Final = ("active_loop", "requested_slot")
"""The keys of a condition of a mapping."""
AUTO_FILL: Final = "auto_fill"
"""The option of a slot of Rasa 2 that lets the entity of its name fill it; also a mark of the mapping made for it."""
_ONLY_REQUESTED: Final = ("from_text", "from_intent")

Slots = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SlotMapping:
    """One way in which a message fills a slot.

    Attributes
    ----------
    kind : str
        One of `MAPPING_TYPES`.
    conditions : tuple of dict
        Conditions with ``active_loop`` and ``requested_slot``, of which one must hold; empty for always.
    intents, not_intents : frozenset of str
        The intents for which it works, empty for all; and the intents for which it does not work.
    fills : bool
        Whether it is the implied mapping of Rasa 2, by which an entity of any role or group fills the slot of its name.
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
    fills: bool = False

    def takes(self, entity: Mapping[str, Any]) -> bool:
        """Tell whether an entity is the mapped one; a mapping without a role takes only entities without a role."""
        if self.fills:
            return bool(entity.get("entity") == self.entity)
        return (entity.get("entity"), entity.get("role"), entity.get("group")) == (self.entity, self.role, self.group)


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, a single value as a list of one, and None as an empty list."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def names_in(entries: Iterable[Any]) -> list[str]:
    """Return the names in entries such as ``- name`` and ``- name: {...}``."""
    return [str(next(iter(entry))) if isinstance(entry, dict) else str(entry) for entry in entries]


def options_in(entries: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """Return the options of each ``- name: {...}`` by name; an empty dict for an entry without options."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        options = next(iter(entry.values())) if isinstance(entry, dict) and entry else None
        found[names_in([entry])[0]] = options if isinstance(options, dict) else {}
    return found


def used_entities(content: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, frozenset[str]]]:
    """Return all labels of entities, with roles and groups, and the labels that policies see for each intent."""
    labels: dict[str, list[str]] = {}
    unused: set[str] = set()
    for name, options in options_in(content["entities"]).items():
        # Each role and each group has a feature of its own, as in Rasa; a role and a group together have two.
        marks = [*as_list(options.get("roles")), *as_list(options.get("groups"))]
        labels[name] = [name, *(f"{name}#{mark}" for mark in dict.fromkeys(marks))]
        if options.get("influence_conversation") is False:
            unused.add(name)
    features: dict[str, frozenset[str]] = {}
    # `use_entities: []` and `use_entities: null` stand for none; to leave the key out, for all.
    for intent, options in options_in(content["intents"]).items():
        used = set(labels) if options.get("use_entities", True) is True else set(as_list(options["use_entities"] or []))
        used -= {*as_list(options.get("ignore_entities")), *unused}
        features[intent] = frozenset(label for name in used for label in labels.get(name, ()))
    return tuple(label for marked in labels.values() for label in marked), features


def slot_mappings(name: str, described: Any, fail: Callable[[str], Exception]) -> tuple[SlotMapping, ...]:
    """Return the mappings in the options of a slot; for a mistake, raise the exception that `fail` makes."""
    if not isinstance(described, dict):
        raise fail(f"the slot {name!r} is a mapping with type: and mappings:.")
    seen = described.get("influence_conversation")
    if not isinstance(seen, bool | None):  # A text such as no would count as true.
        raise fail(f"influence_conversation: of the slot {name!r} is true or false, not {seen!r:.40}.")
    found = described.get("mappings")
    if isinstance(found, dict):
        raise fail(f"mappings: of the slot {name!r} is a list; write a dash and a space before the first key below it.")
    if not isinstance(found, list):  # An empty one is a slot that no message fills, as in Rasa.
        raise fail(f"the slot {name!r} has no mappings:; write mappings: [{{type: custom}}].")
    return tuple(_mapping(name, one, fail) for one in found)


def _mapping(name: str, one: Any, fail: Callable[[str], Exception]) -> SlotMapping:
    kind = one.get("type") if isinstance(one, dict) else None
    if kind not in MAPPING_TYPES:
        hint = "" if kind is None else did_you_mean(str(kind), MAPPING_TYPES)
        if kind == "from_llm":
            hint = " It is of Rasa Pro, whose flows are not read."
        known = ", ".join(MAPPING_TYPES)
        has = "has no type:" if kind is None else f"has type {kind!r}"
        raise fail(f"a mapping of the slot {name!r} {has}.{hint} Known: {known}.")
    needed = {"from_entity": "entity", "from_intent": "value", "from_trigger_intent": "value"}.get(kind)
    if needed is not None and one.get(needed) is None:
        raise fail(f"a mapping of the slot {name!r} of type {kind} needs {needed}:.")
    return SlotMapping(
        kind,
        **{key: None if one.get(key) is None else str(one[key]) for key in ("entity", "role", "group", "action")},
        value=one.get("value"),
        intents=frozenset(map(str, as_list(one.get("intent")))),
        not_intents=frozenset(map(str, as_list(one.get("not_intent")))),
        conditions=_conditions(name, as_list(one.get("conditions")), fail),
        fills=one.get(AUTO_FILL) is True,
    )


def _conditions(name: str, written: list[Any], fail: Callable[[str], Exception]) -> tuple[Mapping[str, Any], ...]:
    if not all(isinstance(condition, dict) for condition in written):  # Without it, the mapping would always work.
        raise fail(f"a condition of the slot {name!r} is like active_loop: booking_form.")
    for key in sorted(str(key) for condition in written for key in condition if key not in OF_CONDITIONS):
        hint = did_you_mean(key, OF_CONDITIONS)
        raise fail(f"a condition of the slot {name!r} has no key {key!r}.{hint} Known: {', '.join(OF_CONDITIONS)}.")
    return tuple(written)


MAPPED: Final = "mapped"
"""The key of a stored form of Rasa 2 for its slots with their mappings."""
OF_FORMS: Final = ("required_slots", "ignored_intents", MAPPED)


@dataclass(frozen=True, slots=True)
class Form:
    """A form: a loop that asks for slots, one after the other."""

    name: str
    required_slots: tuple[str, ...]
    ignored_intents: frozenset[str] = frozenset()
    of_rasa_2: bool = False
    """Whether its mappings stood under the form, as in Rasa 2: then only these mappings answer its questions."""


def form_of(name: str, described: Any, fail: Callable[[str], Exception]) -> Form:
    """Return the form that a domain describes; for a mistake, raise the exception that `fail` makes."""
    described = {} if described is None else described
    if not isinstance(described, dict):
        raise fail(f"the form {name!r} is a mapping with required_slots:.")
    required = described.get("required_slots", described if "required_slots" not in described else None)
    if isinstance(required, dict):
        if described.get("required_slots") is not None:
            raise fail(f"required_slots: of the form {name!r} is a list of slots; their mappings stand under slots:.")
        required = [slot for slot in required if slot != "ignored_intents"]
    elif required is not None and not isinstance(required, list):
        raise fail(f"required_slots: of the form {name!r} is a list of slots, not {required!r:.40}.")
    elif unknown := [key for key in described if key not in OF_FORMS]:  # No error, as with keys of the domain.
        hint = did_you_mean(str(unknown[0]), OF_FORMS)
        logger.warning("%s", fail(f"unknown key {unknown[0]!r} of the form {name!r} is ignored.{hint}"))
    ignored = frozenset(map(str, as_list(described.get("ignored_intents"))))
    return Form(name, tuple(map(str, required or ())), ignored, MAPPED in described)


def session_of(session: Mapping[str, Any], fail: Callable[[str, str], Exception]) -> tuple[float, bool]:
    """Return the seconds after which a session ends, 0 for never, and whether slots are carried over.

    For a mistake, raise the exception that `fail` makes of a key and a text.
    """
    minutes = session.get("session_expiration_time", 60)
    if not isinstance(minutes, int | float) or isinstance(minutes, bool) or minutes < 0:
        problem = f"session_expiration_time is a number of minutes, 0 for ever, not {minutes!r}."
        raise fail("session_expiration_time", problem)
    carries = session.get("carry_over_slots_to_new_session", True)
    if not isinstance(carries, bool | None):  # A text such as no would count as true.
        problem = f"carry_over_slots_to_new_session is true or false, not {carries!r:.40}."
        raise fail("carry_over_slots_to_new_session", problem)
    return 60.0 * minutes, carries is not False


def modernised(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a domain of Rasa 2 as Rasa 3 would have it.

    A slot takes the entity of its name, listed or not, unless it has ``auto_fill: false``. A mapping of
    a form works while the form is active; ``from_text`` and ``from_intent`` only while their slot is requested.
    """
    slots: Slots = {name: dict(one) for name, one in content["slots"].items() if isinstance(one, dict)}
    own: dict[str, list[dict[str, Any]]] = {name: list(one.get("mappings") or []) for name, one in slots.items()}
    fills = (content.get("config") or {}).get("store_entities_as_slots", True)
    forms = {name: _form(name, one or {}, own) for name, one in content["forms"].items()}
    for name, one in slots.items():
        # Last, as Rasa 2 filled a slot by itself only where no mapping of a form had.
        if "mappings" not in one and one.pop(AUTO_FILL, True) is not False and fills:
            own[name].append({"type": "from_entity", "entity": name, AUTO_FILL: True})
        one["mappings"] = own[name] or [{"type": "custom"}]  # Rasa 3 wants one; this one does nothing by itself.
    return {**content, "slots": slots, "forms": forms}


def _form(name: str, described: Mapping[str, Any], own: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return a form without its mappings, and add them to the mappings of the slots."""
    direct = {key: value for key, value in described.items() if key != "ignored_intents"}
    required = described.get("required_slots", direct)  # Before 2.6, slots stood right under the form.
    written = {}
    if isinstance(required, dict):
        written = {MAPPED: required}
        for slot, mappings in required.items():
            for mapping in mappings or [{"type": "from_entity", "entity": slot}]:
                if slot in own:
                    own[slot].append(_while_active(mapping, name, slot))
        required = list(required)
    ignored = {"ignored_intents": described["ignored_intents"]} if "ignored_intents" in described else {}
    return {"required_slots": required, **ignored, **written}


def as_written(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form as in its file, with the mappings of a form of Rasa 2, which rasa-sdk 2 reads."""
    told = {key: value for key, value in form.items() if key != MAPPED}
    return {**told, "required_slots": form[MAPPED]} if MAPPED in form else told


def are_of_rasa_2(versions: Sequence[str], slots: Sequence[Collection[str]]) -> bool:
    """Tell whether domain files are of Rasa 2, in which forms have mappings, from their versions and the keys of slots.

    One file of version 3 makes it a bot of Rasa 3. Without a version, it is one of Rasa 2 if no slot has ``mappings:``.
    """
    if versions:
        return all(version.startswith("2") for version in versions)
    return bool(slots) and not any("mappings" in keys for keys in slots)


_CLASSES: Final = {
    "text": "TextSlot", "bool": "BooleanSlot", "categorical": "CategoricalSlot", "float": "FloatSlot",
    "list": "ListSlot", "any": "AnySlot", "unfeaturized": "UnfeaturizedSlot",
}  # fmt: skip
_UNINFLUENTIAL: Final = ("any", "unfeaturized")


def is_of_rasa_2(content: Mapping[str, Any]) -> bool:
    """Tell whether `modernised` made the content of a domain, as far as the content shows it."""
    mappings = (mapping for slot in content["slots"].values() for mapping in slot.get("mappings") or ())
    return any(mapping.get(AUTO_FILL) is True for mapping in mappings) or any(
        MAPPED in (form or {}) for form in content["forms"].values()
    )


def slot_of_rasa_2(slot: Mapping[str, Any]) -> dict[str, Any]:
    """Return a slot as Rasa 2 told it to action servers: with the path of its class, and without mappings."""
    kind = str(slot.get("type"))
    bounds = {"max_value": slot.get("max_value", 1.0), "min_value": slot.get("min_value", 0.0)}
    return {
        "type": f"rasa.shared.core.slots.{_CLASSES[kind]}" if kind in _CLASSES else kind,
        "initial_value": slot.get("initial_value"),
        AUTO_FILL: any(mapping.get(AUTO_FILL) is True for mapping in slot.get("mappings") or ()),
        "influence_conversation": slot.get("influence_conversation", kind not in _UNINFLUENTIAL),
        **({"values": slot.get("values")} if kind == "categorical" else bounds if kind == "float" else {}),
    }


def _while_active(mapping: Mapping[str, Any], form: str, slot: str) -> dict[str, Any]:
    kind = mapping.get("type")
    condition = {"active_loop": form}
    if kind in _ONLY_REQUESTED:
        condition["requested_slot"] = slot
    return {**mapping, "conditions": [condition]}
