"""The parts of a Rasa 2 or 3 domain besides names: slot mappings, forms, sessions, and entities that intents use.

`read_rasa_domain` merges files; each error has file and line, and a conflict has both places.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from rasa_core.events.base import SESSION_START as SESSION_START
from rasa_core.exceptions import DomainError, did_you_mean
from rasa_core.rasa3.mappings import (
    OF_FORMS,
    Form,
    SlotMapping,
    are_of_rasa_2,
    form_of,
    modernised,
    names_in,
    session_of,
    slot_mappings,
    used_entities,
)
from rasa_core.support.places import Place
from rasa_core.support.plain_yaml import TEXT_TYPES
from rasa_core.support.yaml_parts import Part, YamlError, read_yaml, yaml_part

logger = logging.getLogger(__name__)

SNIPPET: Final = "..."
EXTRACT_SLOTS: Final = "action_extract_slots"
RASA_DEFAULT_ACTIONS: Final = (
    *("action_listen", "action_restart", SESSION_START, "action_default_fallback", "action_deactivate_loop"),
    *("action_revert_fallback_events", "action_default_ask_affirmation", "action_default_ask_rephrase"),
    *("action_two_stage_fallback", "action_unlikely_intent", "action_back", SNIPPET, EXTRACT_SLOTS),
)
"""The actions of every bot of Rasa 3, in the order of scores."""
RASA_DEFAULT_INTENTS: Final = ("restart", "back", "out_of_scope", "session_start", "nlu_fallback")
REQUESTED_SLOT: Final = "requested_slot"
SESSION_METADATA_SLOT: Final = "session_started_metadata"
TWO_STAGE_FALLBACK: Final = "action_two_stage_fallback"

ACTION_FACTORY: Final = "action_factory"
"""The key of 0.9 that says where actions run; a domain of Rasa 3 may have it too."""

KNOWN_KEYS: Final = (
    *("version", "intents", "entities", "slots", "forms", "responses", "actions", "e2e_actions", "session_config"),
    *("config", "imports", "action_factory"),
)
DATA_KEYS: Final = frozenset({"nlu", "stories", "rules"})
"""Keys of training data, which a domain file may have too."""
DOMAIN_KEYS: Final = frozenset(KNOWN_KEYS) - {"version", "imports"}
OLD_KEYS: Final[Mapping[str, str]] = {"templates": "responses"}  # As Rasa 2 took them, too.
_LISTS: Final = ("intents", "entities", "actions", "e2e_actions")
_MAPPINGS: Final = ("slots", "forms", "responses", "session_config", "config")
_LISTS_OF_PARTS: Final = ("buttons", "quick_replies", "elements", "condition")
_SAID: Final = ("text", "title", "subtitle", "payload", "image", "image_url", "item_url", "channel", "id", "name")
_OF_MAPPINGS: Final = ("entity", "role", "group", "intent", "not_intent", "action", "active_loop", "requested_slot")
_OF_OPTIONS: Final = ("roles", "groups", "use_entities", "ignore_entities")
_SAYABLE: Final = ("text", "custom")
OF_RESPONSES: Final = (*_SAYABLE, *_LISTS_OF_PARTS, "channel", "image", "attachment", "metadata", "id", "button_type")


@dataclass(frozen=True, slots=True)
class RasaParts:
    """The content of the domain files of a Rasa 2 or 3 bot.

    Attributes
    ----------
    content : dict
        The whole content as plain data, by the keys of a domain file.
    mappings : dict of str to tuple of SlotMapping
        The mappings of each slot, in the order of the file.
    session_seconds : float
        The seconds without events after which a new session begins; 0 for never.
    custom_defaults : frozenset of str
        Default actions that a custom action replaces.
    passed_over : tuple of str
        What files beside the domain say otherwise than the domain, each with its place, and does not count.
    """

    content: Mapping[str, Any]
    lines: Mapping[tuple[str, str], Place] = field(default_factory=dict)
    mappings: Mapping[str, tuple[SlotMapping, ...]] = field(default_factory=dict)
    forms: Mapping[str, Form] = field(default_factory=dict)
    entity_features: Mapping[str, frozenset[str]] = field(default_factory=dict)
    entities: tuple[str, ...] = ()
    session_seconds: float = 3600.0
    carries_slots: bool = True
    custom_defaults: frozenset[str] = frozenset()
    passed_over: tuple[str, ...] = ()

    @property
    def intents(self) -> list[str]:
        """All intents; the intents of every bot come last."""
        own = names_in(self.content["intents"])
        return [*own, *(name for name in RASA_DEFAULT_INTENTS if name not in own)]

    @property
    def entity_names(self) -> list[str]:
        """Names of the entities, without roles and groups."""
        return names_in(self.content["entities"])

    @property
    def loops(self) -> frozenset[str]:
        """Names of the actions that are loops."""
        return frozenset([*self.forms, TWO_STAGE_FALLBACK])

    def is_listed(self, action: str) -> bool:
        """Tell whether ``actions:`` lists an action."""
        return ("actions", action) in self.lines or action in names_in(self.content["actions"])

    def own_actions(self) -> list[str]:
        """Return the bot's own actions in the order of their scores: actions, responses, forms."""
        named = [name for name in names_in(self.content["actions"]) if name not in RASA_DEFAULT_ACTIONS]
        # Other names than utter_... are custom actions; a default action stays what it is.
        said = [name for name in sorted(self.content["responses"]) if name not in RASA_DEFAULT_ACTIONS]
        # utter_faq says one of utter_faq/...
        chosen = [name.partition("/")[0] for name in said if name.startswith("utter_") and "/" in name]
        return list(dict.fromkeys([*named, *said, *chosen, *self.content["forms"], *self.texts]))

    @property
    def texts(self) -> list[str]:
        """The texts that the bot says in stories; each is an action with this text as its name."""
        return [str(text) for text in self.content.get("e2e_actions") or ()]


