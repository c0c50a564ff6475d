"""What the bot understands and can do: intents, entities, slots, templates and actions.

The order of actions and features is fixed, so that a model means the same thing in every process:
``action_listen`` and ``action_restart`` come first, then the actions in the order of the file; features are
intents, entities (both in the order of the file), slots (by name) and previous actions.
"""

from __future__ import annotations

import hashlib
import json
import random
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from rasa_core import _legacy
from rasa_core.domain.features import PREV_PREFIX as PREV_PREFIX
from rasa_core.domain.features import DomainFeatures
from rasa_core.domain.file import (
    CONFIG_KEYS,
    DEFAULT_ACTION_NAMES,
    Template,
    all_errors,
    checked_factory,
    names_of_actions,
    read_domain,
    write_yaml,
)
from rasa_core.events import ActionExecuted, Event, FollowupAction, ReminderScheduled, SlotSet
from rasa_core.exceptions import DomainError, UnknownActionError, UnknownSlotError, did_you_mean
from rasa_core.history import RasaVocabulary, Vocabulary
from rasa_core.rasa3.domain_parts import (
    ACTION_FACTORY,
    RASA_DEFAULT_ACTIONS,
    REQUESTED_SLOT,
    SESSION_METADATA_SLOT,
    RasaParts,
    rasa_domain_from_text,
)
from rasa_core.rasa3.mappings import KNOWLEDGE_BASE_ACTION, KNOWLEDGE_BASE_SLOTS
from rasa_core.rasa3.slots import implied_slots, rasa_slot
from rasa_core.slots import Slot, unfit_option
from rasa_core.support.text_files import TextFileError, read_text

InvalidDomain = DomainError  # As Rasa Core 0.13 calls it.


class _DefaultActions:
    """``Domain.DEFAULT_ACTIONS`` of 0.9; made at each access, since actions are in a higher room than the domain."""

    def __get__(self, instance: object, owner: type) -> list[Any]:
        return list(_legacy.load("default_actions")())


