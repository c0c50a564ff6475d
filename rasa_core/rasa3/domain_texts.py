"""Names and texts in a domain of Rasa 2 and 3: what is written counts, ``010`` and ``1.50`` included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rasa_core.support.plain_yaml import TEXT_TYPES
from rasa_core.support.yaml_parts import Part

LISTS_OF_PARTS: Final = ("buttons", "quick_replies", "elements", "condition")
"""What a response has several of."""

_SAID: Final = ("text", "title", "subtitle", "payload", "image", "image_url", "item_url", "channel", "id", "name")
_OF_MAPPINGS: Final = ("entity", "role", "group", "intent", "not_intent", "action", "active_loop", "requested_slot")
_OF_OPTIONS: Final = ("roles", "groups", "use_entities", "ignore_entities")
_OF_FORMS: Final = ("required_slots", "ignored_intents")


def data_of_options(keys: Mapping[str, Part]) -> dict[str, Any]:
    """Return the data of an intent, an entity or an action that has options."""
    return {name: part.told((), _OF_OPTIONS) if part.is_mapping else part.data for name, part in keys.items()}


def data_of_entry(key: str, part: Part) -> Any:
    """Return the data of one slot, response or form, or of what else stands below a `key` of a domain."""
    if key == "slots" and part.is_mapping:
        return _slot_data(part)
    if key == "responses":
        return part.told(_SAID, LISTS_OF_PARTS)
    if key == "forms" and part.is_mapping:
        return part.told(("ignored_intents",), _OF_FORMS)
    return part.data


def _slot_data(part: Part) -> dict[str, Any]:
    keys = part.keys()
    holds_texts = "type" in keys and keys["type"].written in TEXT_TYPES
    texts = (*_OF_MAPPINGS, *(("initial_value", "value") if holds_texts else ()))
    data: dict[str, Any] = part.told(texts, ("mappings", "conditions", "intent", "not_intent"))
    if "values" in keys and keys["values"].is_list:
        values = keys["values"].entries()
        data["values"] = [one.data if one.is_list or one.is_mapping else one.written for one in values]
    return data
