"""Compares the names and values in stories with those that a domain declares."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from rasa_core.checks.findings import Finding, finding, place_of
from rasa_core.checks.lenient import CheckedDomain
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event, FollowupAction, ReminderScheduled, SlotSet, UserUttered
from rasa_core.exceptions import did_you_mean
from rasa_core.slots import CategoricalSlot
from rasa_core.stories.steps import Source, StoryStep

SECTIONS: Final = {"intent": "intents", "entity": "entities", "slot": "slots", "action": "actions"}

_REMEDIES: Final = {
    "intent": "Write a story with it, or remove it",
    "entity": "Write a story with it, or remove it",
    "slot": "Set it in a story, make it unfeaturized, or remove it",
    "action": "Write a story with it, or remove it, unless a policy of your own or a reminder runs it",
}
_VARIABLE = re.compile(r"\{(\w+)")

Sources = dict[Source | None, None]
Values = dict[str, tuple[Any, Sources]]


class UsedNames:
    """The names in stories, with all places, and the values that slots get.

    Parameters
    ----------
    steps
        The stories.
    domain
        Tells which slots the entities of a message set.
    """

    def __init__(self, steps: Iterable[StoryStep], domain: Domain) -> None:
        self.places: dict[str, dict[str, Sources]] = {kind: {} for kind in SECTIONS}
        self.values: dict[str, Values] = {}
        self._domain = domain
        for step in steps:
            for checkpoint in step.start_checkpoints:
                for slot in checkpoint.conditions or ():
                    self._use("slot", slot, step.source)
            for event, source in zip(step.events, step.sources, strict=True):
                self._read(event, source)

    def _use(self, kind: str, name: str, source: Source | None) -> None:
        self.places[kind].setdefault(name, {})[source] = None

    def _read(self, event: Event, source: Source | None) -> None:
        if isinstance(event, UserUttered):
            self._use("intent", event.intent.get("name") or "", source)
            for entity in event.entities:
                self._use("entity", str(entity["entity"]), source)
            for slot_set in self._domain.slots_for_entities(event.entities):
                self._read(slot_set, source)
        elif isinstance(event, SlotSet):
            self._use("slot", event.key, source)
            self.values.setdefault(event.key, {}).setdefault(repr(event.value), (event.value, {}))[1][source] = None
        elif isinstance(event, ActionExecuted | FollowupAction | ReminderScheduled) and event.action_name is not None:
            self._use("action", event.action_name, source)


def check_names(checked: CheckedDomain, steps: Iterable[StoryStep], *, is_complete: bool) -> Iterator[Finding]:
    """Compare stories with a domain that could be read.

    Parameters
    ----------
    checked, steps
        The domain and the stories.
    is_complete
        Whether these are all stories, so that a name which is not in them is used nowhere.
    """
    domain = checked.domain
    if domain is None:
        return
    steps = list(steps)
    used = UsedNames(steps, domain)
    yield from _undeclared(domain, used, checked.name)
    yield from _unknown_values(domain, used)
    yield from _templates_without_action(domain, checked)
    if is_complete:
        yield from _unused(domain, used, checked)
        yield from _impossible_conditions(domain, used, steps)


def _declared(domain: Domain) -> dict[str, list[str]]:
    return {
        "intent": domain.intents,
        "entity": domain.entities,
        "slot": [slot.name for slot in domain.slots],
        "action": domain.action_names,
    }


def _undeclared(domain: Domain, used: UsedNames, file: str) -> Iterator[Finding]:
    for kind, declared in _declared(domain).items():
        known = {*declared, domain.restart_intent} if kind == "intent" else set(declared)
        for name, sources in used.places[kind].items():
            if name not in known:
                hint = did_you_mean(name, known)
                if kind == "action" and name in domain.templates:
                    hint = " There is a template of that name."
                text = (
                    f"the domain has no {kind} {name[:100]!r}.{hint} Correct the stories, or declare it under "
                    f"{SECTIONS[kind]}: in {file}."
                )
                yield finding(f"undeclared-{kind}", "error", text, map(place_of, sources))


def _unused(domain: Domain, used: UsedNames, checked: CheckedDomain) -> Iterator[Finding]:
    built_in = {action.name() for action in domain.DEFAULT_ACTIONS}
    spoken = set(_VARIABLE.findall(json.dumps(domain.templates, ensure_ascii=False, default=str)))
    silent = {slot.name for slot in domain.slots if not slot.has_features()}
    expected = {"intent": {domain.restart_intent}, "slot": spoken | silent, "action": built_in}
    for kind, declared in _declared(domain).items():
        for name in declared:
            if name not in used.places[kind] and name not in expected.get(kind, ()):
                text = f"no story uses the {kind} {name!r}. {_REMEDIES[kind]}."
                yield finding(f"unused-{kind}", "warning", text, [checked.place(SECTIONS[kind], name)])


def _templates_without_action(domain: Domain, checked: CheckedDomain) -> Iterator[Finding]:
    actions = set(domain.action_names)
    for name in domain.templates:
        if name not in actions:
            text = (
                f"no action says the template {name!r}.{did_you_mean(name, actions)} List it under actions:, or remove "
                "it, unless code of your own says it."
            )
            yield finding("template-not-action", "warning", text, [checked.place("templates", name)])


# -- values of slots


def _unknown_values(domain: Domain, used: UsedNames) -> Iterator[Finding]:
    for slot in domain.slots:
        if isinstance(slot, CategoricalSlot):
            for value, sources in used.values.get(slot.name, {}).values():
                if value is not None and str(value).lower() not in slot.values:
                    text = (
                        f"the slot {slot.name!r} has the value {str(value)[:100]!r}, which is none of "
                        f"{', '.join(slot.values) or '(none)'}; policies do not see it."
                        f"{did_you_mean(str(value).lower(), slot.values)} Correct it, or list it under values:."
                    )
                    yield finding("unknown-value", "warning", text, map(place_of, sources))


def _impossible_conditions(domain: Domain, used: UsedNames, steps: Iterable[StoryStep]) -> Iterator[Finding]:
    can_be = _possible(domain, used)
    impossible: dict[tuple[str, str, str], Sources] = {}
    for step in steps:
        for start in step.start_checkpoints:
            for slot, value in (start.conditions or {}).items():
                if not can_be(slot, value):
                    impossible.setdefault((start.name, slot, repr(value)), {})[step.source] = None
    for (name, slot, value), sources in impossible.items():
        text = (
            f"the checkpoint {name[:100]!r} asks for the slot {slot!r} to be {value[:100]}, which no story sets, so "
            "what begins there is not learnt. Set it in a story before, or correct the condition."
        )
        yield finding("impossible-condition", "error", text, map(place_of, sources))


def _possible(domain: Domain, used: UsedNames) -> Callable[[str, Any], bool]:
    """Return whether a slot can have a value; one that the domain does not have is told of elsewhere."""
    slots = {slot.name: slot for slot in domain.slots}
    known: dict[tuple[str, str], bool] = {}

    def can_be(name: str, value: Any) -> bool:
        key = (name, repr(value))
        if key not in known:
            values = [value for value, _ in used.values.get(name, {}).values()]
            known[key] = name not in slots or value in [slots[name].initial_value, *values]
        return known[key]

    return can_be