def _are_parts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(part, dict) for part in value))


# -- reading


Read = TypeVar("Read")
OldResponses = Mapping[str, tuple[Place, list[dict[str, str]]]]


def read_rasa_domain(
    files: Sequence[str | Path],
    names: Mapping[str, list[str]] | None = None,
    of_rasa_1: OldResponses | None = None,
    beside: Collection[Path] = (),
) -> RasaParts:
    """Read and merge domain files in their order; `names` are intents and entities for a domain that lists none.

    Parameters
    ----------
    of_rasa_1
        The responses of a bot of Rasa 1 that are in Markdown files; None for a later bot.
    beside
        Those of the `files` that are no domain files, but training data: Rasa reads no domain there. What they add
        counts, and what contradicts the others, or is wrong, is passed over with a warning.

    Raises
    ------
    DomainError
        If a file cannot be read, two files conflict, or a file has a mistake.
    """
    try:
        roots = {file: part for file, part in zip(files, map(read_yaml, files), strict=True) if part is not None}
        own = [part for file, part in roots.items() if file not in beside] or list(roots.values())
        return _merged(own, names, of_rasa_1, [part for part in roots.values() if part not in own])
    except YamlError as error:
        raise DomainError(str(error)) from error


def rasa_domain_from_text(text: str, name: str = "domain") -> RasaParts | None:
    """Return the parts of one domain in YAML; None if it has no ``version:`` and so is one of 0.9."""
    try:
        root = yaml_part(text, name)
        return None if root is None or "version" not in root.keys() else _merged([root])  # noqa: SIM118
    except YamlError as error:
        raise DomainError(str(error)) from error


# Names and texts are kept as written, also 010 and 1.50.
def _data_of_options(keys: Mapping[str, Part]) -> dict[str, Any]:
    """Return the data of an intent, an entity or an action that has options."""
    return {name: part.told((), _OF_OPTIONS) if part.is_mapping else part.data for name, part in keys.items()}


def _data_of_entry(key: str, part: Part) -> Any:
    """Return the data of one entry below a `key` of a domain, such as a slot, a response or a form."""
    if key == "slots" and part.is_mapping:
        return _slot_data(part)
    if key == "responses":
        return part.told(_SAID, _LISTS_OF_PARTS)
    if key == "forms" and part.is_mapping:
        return part.told(("ignored_intents",), OF_FORMS)
    return part.data


def _slot_data(part: Part) -> dict[str, Any]:
    keys = part.keys()
    holds_texts = "type" in keys and keys["type"].written in TEXT_TYPES
    meant = ("initial_value", "value") if holds_texts else ()  # As in Rasa, 5 is a number there, too, and no text.
    data: dict[str, Any] = part.told(_OF_MAPPINGS, ("mappings", "conditions", "intent", "not_intent", "values"), meant)
    if "values" in keys and keys["values"].is_list:
        values = keys["values"].entries()
        data["values"] = [one.data if one.is_list or one.is_mapping else one.written for one in values]
    return data