class Domain(DomainFeatures):
    """Everything that a bot can understand, remember, do and say.

    Parameters
    ----------
    intents, entities
        Names, in the order of their features.
    slots
        What the bot remembers.
    templates
        Name of an action to the texts that it may say: ``{"text": ..., "buttons": ...}``.
    action_classes
        As ``actions`` in domain.yml: template names or dotted class paths (local), or any names (remote).
    action_names
        Names of the actions, if they differ from `action_classes`.
    action_factory
        ``"local"`` (also None) or ``"remote"``.
    topics
        Accepted and ignored.
    store_entities_as_slots
        Whether an entity sets the slot of the same name.
    restart_intent
        The intent that restarts a conversation.
    intents_without_entities
        Intents whose entities do not influence predictions.
    rasa
        The additional parts of a domain of Rasa 2 or 3; None for a domain of 0.9.
    """

    DEFAULT_ACTIONS: ClassVar = _DefaultActions()

    def __init__(
        self,
        intents: Iterable[str],
        entities: Iterable[str],
        slots: Iterable[Slot],
        templates: Mapping[str, list[Template]],
        action_classes: Sequence[str] = (),
        action_names: Sequence[str] | None = None,
        action_factory: str | None = None,
        topics: object = None,
        *,
        store_entities_as_slots: bool = True,
        restart_intent: str = "restart",
        intents_without_entities: Iterable[str] = (),
        rasa: RasaParts | None = None,
    ) -> None:
        self.rasa = rasa
        self.default_action_names = DEFAULT_ACTION_NAMES if rasa is None else RASA_DEFAULT_ACTIONS
        self.intents = list(intents)
        self.entities = list(entities)
        # The order of features in 0.9.
        self.slots = sorted(slots, key=lambda slot: slot.name)
        self.templates = dict(templates)
        if topics:
            warnings.warn("topics have no effect; remove them.", DeprecationWarning, stacklevel=2)
        self.topics: list[str] = []
        self.default_topic = None
        self.store_entities_as_slots = store_entities_as_slots
        self.restart_intent = restart_intent
        self.intents_without_entities = list(intents_without_entities)
        self.action_classes = list(action_classes)
        self.action_factory = checked_factory(action_factory)
        own = names_of_actions(self.action_factory, self.action_classes, action_names, self.templates)
        self.action_names = [*self.default_action_names, *own]
        # A generator of its own, so that `random.seed` or another bot in the process does not change the choice.
        self._choice = random.Random(0)

    @property
    def _factory_name(self) -> str | None:  # As it was called in 0.9.
        return self.action_factory

    # -- reading and writing

    @classmethod
    def load(cls, filename: str | Path, action_factory: str | None = None) -> Self:
        """Read a domain file; an `action_factory` that is given wins over the file.

        Raises
        ------
        DomainError
            If the file is missing, or not a domain; the message names the line.
        """
        return cls.from_yaml(_read(filename), action_factory, name=str(filename))

    @classmethod
    def from_yaml(cls, text: str, action_factory: str | None = None, *, name: str = "domain") -> Self:
        """Read a domain from YAML text, which is of Rasa 2 or 3 if it has ``version:``; errors call the text `name`."""
        parts = rasa_domain_from_text(text, name)
        if parts is not None:
            return cls.from_rasa(parts, action_factory)
        content = read_domain(text, name)
        try:
            return cls(
                content.intents,
                content.entities,
                cls.collect_slots(content.slots),
                content.templates,
                content.actions,
                content.action_names,
                action_factory or content.action_factory,
                content.topics,
                intents_without_entities=content.intents_without_entities,
                **content.config,
            )
        except DomainError as error:
            raise all_errors(content, name, error, action_factory, cls.collect_slots) from error

    @classmethod
    def from_rasa(cls, parts: RasaParts, action_factory: str | None = None) -> Self:
        """Build the domain of a Rasa 2 or 3 bot; an `action_factory` that is given wins over the files."""
        slots = _rasa_slots(parts)
        try:
            domain = cls(
                parts.intents,
                parts.entities,
                slots,
                parts.content["responses"],
                parts.own_actions(),
                # Built as remote first, since "local" would import classes, and a Rasa 3 domain names no classes.
                action_factory="remote",
                store_entities_as_slots=False,
                rasa=parts,
            )
            domain.action_factory = checked_factory(action_factory or parts.content.get(ACTION_FACTORY))
        except DomainError as error:
            key, wrong = error.item or (ACTION_FACTORY, ACTION_FACTORY)
            keys = key, "forms", "responses", "e2e_actions"  # All but the first name actions, too.
            places = (parts.lines.get((one, name)) for one in keys for name in (wrong, key))
            place = next(filter(None, places), "domain")
            raise DomainError(f"{place}: {error}", error.item) from error
        return domain

    @classmethod
    def validate_domain_yaml(cls, filename: str | Path) -> None:
        """Raise `DomainError` unless the file is a domain; nothing is built, no class is imported."""
        read_domain(_read(filename), str(filename))

    @staticmethod
    def collect_slots(slot_dict: Mapping[str, Mapping[str, Any]]) -> list[Slot]:
        """Build slots, sorted by name, from what stands under ``slots:``."""
        slots = []
        for name in sorted(slot_dict):
            options = dict(slot_dict[name])
            type_name = options.pop("type", None)
            try:
                kind = Slot.resolve_by_type(type_name)
                kind.check_options(options)
                slots.append(kind(name, **options))
            except (TypeError, DomainError) as error:
                problem = unfit_option(error) if isinstance(error, TypeError) else error
                own = str(problem).removeprefix(f"slot {name!r}: ")
                raise DomainError(f"slot {name!r} of type {type_name!r}: {own}", ("slots", name)) from error
        return slots

    @staticmethod
    def collect_templates(yml_templates: Mapping[str, Any]) -> dict[str, list[Template]]:
        """Bring what stands under ``templates:`` into its long form."""
        return read_domain(write_yaml({"templates": dict(yml_templates)}), "templates").templates

    @staticmethod
    def instantiate_actions(
        factory_name: str | None,
        action_classes: Sequence[str],
        action_names: Sequence[str] | None,
        templates: Collection[str],
    ) -> list[Any]:
        """Return the built-in actions, and an `Action` for each name, from the factory called `factory_name`."""
        own = _legacy.load("instantiate_actions")(factory_name, action_classes, action_names, templates)
        return [*_legacy.load("default_actions")(), *own]

    def as_dict(self) -> dict[str, Any]:
        """Return the content of domain.yml as plain data."""
        if self.rasa is not None:
            return {"version": "3.1", **self.rasa.content}
        without = set(self.intents_without_entities)
        intents = [{name: {"use_entities": False}} if name in without else name for name in self.intents]
        return {
            "intents": intents,
            "entities": self.entities,
            "slots": {slot.name: slot.persistence_info() for slot in self.slots},
            "templates": self.templates,
            "actions": self.action_classes,
            "action_names": self._own_action_names(),
            "action_factory": self.action_factory,
            "config": {name: getattr(self, name) for name in CONFIG_KEYS},
        }

    def as_yaml(self) -> str:
        """Return the text of domain.yml."""
        return write_yaml(self.as_dict())

    def persist(self, filename: str | Path) -> None:
        """Write domain.yml."""
        from rasa_core.support.folders import whole_file  # To read a domain needs less.

        with whole_file(filename, "utf-8", permissions=0o666) as file:
            file.write(self.as_yaml())

    def fingerprint(self) -> str:
        """Return a hash of the parts of the domain on which predictions depend, without the texts of templates."""
        content = self.as_dict()
        # How an action is carried out, or worded, changes no prediction; a model stays valid when it does.
        for key in ("templates", "actions", "action_factory", "responses"):
            content.pop(key, None)
        content["action_names"] = self._own_action_names()
        text = json.dumps(content, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    # -- actions

    @cached_property
    def actions(self) -> list[Any]:
        """The actions as `Action` objects, in the order of their names."""
        own = self._own_action_names()
        if self.rasa is not None:
            return list(_legacy.load("rasa_actions")(self.action_names))
        return self.instantiate_actions(self.action_factory, self.action_classes, own, self.templates)

    def _own_action_names(self) -> list[str]:
        return self.action_names[len(self.default_action_names) :]

    @cached_property
    def action_map(self) -> dict[str, tuple[int, Any]]:
        """Name of an action to its index and its `Action`."""
        return {name: (self.action_indices[name], self.action_for_name(name)) for name in self.action_names}

    def action_for_name(self, action_name: str) -> Any:
        """Return an `Action`; raise `UnknownActionError` with the nearest names if there is none."""
        return self.actions[self.index_for_action(action_name)]

    def action_for_index(self, index: int) -> Any:
        """Return the `Action` at `index`."""
        if not 0 <= index < self.num_actions:
            raise UnknownActionError(f"no action has the index {index}; there are {self.num_actions}.")
        return self.actions[index]

    def index_for_action(self, action_name: str) -> int:
        """Return the index of an action; raise `UnknownActionError` with nearest names if there is none."""
        index = self.action_indices.get(action_name)
        if index is None:
            hint = f"{did_you_mean(action_name, self.action_indices)} Actions stand under actions: in domain.yml."
            raise UnknownActionError(f"the domain has no action {action_name[:100]!r}.{hint}")
        return index

    def random_template_for(self, utter_action: str, among: Sequence[Template] | None = None) -> Template | None:
        """Return one of the templates of an action, or of `among`; the sequence is the same in every process."""
        variants = self.templates.get(utter_action) if among is None else among
        return self._choice.choice(variants) if variants else None

    # -- slots and events

    def slots_for_entities(self, entities: Iterable[Mapping[str, Any]]) -> list[Event]:
        """Return the `SlotSet` events for entities that have the name of a slot.

        A list slot takes all values, any other slot the last.
        """
        if not self.store_entities_as_slots:
            return []
        values: dict[str, list[Any]] = {}
        for entity in entities:
            values.setdefault(entity["entity"], []).append(entity.get("value"))
        return [
            SlotSet(slot.name, values[slot.name] if slot.type_name == "list" else values[slot.name][-1])
            for slot in (self.slots if values else ())
            if slot.name in values
        ]

    def slots_in_story(self, entities: Iterable[Mapping[str, Any]]) -> list[Event]:
        """Return the `SlotSet` events for the entities of a message in a story or rule."""
        if self.rasa is None:
            return self.slots_for_entities(entities)
        is_asked = self.rasa.content["config"].get("store_entities_as_slots", True)
        return implied_slots(self.rasa.mappings, self.slots, entities) if is_asked else []

    @cached_property
    def _slot_names(self) -> frozenset[str]:
        return frozenset(slot.name for slot in self.slots)

    def check_event(self, event: Event) -> None:
        """Raise `UnknownActionError` or `UnknownSlotError` if `event` names what the domain does not have."""
        if isinstance(event, SlotSet) and event.key not in self._slot_names:
            hint = f"{did_you_mean(event.key, self._slot_names)} Slots stand under slots: in domain.yml."
            raise UnknownSlotError(f"the domain has no slot {event.key[:100]!r}.{hint}")
        if isinstance(event, ActionExecuted | FollowupAction | ReminderScheduled) and event.action_name is not None:
            self.index_for_action(event.action_name)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The names that a history counts."""
        names = frozenset(self.intents), frozenset(self.entities), frozenset(self.action_names)
        if self.rasa is not None:
            order = tuple(dict.fromkeys([*self.rasa.content["slots"], *(slot.name for slot in self.slots)]))
            features, loops = self.rasa.entity_features, self.rasa.loops
            return RasaVocabulary(*names, entity_features=features, loops=loops, slot_order=order)
        return Vocabulary(*names, frozenset(self.intents_without_entities))


TemplateDomain = Domain


def _rasa_slots(parts: RasaParts) -> list[Slot]:
    """Return the slots of a domain, and the slots of every bot of Rasa 3."""
    described = dict(parts.content["slots"])
    if parts.forms:
        described.setdefault(REQUESTED_SLOT, {"type": "text", "influence_conversation": False})
    described.setdefault(SESSION_METADATA_SLOT, {"type": "any"})
    if parts.is_listed(KNOWLEDGE_BASE_ACTION):
        for name in KNOWLEDGE_BASE_SLOTS:
            described.setdefault(name, {"type": "any"})
    slots = []
    for name, one in described.items():
        try:
            slots.append(rasa_slot(name, one))
        except DomainError as error:
            place = parts.lines.get(("slots", name))
            raise DomainError(f"{place}: {error}" if place else str(error), ("slots", name)) from error
    return slots


def _read(filename: str | Path) -> str:
    try:
        return read_text(filename)
    except TextFileError as error:
        raise DomainError(f"cannot read the domain {str(error.place)!r}: {error.problem}") from error


def check_domain_sanity(domain: Domain) -> None:
    """Raise `DomainError` if a name stands twice among the intents, entities, slots or actions."""
    named = {
        "intents": domain.intents,
        "entities": domain.entities,
        "slots": [slot.name for slot in domain.slots],
        "actions": domain.action_names,
    }
    for what, names in named.items():
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise DomainError(f"{what} of the domain stand there more than once: {', '.join(doubles)}.")
