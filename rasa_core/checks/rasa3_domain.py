"""Finds entries in domain files of Rasa 2 and 3 that are read in another way than written, or that Rasa refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from rasa_core.checks import Finding, finding
from rasa_core.exceptions import did_you_mean
from rasa_core.nlu.training_data import TrainingData
from rasa_core.rasa3.domain_parts import OF_RESPONSES, SESSION_METADATA_SLOT, RasaParts
from rasa_core.rasa3.mappings import OF_FORMS
from rasa_core.rasa3.slots import KNOWN_OPTIONS as OF_SLOTS
from rasa_core.support.yaml_parts import Part, YamlError, read_yaml

_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "intents": ("use_entities", "ignore_entities", "is_retrieval_intent", "triggers"),
    "entities": ("roles", "groups", "influence_conversation"),
    "actions": ("send_domain",),
}
_VERSION: Final = re.compile(r"2\.[0-9]|3\.[01]")
_OF_SESSIONS: Final = ("session_expiration_time", "carry_over_slots_to_new_session")
_OF_MAPPINGS: Final = ("type", "entity", "role", "group", "intent", "not_intent", "value", "conditions", "action")


def check_domain_files(files: Iterable[Path]) -> Iterator[Finding]:
    """Yield a warning for each entry of a domain with an unknown key, or a value of an unexpected type."""
    for file in files:
        with suppress(YamlError):  # Whoever reads the domain tells of it.
            root = read_yaml(file)
            keys = {} if root is None else root.keys()
            if "version" in keys:
                yield from _version(keys["version"], keys)
            for key, part in keys.items():
                if key in _CHECKS:
                    yield from _CHECKS[key](key, part)


def _version(part: Part, keys: Mapping[str, Part]) -> Iterator[Finding]:
    """Check the version of a file, and that a domain of Rasa 3 has nothing of Rasa 2."""
    if not _is_text(part) or _VERSION.fullmatch(part.written) is None:
        yield _warning(part, f"version: is a text, such as '3.1'; {part.found} is read as that.")
    if part.written.startswith("2"):
        return
    if "templates" in keys:
        yield _warning(keys["templates"], "templates: is of Rasa 2; it is read as responses:.")
    for slot_name, slot in keys["slots"].keys().items() if "slots" in keys else ():
        if "auto_fill" in slot.keys():  # noqa: SIM118 (no dict)
            text = f"auto_fill: of the slot {slot_name!r} is of Rasa 2; in Rasa 3, mappings: say what fills it."
            yield _warning(slot, text)
        if (kind := slot.keys().get("type")) is not None and kind.written == "unfeaturized":
            text = f"the slot {slot_name!r} has a type of Rasa 2, which is any: with influence_conversation: false"
            yield _warning(slot, f"{text} now.")
    for intent in keys["intents"].entries() if "intents" in keys else ():
        for name, options in intent.keys().items():
            if options.get("triggers") is not None:
                yield _warning(intent, f"triggers: of the intent {name!r} is of Rasa 2; write a rule in its place.")


def _warning(part: Part, text: str) -> Finding:
    return finding("doubtful-line", "warning", text, [part.key_place])


def _unknown(keys: Mapping[str, Part], known: Iterable[str], of: str) -> Iterator[Finding]:
    for key, part in keys.items():
        if key not in known:
            text = f"nothing reads the key {key!r} of {of}.{did_you_mean(key, known)}"
            yield finding("unknown-key", "warning", text, [part.key_place])


def _is_text(part: Part) -> bool:
    return isinstance(part.data, str)


def _names(key: str, part: Part) -> Iterator[Finding]:
    """Check a list of names, some of them with options."""
    for entry in part.entries():
        if _is_text(entry) and not entry.written.strip():
            yield _warning(entry, f"an entry of {key}: has no name, and is passed over. Remove it.")
        elif not entry.is_mapping and not entry.is_list and not _is_text(entry):
            yield _warning(entry, f"an entry of {key}: is a name; {entry.written} is taken for '{entry.written}'.")
        for name, options in entry.keys().items():
            yield from _unknown(options.keys(), _OPTIONS[key], f"{name!r} in {key}:")
            used, ignored = (_listed(options, one) for one in ("use_entities", "ignore_entities"))
            if both := sorted(used & ignored):
                text = f"{name!r} uses and ignores {', '.join(both)}, which is ignored. Remove it from one of both."
                yield _warning(entry, text)


def _listed(options: Part, key: str) -> set[str]:
    part = options.keys().get(key)
    return set() if part is None else {one.written for one in part.entries()}


def _responses(key: str, part: Part) -> Iterator[Finding]:
    for name, variants in part.keys().items():
        if variants.is_list and not variants.entries():
            yield _warning(variants, f"the response {name!r} has no variant, and nothing is said.")
        for variant in variants.entries():
            if not variant.is_mapping:
                yield _warning(variant, f"a variant of the response {name!r} is like - text: {variant.written:.40}")
            keys = variant.keys()
            yield from _unknown(keys, OF_RESPONSES, f"the response {name!r}")
            for one in ("text", "channel"):
                if one in keys and not _is_text(keys[one]):
                    said = "nothing" if keys[one].is_null else f"'{keys[one].written}'"
                    yield _warning(keys[one], f"{one}: of the response {name!r} is a text; it is taken for {said}.")
            for condition in keys["condition"].entries() if "condition" in keys else ():
                kind = condition.keys().get("type")
                if kind is not None and kind.written != "slot":
                    text = f"a condition of the response {name!r} has type: slot; {kind.written!r:.40} is taken for it."
                    yield _warning(kind, text)


def _forms(key: str, part: Part) -> Iterator[Finding]:
    for name, form in part.keys().items():
        keys = form.keys()
        if "required_slots" in keys:
            yield from _unknown(keys, OF_FORMS, f"the form {name!r}")
        if "required_slots" in keys and keys["required_slots"].is_null:
            text = f"required_slots: of the form {name!r} is empty, and the form ends where it begins. Write [] if its"
            yield _warning(keys["required_slots"], f"{text} validate_{name} names them.")
        elif not set(keys) - {"ignored_intents"}:
            yield _warning(form, f"the form {name!r} has no required_slots:, and ends where it begins.")


def _slots(key: str, part: Part) -> Iterator[Finding]:
    for name, slot in part.keys().items():
        keys = slot.keys()
        yield from _values(name, keys)
        if name == SESSION_METADATA_SLOT:
            yield _warning(slot, f"the slot {name!r} is one that every bot has; remove it here.")
        yield from _unknown(keys, (*OF_SLOTS, "auto_fill"), f"the slot {name!r}") if _is_built_in(keys) else ()
        mappings = keys.get("mappings")
        for mapping in () if mappings is None else mappings.entries():
            yield from _unknown(mapping.keys(), _OF_MAPPINGS, f"a mapping of the slot {name!r}")


def _is_built_in(keys: Mapping[str, Part]) -> bool:
    return "type" in keys and "." not in keys["type"].written


def _values(name: str, keys: Mapping[str, Part]) -> Iterator[Finding]:
    """Check the initial value and the ``values:`` of a slot."""
    if "values" in keys and any(one.is_null for one in keys["values"].entries()):
        yield _warning(keys["values"], f"a value of the slot {name!r} is null, which is the slot that is not set.")
    first = keys.get("initial_value")
    if first is None or first.is_null or "type" not in keys or keys["type"].written != "float":
        return
    low, high = (_number(keys[key]) if key in keys else bound for key, bound in (("min_value", 0), ("max_value", 1)))
    number = _number(first)
    if number is None or (low is not None and high is not None and not low <= number <= high):
        text = f"initial_value: of the slot {name!r} is no number from min_value: to max_value:, {low} to {high}."
        yield _warning(first, text)


def _number(part: Part) -> float | None:
    found = part.data
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def _session(key: str, part: Part) -> Iterator[Finding]:
    keys = part.keys()
    yield from _unknown(keys, _OF_SESSIONS, "session_config:")


def answers_to_forms(parts: RasaParts, data: TrainingData | None) -> set[str]:
    """Return the intents whose examples have an entity that a form asks for; no story has to name these intents.

    Without examples, as where messages name their intents, any intent may come with such an entity.
    """
    asked = {slot for form in parts.forms.values() for slot in form.required_slots}
    entities = {one.entity for slot in asked for one in parts.mappings.get(slot, ()) if one.entity is not None}
    if data is None or not data.examples:
        return set(parts.intents) if entities else set()
    said = ((example.intent, span.entity) for example in data.examples for span in example.entities)
    return {intent for intent, entity in said if intent is not None and entity in entities}


_CHECKS: Final[Mapping[str, Callable[[str, Part], Iterator[Finding]]]] = {
    **dict.fromkeys(_OPTIONS, _names),
    "responses": _responses,
    "templates": _responses,
    "forms": _forms,
    "slots": _slots,
    "session_config": _session,
}