class _Merger:
    """Merges the keys of several files, and keeps the place of each name."""

    def __init__(self, takes_old_forms: bool) -> None:
        self._takes_old_forms = takes_old_forms
        self.content: dict[str, Any] = {**{key: [] for key in _LISTS}, **{key: {} for key in _MAPPINGS}}
        self.lines: dict[tuple[str, str], Place] = {}  # By key and name, so that later checks can name a line too.
        self.passed_over: list[str] = []
        self.beside: set[Any] = set()  # Files of training data.

    def add_beside(self, root: Part) -> None:
        """Add a file that is no domain file: what contradicts them, or is wrong, is passed over."""
        self.beside.add(root.place.file)
        try:
            self.add(root)
        except DomainError as error:
            self.pass_over(f"{error} The domain does without it.")

    def pass_over(self, told: str) -> None:
        self.passed_over.append(told)
        logger.warning("%s", told)

    def _replaces(self, key: str, name: str, place: Place, first: Place) -> bool:
        told = f"{place}: {name!r} in {key}: is another one than that at {first}"
        if not self.beside:
            raise DomainError(f"{told}. Remove one of them.")
        replaces = key == "responses" and not self._takes_old_forms  # As in Rasa 3.
        self.pass_over(f"{told}, {'and this one' if replaces else 'which'} counts. Remove the other.")
        return replaces

    def add(self, root: Part) -> None:
        if not root.is_mapping:
            raise DomainError(f"{root.place}: a domain has keys such as intents:, and is not {root.found}.")
        for key, value in root.pairs():
            name = OLD_KEYS.get(key.written, key.written)
            if name in _LISTS:
                self._add_list(name, value)
            elif name in _MAPPINGS:
                self._add_mapping(name, value)
            elif name == ACTION_FACTORY:
                self.content[name] = value.data
                self.lines[(name, name)] = key.place
            elif name not in KNOWN_KEYS and name not in DATA_KEYS:  # No error: Rasa passes over such keys, too.
                hint = did_you_mean(name, [*KNOWN_KEYS, *DATA_KEYS])
                logger.warning("%s: unknown key %r is ignored.%s", key.place, name, hint)

    def _add_list(self, key: str, value: Part) -> None:
        if not value.is_list and not value.is_null:
            raise DomainError(f"{value.place}: {key}: is a list, one name a line, each after a dash.")
        inside: dict[str, Place] = {}
        for entry in value.entries():
            keys = entry.keys() if entry.is_mapping else {entry.written: entry}
            data = _data_of_options(keys) if entry.is_mapping else entry.data
            if not entry.is_mapping and not entry.is_null and not entry.written.strip():
                # As generators of domains write a list that they have nothing for, and Rasa takes it.
                logger.warning("%s: an entry of %s: without a name is passed over.", entry.place, key)
                continue
            has_others = any(not (one.is_mapping or one.is_null) for one in keys.values()) and entry.is_mapping
            if len(keys) != 1 or entry.is_null or not "".join(keys) or has_others:
                text = "a name, or a name with its options, which stand below it and further to the right"
                raise DomainError(f"{entry.place}: an entry of {key}: is {text}.")
            name = next(iter(keys))
            if name in inside:
                raise DomainError(
                    f"{entry.place}: {name!r} stands twice in {key}:; the first is at {inside[name]}. Remove one."
                )
            inside[name] = entry.place
            self._put(key, name, data if entry.is_mapping else name, entry.place)

    def _put(self, key: str, name: str, data: Any, place: Place) -> None:
        first = self.lines.setdefault((key, name), place)
        if first is place:
            self.content[key].append(data)
            return
        known = self.content[key][names_in(self.content[key]).index(name)]
        if known != data:
            self._replaces(key, name, place, first)

    def _add_mapping(self, key: str, value: Part) -> None:
        if key == "forms" and value.is_list and self._takes_old_forms:
            for form in value.entries():  # Forms of Rasa 1: the action server knows their slots, and runs them.
                self.lines.setdefault((key, form.written), form.place)
                self.content[key][form.written] = {}
                if self.lines.setdefault(("actions", form.written), form.place) is form.place:
                    self.content["actions"].append(form.written)
            return
        if not value.is_mapping and not value.is_null:
            example = " such as book_form: {required_slots: [room]}; a list of names is of Rasa 1" * (key == "forms")
            raise DomainError(f"{value.place}: {key}: is a mapping of names{example}.")
        for name, entry in value.pairs():
            first = self.lines.setdefault((key, name.written), name.place)
            data = _data_of_entry(key, entry)
            if first is not name.place and self.content[key][name.written] != data:
                data = data if self._replaces(key, name.written, name.place, first) else self.content[key][name.written]
            self.content[key][name.written] = data


