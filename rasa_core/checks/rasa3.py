"""Mistakes that only a project of Rasa 2 or 3 can have; `rasa_core.checks.checks` lists all others.

=========================  =========  =========================================================================
Kind                       Severity   Meaning
=========================  =========  =========================================================================
``domain``                 error      a domain file cannot be read
``configuration``          error      config.yml names something that does not exist, or has an invalid option
``endpoints``              error      endpoints.yml cannot be read; a warning if only a variable is not set
``contradiction``          error      rules contradict other rules or stories, or stories contradict each other; a
                                      warning if training does not check it
``unused-rules``           warning    there are rules, and no policy that follows them
``unused-synonyms``        warning    there are synonyms, and the pipeline has no ``EntitySynonymMapper``
``unused-patterns``        warning    ``RegexEntityExtractor`` does not look for an entity that no example marks
``unread-option``          warning    an option of a component is misspelt
``unread-import``          warning    ``imports:`` names a project or module that does not exist
``unknown-key``            warning    a file has a key that nothing reads
``no-stories``             error      there are neither stories nor rules, and no NLU examples
``no-response``            error      an action ``utter_...``, or a part of a retrieval intent, has no response
``unknown-name``           warning    a form, mapping, condition or button names something that the domain does not
                                      have; an error in a rule, at which training stops
``form-asks-nothing``      warning    no response and no action asks for a slot of a form
``doubtful-line``          warning    a value in a domain has an unexpected type
``said-twice``             warning    a ``bot:`` step of a story repeats what the action before it says
``unused-response``        warning    no story, rule, form or custom action says a response, or it cannot be said
``unused-form``            warning    no story or rule begins a form
``unused-intent``          warning    no story, rule or mapping names an intent, and it fills no form
=========================  =========  =========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rasa_core.checks import Finding, finding, finding_in, words_of_code
from rasa_core.checks.checks import DEFAULT_MAX_HISTORY, check_histories
from rasa_core.checks.nlu import check_data_files, check_domain_names
from rasa_core.checks.rasa3_domain import answers_to_forms, check_domain_files
from rasa_core.checks.rasa3_unused import (
    asks_for,
    events_of,
    of_unused_intents,
    unused_intents,
    unused_patterns,
    unused_responses,
    unused_synonyms,
)
from rasa_core.checks.responses import check_responses, intents_of_buttons
from rasa_core.checks.stories import check_checkpoints, check_loops, check_repeated_stories
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted
from rasa_core.exceptions import DomainError, ModelError, RasaCoreError, did_you_mean
from rasa_core.nlu.training_data import TrainingData
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.policies.rasa2 import is_triggered
from rasa_core.policies.rules import UNFOLLOWED, RulePolicy, follows_rules
from rasa_core.rasa3.domain_parts import RASA_DEFAULT_INTENTS, RasaParts
from rasa_core.rasa3.endpoints import read_endpoints
from rasa_core.rasa3.mappings import SlotMapping
from rasa_core.rasa_project.config import RasaConfig, read_rasa_config
from rasa_core.rasa_project.files import NO_STORIES, UNREAD_DOMAIN, RasaFiles, keys_of
from rasa_core.rasa_project.imports import notes_of_imports
from rasa_core.stories.builder import LOST, NO_ACTION, UNKNOWN_NAME
from rasa_core.stories.yaml import ReadStories, YamlStoryReader
from rasa_core.support.places import Place
from rasa_core.support.problems import UNKNOWN_KEY, Note, Problem, Severity

Contradictions = Callable[[RasaFiles, ReadStories, bool, bool], None]
"""Raises `ModelError` with a line for each rule that contradicts another rule or a story, or that has more than one
user message where this is an error."""

_NO_NAME: Final = "the domain has no "


def check_rasa(
    files: RasaFiles,
    contradictions: Contradictions,
    max_history: int = DEFAULT_MAX_HISTORY,
    *,
    ignores_own: bool = False,
    nlu_files: Sequence[Path] = (),
) -> list[Finding]:
    """Return the mistakes in a project, in the order of files and lines.

    Parameters
    ----------
    max_history
        The number of last states that two equal histories of stories share.
    ignores_own
        Whether custom policies and components are allowed.
    nlu_files
        More files with examples of intents, such as those in Markdown and JSON of a bot of Rasa 1 or 2.
    """
    found, config = _config_and_servers(files, ignores_own)
    unread = [(f"{UNREAD_DOMAIN}.", [Place(str(path))]) for path in files.unread_domains]
    found += [finding("not-read", "warning", text, places) for text, places in unread]
    found += [*_unknown_keys(keys_of(files)), *check_domain_files(dict.fromkeys(files.domain_files))]
    try:
        domain = files.domain
    except (DomainError, ModelError) as error:  # Without its names, everything would be unknown.
        return [*found, *(finding_in(line, "domain", str(files.folder)) for line in str(error).splitlines())]
    problems: list[Problem] = []
    read = files.read_stories(problems)
    found += map(_of_problem, problems)
    found = _told_once(found, _of_rules(files, read, config, contradictions))
    found += _stories(read, domain, max_history, problems)
    found += _tests(files)
    data, wrong = check_data_files(list(dict.fromkeys([*files.nlu_files, *nlu_files])))
    found += wrong
    acts = read.steps or read.rules or (data and data.examples) or (config and is_triggered(config.policies))
    if not (acts or problems or wrong):
        found.append(finding("no-stories", "error", NO_STORIES, [Place(str(files.folder))]))
    parts = domain.rasa
    assert parts is not None
    unfit = [] if config is None else config.unfit(domain)
    found += [finding("configuration", "error", one.message, [one.place]) for one in unfit]
    words = words_of_code(files.folder)
    found += [*_forms(domain, parts), *_mappings(domain, parts), *_responses(domain, parts)]
    found += check_responses(
        parts.content["responses"],
        parts.intents,
        parts.content["slots"],
        lambda name: parts.lines.get(("responses", name)),
        words,
    )
    found += [*_passed_over(parts, str(files.folder)), *_said_twice(parts, read)]
    dead: list[str] = []
    if not any(one.severity == "error" and not one.kind for one in problems):  # What was not read may name them.
        found += unused_responses(domain, parts, read, words)
        dead = unused_intents(parts, read, words | answers_to_forms(parts, data))
        found += of_unused_intents(dead, parts)
    if config is not None and data is not None:
        found += unused_synonyms(data, config.pipeline.steps)
    if data is not None and data.examples:
        found += _nlu(data, domain, read, config, files, dead)
    return sorted(found, key=lambda one: one.places[0].order)


def _of_rules(
    files: RasaFiles, read: ReadStories, config: RasaConfig | None, contradictions: Contradictions
) -> list[Finding]:
    """Return the contradictions between rules, or between rules and stories, if a policy follows the rules."""
    policies = [RulePolicy()] if config is None else config.policies
    rules = next((policy for policy in policies if isinstance(policy, RulePolicy)), None)
    if rules is None:
        nobody = bool(read.rules) and not follows_rules(policies)
        return [finding("unused-rules", "warning", f"{UNFOLLOWED}.", [read.rules[0].place])] if nobody else []
    found: dict[str, Finding] = {}
    # Where training compares nothing, it refuses rules that cannot be all the same.
    for compares in (True,) if rules.check_for_contradictions else (False, True):
        try:
            contradictions(files, read, rules.restrict_rules, compares)
        except RasaCoreError as error:
            severity: Severity = "error" if compares == rules.check_for_contradictions else "warning"
            for line in str(error).splitlines():
                found.setdefault(line, finding_in(line, "contradiction", str(files.folder), severity))
    return list(found.values())


def _told_once(found: Sequence[Finding], of_rules: Sequence[Finding]) -> list[Finding]:
    """Return all findings; an unknown name in a rule is reported once, as the error at which training stops."""
    ends = [replace(one, kind=UNKNOWN_NAME) if one.message.startswith(_NO_NAME) else one for one in of_rules]
    told = {(*one.places[0].order[:2], one.message) for one in ends}
    return [*(one for one in found if (*one.places[0].order[:2], one.message) not in told), *ends]


def _config_and_servers(files: RasaFiles, ignores_own: bool) -> tuple[list[Finding], RasaConfig | None]:
    found: list[Finding] = []
    config: RasaConfig | None = None
    for lenient in (True,) if ignores_own else (False, True):  # Custom policies are reported, others compared.
        try:
            config = read_rasa_config(files.config_file, lambda max_history: KerasPolicy(), ignores_own=lenient)
        except ModelError as error:
            found = [finding_in(line, "configuration", str(files.folder)) for line in str(error).splitlines()]
    found += _unknown_keys([*config.notes, *config.pipeline.notes] if config else ())
    for note in notes_of_imports(files.config_file):
        if note.fate != "same":
            text = f"{note.what!r} is {note.message}{'' if note.message.endswith('?') else '.'}"
            found.append(finding("unread-import", "warning", text, [note.place]))
    try:
        found += _unknown_keys(read_endpoints(files.folder).notes)
    except ModelError as error:
        # The machine that checks need not have the passwords of the one that serves.
        severity: Severity = "warning" if "the environment has no variable" in str(error) else "error"
        found.append(finding_in(str(error), "endpoints", str(files.folder), severity))
    return found, config


def _unknown_keys(notes: Iterable[Note]) -> Iterator[Finding]:
    """Yield a warning for each key that nothing reads, and for each misspelt option."""
    for note in notes:
        if any("Did you mean" in option for option in note.unused):
            text = f"{note.what} has no option {', '.join(note.unused)}."
            yield finding("unread-option", "warning", text, [note.place])
        if note.is_unknown:
            said = f"nothing reads the key {note.what!r}.{note.message.removeprefix(UNKNOWN_KEY).lstrip('.')}"
            yield finding("unknown-key", "warning", said if said.endswith((".", "?")) else f"{said}.", [note.place])


def _of_problem(problem: Problem) -> Finding:
    if problem.kind == LOST:
        return finding("lost-turn", "warning", problem.message, [problem.place])
    if problem.kind == UNKNOWN_NAME and problem.message.startswith(NO_ACTION):  # Training ends with it.
        return finding(problem.kind, "error", problem.message, [problem.place])
    return finding(problem.kind or "grammar", problem.severity, problem.message, [problem.place])


def _tests(files: RasaFiles) -> Iterator[Finding]:
    """Find mistakes and unknown names in test stories, which ``evaluate`` reads, but training does not."""
    problems: list[Problem] = []
    YamlStoryReader(files.domain, problems).read_files(files.test_files)
    for problem in problems:
        kind = "lost-turn" if problem.kind == LOST else problem.kind or "grammar"
        yield finding(kind, problem.severity, problem.message, [problem.place])


def _stories(read: ReadStories, domain: Domain, max_history: int, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Find the mistakes in stories that stories of 0.9 can have too."""
    steps = [step for story in read.steps for step in story]
    yield from check_loops(steps)
    yield from check_repeated_stories(read.steps)
    if not any(problem.severity == "error" for problem in problems):  # Else names may be in unread parts.
        yield from check_checkpoints(steps)
        yield from check_histories(steps, domain, max_history)


