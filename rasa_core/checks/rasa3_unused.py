"""Finds what a project of Rasa 2 or 3 has and never uses: responses, forms, intents, synonyms and patterns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from rasa_core.checks import Finding, finding
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event, UserUttered
from rasa_core.events.rasa3 import ActiveLoop
from rasa_core.nlu.training_data import TrainingData
from rasa_core.rasa3.domain_parts import RASA_DEFAULT_ACTIONS, RASA_DEFAULT_INTENTS, RasaParts
from rasa_core.rasa3.mappings import options_in
from rasa_core.stories.yaml import ReadStories
from rasa_core.stories.yaml_messages import RETRIEVAL_KEY
from rasa_core.support.places import Place

_SAID_BY_ITSELF: Final = ("utter_restart", "utter_back", "utter_default", "utter_ask_rephrase")  # By default actions.


def asks_for(form: str, slot: str) -> Iterator[str]:
    """Yield the names of the responses and actions that may ask for a slot."""
    for kind in ("utter", "action"):
        yield from (f"{kind}_ask_{part}" for part in (f"{form}_{slot}", slot))


def unused_responses(domain: Domain, parts: RasaParts, read: ReadStories, words: set[str]) -> Iterator[Finding]:
    """Find responses that nothing says, forms that nothing begins, and actions ``utter_...`` without a response."""
    events = list(events_of(read))
    used = {*_SAID_BY_ITSELF, *words, *(one.action_name for one in events if isinstance(one, ActionExecuted))}
    begun = {*used, *(one.loop_name for one in events if isinstance(one, ActiveLoop) and one.loop_name)}
    used |= {ask for name, form in parts.forms.items() for slot in form.required_slots for ask in asks_for(name, slot)}
    used |= {str(one["triggers"]) for one in options_in(parts.content["intents"]).values() if one.get("triggers")}
    used |= {name.replace("respond_", "utter_", 1) for name in used if name.startswith("respond_")}  # Of Rasa 1.
    # A form that the action server runs asks by names that nothing here tells of.
    is_asked = any(map(parts.is_listed, parts.forms))
    for name in parts.content["responses"]:
        if not name.startswith("utter_") or (is_asked and name.startswith("utter_ask_")):
            continue
        # The responses of a retrieval intent are said by the action before "/".
        if not {name, name.partition("/")[0]} & used:
            text = f"no story or rule says {name!r}; remove it, unless an action of your own does."
            yield finding("unused-response", "warning", text, [parts.lines.get(("responses", name))])
    for name in parts.forms:
        if name not in begun:
            text = f"no story or rule begins the form {name!r}; write a rule that does, or remove it."
            yield finding("unused-form", "warning", text, [parts.lines.get(("forms", name))])
    for name in domain.action_names:
        is_said = name in domain.templates or any(one.startswith(f"{name}/") for one in domain.templates)
        if name.startswith("utter_") and not is_said and name not in RASA_DEFAULT_ACTIONS:
            text = f"the action {name!r} has no response, and nothing is said."
            yield finding("no-response", "error", text, [parts.lines.get(("actions", name))])


def unused_intents(parts: RasaParts, read: ReadStories, words: set[str]) -> list[str]:
    """Return the intents that no story, rule or mapping names; `words` are those of the bot's code, and of forms."""
    if not read.steps and not read.rules:  # Of a bot that only understands.
        return []
    said = [one.intent for one in events_of(read) if isinstance(one, UserUttered)]
    used = {intent.get(key) for intent in said for key in ("name", RETRIEVAL_KEY)} | words | set(RASA_DEFAULT_INTENTS)
    used |= {intent for mappings in parts.mappings.values() for one in mappings for intent in one.intents}
    used |= {name for name, options in options_in(parts.content["intents"]).items() if options.get("triggers")}
    return [name for name in parts.intents if not {name, name.partition("/")[0]} & used]  # Stories name faq of faq/a.


def of_unused_intents(names: Iterable[str], parts: RasaParts) -> Iterator[Finding]:
    """Yield a warning for each of these intents, at its place."""
    for name in names:
        text = f"no story, rule or mapping names the intent {name!r}; write one with it, or remove it."
        yield finding("unused-intent", "warning", text, [parts.lines.get(("intents", name))])


def unused_synonyms(data: TrainingData, steps: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Find synonyms without effect, because the pipeline has no EntitySynonymMapper."""
    if steps and data.definitions and not any(step["kind"] == "EntitySynonymMapper" for step in steps):
        text = (
            "config.yml names no EntitySynonymMapper, so this synonym and others change no value; add "
            "- name: EntitySynonymMapper at the end of pipeline:, or remove them."
        )
        yield finding("unused-synonyms", "warning", text, [data.definitions[0].place])


def unused_patterns(
    data: TrainingData, steps: Sequence[Mapping[str, Any]], entities: Iterable[str], file: str
) -> Iterator[Finding]:
    """Find entities of the domain whose lookup tables and expressions find nothing, because no example marks one."""
    unmarked = set(entities) - set(data.entities)
    for step in steps:
        if step["kind"] != "RegexEntityExtractor":
            continue
        lookups = {one.name for one in data.lookups if step["use_lookup_tables"] and not one.extract} & unmarked
        regexes = {one.name for one in data.regexes if step["use_regexes"]} & unmarked
        for name in sorted(lookups | regexes):
            what = "lookup table" if name in lookups else "regular expression"
            more = ", or give the table extract: true" if name in lookups else ""
            text = (
                f"RegexEntityExtractor does not look for the {what} {name!r}, as no example marks an entity of that "
                f"name; mark one in an example, as [text]({name}){more}."
            )
            yield finding("unused-patterns", "warning", text, [Place(file)])


def events_of(read: ReadStories) -> Iterator[Event]:
    """Yield all events of stories and rules."""
    yield from (event for steps in read.steps for step in steps for event in step.events)
    for rule in read.rules:
        yield from rule.conditions
        yield from (event for event, _ in rule.steps)