def _merged(
    roots: Sequence[Part],
    names: Mapping[str, list[str]] | None = None,
    of_rasa_1: OldResponses | None = None,
    beside: Sequence[Part] = (),
) -> RasaParts:
    keys = [root.keys() for root in roots]
    versions = [one["version"].written for one in keys if "version" in one]
    slots = [slot.keys() for one in keys if "slots" in one for slot in one["slots"].keys().values()]
    is_old = of_rasa_1 is not None or are_of_rasa_2(versions, slots)
    merger = _Merger(is_old)
    for root in roots:
        merger.add(root)
    for root in beside:
        merger.add_beside(root)
    for name, (place, variants) in (of_rasa_1 or {}).items():
        if merger.lines.setdefault(("responses", name), place) is place:
            merger.content["responses"][name] = variants
    content = merger.content | {key: list(found) for key, found in (names or {}).items() if not merger.content[key]}
    if is_old:
        content = modernised(content)
    return replace(_Checker(content, merger).parts(), passed_over=tuple(merger.passed_over))


class _Checker:
    """Turns plain data into parts; mistakes are an error, with a line and a place for each."""

    def __init__(self, content: dict[str, Any], merger: _Merger) -> None:
        self.content, self.lines, self._merger = content, merger.lines, merger
        self._wrong: list[DomainError] = []

    def fail(self, key: str, name: str, problem: str) -> DomainError:
        place = self.lines.get((key, name))
        return DomainError(f"{place}: {problem}" if place else problem, (key, name))

    def parts(self) -> RasaParts:
        content = self.content
        content["responses"] = self._all("responses", self._response)
        forms = self._all("forms", form_of)
        mappings = self._all("slots", slot_mappings)
        if self._wrong:
            raise DomainError("\n".join(map(str, self._wrong)), self._wrong[0].item)
        seconds, carries = session_of(content["session_config"], partial(self.fail, "session_config"))
        labels, features = used_entities(content)
        return RasaParts(
            content=content,
            lines=self.lines,
            mappings=mappings,
            forms=forms,
            entity_features=features,
            entities=labels,
            session_seconds=seconds,
            carries_slots=carries,
            custom_defaults=frozenset(names_in(content["actions"])) & frozenset(RASA_DEFAULT_ACTIONS),
        )

    def _all(self, key: str, read: Callable[[str, Any, Callable[[str], DomainError]], Read]) -> dict[str, Read]:
        """Return each entry below a key as `read` reads it; the first mistake of each entry is kept."""
        found: dict[str, Read] = {}
        for name, described in list(self.content[key].items()):
            try:
                found[name] = read(name, described, partial(self.fail, key, name))
            except DomainError as error:
                place = self.lines.get((key, name))
                if place is None or place.file not in self._merger.beside:
                    self._wrong.append(error)
                else:
                    del self.content[key][name]
                    self._merger.pass_over(f"{error} The domain does without it.")
        return found

    def _response(self, name: str, variants: Any, fail: Callable[[str], DomainError]) -> list[dict[str, Any]]:
        shape = "is a list of variants, each with text: or custom:"
        if not isinstance(variants, list):
            raise fail(f"the response {name!r} {shape}.")
        found = [{"text": one} if isinstance(one, str) else one for one in variants]
        for one in found:
            if not isinstance(one, dict) or not any(key in one for key in _SAYABLE):
                raise fail(f"the response {name!r} {shape}; one has neither.")
            if wrong := [key for key in _LISTS_OF_PARTS if not _are_parts(one.get(key))]:
                part = "{type: slot, name: city}" if wrong[0] == "condition" else "{title: Yes, payload: /affirm}"
                raise fail(f"{wrong[0]}: of the response {name!r} is a list, each like {part}.")
            if isinstance(one.get("attachment"), str):
                raise fail(f"attachment: of the response {name!r} is a mapping, not a text.")
            if isinstance(one.get("text"), list | dict) or not isinstance(one.get("custom"), dict | None):
                raise fail(f"text: of the response {name!r} is a text, in quotes if it needs any; custom: a mapping.")
            for key in sorted(map(str, one.keys() - set(OF_RESPONSES))):
                if hint := did_you_mean(key, OF_RESPONSES):  # Channels of one's own may read other keys.
                    place = self.lines.get(("responses", name))
                    logger.warning("%s: unknown key %r of the response %r is ignored.%s", place, key, name, hint)
            if "text" in one:
                one["text"] = "" if one["text"] is None else str(one["text"])
        return found