def _forms(domain: Domain, parts: RasaParts) -> Iterator[Finding]:
    for name, form in parts.forms.items():
        place = parts.lines.get(("forms", name))
        for intent in sorted(form.ignored_intents - set(parts.intents)):
            text = f"the form {name!r} ignores the intent {intent!r}, which the domain does not have."
            yield finding("unknown-name", "warning", text + did_you_mean(intent, parts.intents), [place])
        for slot in form.required_slots:
            if slot not in parts.content["slots"]:
                hint = did_you_mean(slot, parts.content["slots"])
                text = f"the form {name!r} asks for the slot {slot!r}, which the domain does not have.{hint}"
                yield finding("unknown-name", "error", text, [place])
                continue  # It cannot be filled, however it is asked for.
            asks = list(asks_for(name, slot))
            if not any(ask in domain.action_indices for ask in asks):
                text = f"nothing asks for the slot {slot!r} of the form {name!r}: add the response {asks[1]!r}."
                yield finding("form-asks-nothing", "warning", text, [place])


def _mappings(domain: Domain, parts: RasaParts) -> Iterator[Finding]:
    for slot, mappings in parts.mappings.items():
        place = parts.lines.get(("slots", slot))
        # The implied mapping of a slot to the entity of its name has no place in a file.
        for mapping in (one for one in mappings if not one.fills):
            for kind, name, known in _named_by(mapping, domain, parts):
                if name is not None and name not in known:
                    text = f"a mapping of the slot {slot!r} names the {kind} {name!r}, which the domain does not have."
                    yield finding("unknown-name", "warning", text + did_you_mean(name, known), [place])
            for form in sorted({str(one.get("active_loop")) for one in mapping.conditions} & parts.forms.keys()):
                if slot not in parts.forms[form].required_slots and mapping.kind != "from_trigger_intent":
                    text = f"a mapping of the slot {slot!r} is for the form {form!r}, which does not ask for it."
                    yield finding("unknown-name", "warning", f"{text} Add it to required_slots:.", [place])


