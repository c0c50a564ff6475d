"""Mistakes in a project of Rasa 2 or 3: rules against rules and stories, forms that do not ask, names without a use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from rasa_core.checks import Finding, finding
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event
from rasa_core.exceptions import DomainError, ModelError, RasaCoreError, did_you_mean
from rasa_core.rasa3.domain_parts import RASA_DEFAULT_ACTIONS, RasaParts
from rasa_core.rasa_files import RasaFiles
from rasa_core.stories.yaml import ReadStories
from rasa_core.support.places import Place
from rasa_core.support.problems import Problem

Contradictions = Callable[[RasaFiles, ReadStories], None]
"""Raises `ModelError` with a line for each rule that contradicts another, or a story."""

_PLACE = re.compile(r"^(?P<file>[^\n]*?\.ya?ml):(?P<line>\d+)(?: \"(?P<name>[^\"]*)\")?: ")
_SAID_BY_ITSELF = ("utter_restart", "utter_back", "utter_default", "utter_ask_rephrase")


def check_rasa(files: RasaFiles, contradictions: Contradictions) -> list[Finding]:
    """Return what is wrong with a project, in the order of files and lines."""
    try:
        domain = files.domain
    except (DomainError, ModelError) as error:
        return [_from_line("domain", str(error), files)]
    problems: list[Problem] = []
    read = files.read_stories(problems)
    found = [finding(one.kind or "grammar", one.severity, one.message, [one.place]) for one in problems]
    try:
        contradictions(files, read)
    except RasaCoreError as error:
        found += [_from_line("contradiction", line, files) for line in str(error).splitlines()]
    assert domain.rasa is not None
    found += [*_forms(domain, domain.rasa), *_mappings(domain, domain.rasa), *_unused(domain, domain.rasa, read)]
    return sorted(found, key=lambda one: one.places[0].order)


def _from_line(kind: str, line: str, files: RasaFiles) -> Finding:
    """Return what an error says, at the place with which it begins."""
    match = _PLACE.match(line)
    if match is None:
        return finding(kind, "error", line, [Place(str(files.folder))])
    return finding(kind, "error", line[match.end() :], [Place(match["file"], int(match["line"]), match["name"])])


def _forms(domain: Domain, parts: RasaParts) -> Iterator[Finding]:
    for name, form in parts.forms.items():
        place = parts.lines.get(("forms", name))
        for slot in form.required_slots:
            if slot not in parts.content["slots"]:
                hint = did_you_mean(slot, parts.content["slots"])
                yield finding("unknown-name", "error", f"the form {name!r} asks for no slot {slot!r}.{hint}", [place])
            asks = [f"{kind}_ask_{part}" for kind in ("utter", "action") for part in (f"{name}_{slot}", slot)]
            if not any(ask in domain.action_map for ask in asks):
                text = f"nothing asks for the slot {slot!r} of the form {name!r}: add the response {asks[1]!r}."
                yield finding("form-asks-nothing", "warning", text, [place])


def _mappings(domain: Domain, parts: RasaParts) -> Iterator[Finding]:
    for slot, mappings in parts.mappings.items():
        place = parts.lines.get(("slots", slot))
        for mapping in mappings:
            named = [("entity", mapping.entity, parts.entity_names), ("action", mapping.action, domain.action_names)]
            named += [("intent", intent, domain.intents) for intent in sorted(mapping.intents | mapping.not_intents)]
            for kind, name, known in named:
                if name is not None and name not in known:
                    text = f"a mapping of the slot {slot!r} names no {kind} of the domain: {name!r}."
                    yield finding("unknown-name", "warning", text + did_you_mean(name, known), [place])


def _unused(domain: Domain, parts: RasaParts, read: ReadStories) -> Iterator[Finding]:
    used = {*_SAID_BY_ITSELF, *_executed(step.events for steps in read.steps for step in steps)}
    used |= set(_executed([event for event, _ in rule.steps] for rule in read.rules))
    for name in parts.content["responses"]:
        if name not in used and not name.startswith("utter_ask_"):
            text = f"no story or rule says {name!r}; remove it, unless an action of your own does."
            yield finding("unused-response", "warning", text, [parts.lines.get(("responses", name))])
    for name in domain.action_names:
        if name.startswith("utter_") and name not in domain.templates and name not in RASA_DEFAULT_ACTIONS:
            text = f"the action {name!r} has no response, and nothing is said."
            yield finding("no-response", "error", text, [parts.lines.get(("actions", name))])


def _executed(sequences: Iterable[Iterable[Event]]) -> Iterator[str]:
    return (event.action_name for events in sequences for event in events if isinstance(event, ActionExecuted))