def _named_by(mapping: SlotMapping, domain: Domain, parts: RasaParts) -> Iterator[tuple[str, Any, Iterable[str]]]:
    """Yield the names in a mapping: the kind of each, the name, and all known names of this kind."""
    yield "entity", mapping.entity, parts.entity_names
    yield "action", mapping.action, domain.action_names
    yield from (("intent", intent, parts.intents) for intent in sorted(mapping.intents | mapping.not_intents))
    labels = [label.partition("#") for label in parts.entities]
    marks = [mark for entity, _, mark in labels if entity == mapping.entity and mark]
    yield from (("role or group", mark, marks) for mark in (mapping.role, mapping.group))
    for condition in mapping.conditions:
        yield "form", condition.get("active_loop"), parts.forms
        yield "slot", condition.get("requested_slot"), parts.content["slots"]


def _responses(domain: Domain, parts: RasaParts) -> Iterator[Finding]:
    """Find unknown slots in conditions of responses."""
    for name, variants in parts.content["responses"].items():
        place = parts.lines.get(("responses", name))
        for variant in variants:
            for condition in variant.get("condition") or ():
                if "name" not in condition or "value" not in condition:
                    text = f"a condition of the response {name!r} needs a name and a value; it is never said without."
                    yield finding("unknown-name", "warning", text, [place])
                elif (slot := condition["name"]) not in parts.content["slots"]:
                    text = f"a condition of {name!r} names the slot {slot!r}, which the domain does not have."
                    yield finding("unknown-name", "warning", text + did_you_mean(slot, parts.content["slots"]), [place])


def _passed_over(parts: RasaParts, folder: str) -> Iterator[Finding]:
    """Tell what training data say of the domain otherwise than the domain, and responses that are none."""
    yield from (finding_in(line, "not-read", folder, "warning") for line in parts.passed_over)
    for name in parts.content["responses"]:
        if not name.startswith("utter_") and not parts.is_listed(name):
            text = f"the response {name!r} is never said, as an action of this name runs in its place; call it"
            plain = "default" if name == "action_default_fallback" else name.lower().replace("utter_", "", 1)
            yield finding(
                "unused-response", "warning", f"{text} 'utter_{plain}'.", [parts.lines.get(("responses", name))]
            )


def _said_twice(parts: RasaParts, read: ReadStories) -> Iterator[Finding]:
    for step in (step for steps in read.steps for step in steps):
        names = [event.action_name if isinstance(event, ActionExecuted) else "" for event in step.events]
        for before, text, place in zip(names, names[1:], step.sources[1:], strict=False):
            variants = parts.content["responses"].get(before, ())
            if text in parts.texts and any(one.get("text") == text for one in variants):
                told = (
                    f"the bot says {text!r:.60} twice: bot: in a story is an action of its own, and {before!r} says it."
                )
                yield finding("said-twice", "warning", f"{told} Remove it, or move the story to tests/.", [place])


def _nlu(
    data: TrainingData,
    domain: Domain,
    read: ReadStories,
    config: RasaConfig | None,
    files: RasaFiles,
    dead: Sequence[str],
) -> Iterator[Finding]:
    """Find differences between NLU data, domain, stories and pipeline."""
    parts = domain.rasa
    assert parts is not None
    lines = {name: place for (key, name), place in parts.lines.items() if key == "intents"}
    # Examples would not help an intent that is named nowhere.
    given = {*RASA_DEFAULT_INTENTS, *intents_of_buttons(parts.content["responses"]), *dead}
    name = str(files.first_domain_file())
    yield from check_domain_names(data, parts.intents, parts.entity_names, name, lines, given)
    # Backwards, so that the first place of each stays.
    retrieved = {one.intent: one.place for one in reversed(data.examples) if one.intent and "/" in one.intent}
    done = {one.action_name for one in events_of(read) if isinstance(one, ActionExecuted)}
    for intent, place in sorted(retrieved.items()):
        base = intent.partition("/")[0]
        is_answered = {f"utter_{base}", f"respond_{base}"} & done  # Other actions say something of their own.
        if is_answered and f"utter_{intent}" not in parts.content["responses"]:
            text = f"the intent {intent!r} has no response 'utter_{intent}', and nothing is said."
            yield finding("no-response", "error", text, [place])
    if config is not None:
        yield from unused_patterns(data, config.pipeline.steps, parts.entity_names, str(files.config_file))
    names = {name.partition("/")[0] for name in retrieved}
    for step in () if config is None else config.pipeline.steps:
        wanted = step.get("retrieval_intent")
        if wanted is not None and wanted not in names:
            text = f"a ResponseSelector is for the retrieval intent {wanted!r}, of which the NLU data has no examples."
            place = Place(str(files.config_file))
            yield finding("unknown-name", "warning", text + did_you_mean(wanted, names), [place])
