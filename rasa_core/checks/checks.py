"""Looks for mistakes in a domain, its stories and its NLU data, without training.

=========================  =========  =========================================================================
Kind                       Severity   Meaning
=========================  =========  =========================================================================
``domain``                 error      the domain, or an entry of it, cannot be read
``grammar``                error      a line of a story, or a file of stories, cannot be read
``contradiction``          error      the same history, but another action follows
``unreached-checkpoint``   error      stories begin with a checkpoint to which no way leads
``impossible-condition``   error      a slot never has the value that a checkpoint asks for
``endless-loop``           error      checkpoints lead back to themselves, and the user never speaks
``undeclared-...``         error      stories name an intent, entity, slot or action that the domain has not
``unused-...``             warning    the domain has an intent, entity, slot or action that no story names
``unknown-value``          warning    a categorical slot gets a value that is none of its values
``template-not-action``    warning    a template that no action says
``dead-end``               warning    stories end with a checkpoint from which none goes on
``long-turn``              warning    more actions in a row than a server runs
``repeated-story``         warning    the same story under two names
``ignored-line``           warning    a line of a story that says nothing
``unknown-key``            warning    a key of the domain that says nothing
=========================  =========  =========================================================================

Those of NLU data are listed in `rasa_core.checks.nlu`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rasa_core.actions.action import Action
from rasa_core.actions.factories import (
    RemoteAction,
    action_factory_by_name,
    conventional_name,
    ensure_action_name_uniqueness,
)
from rasa_core.checks import Finding, finding, in_order
from rasa_core.checks.contradictions import (
    LONGEST_HISTORY,
    Contradiction,
    conversations_for,
    find_contradictions,
    find_long_turns,
    story_actions,
)
from rasa_core.checks.nlu import check_data_files, check_domain_names
from rasa_core.checks.stories import check_checkpoints, check_loops, check_names, check_repeated_stories
from rasa_core.domain import Domain
from rasa_core.domain_file import DomainFile, read_domain
from rasa_core.exceptions import DomainError
from rasa_core.slots import Slot
from rasa_core.stories.builder import UNKNOWN_NAME
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph, StoryStep
from rasa_core.support.places import Place
from rasa_core.support.problems import Problem, errors_in

__all__ = ["DEFAULT_MAX_HISTORY", "MOST_PREDICTIONS", "Finding", "check_stories"]

# What MemoizationPolicy() compares.
DEFAULT_MAX_HISTORY: Final = 5
# How many predictions a message leads to at most; the last of them has to be the one to listen.
MOST_PREDICTIONS: Final = 10


def check_stories(
    domain_text: str,
    stories: str | Path,
    max_history: int = DEFAULT_MAX_HISTORY,
    *,
    domain_name: str = "domain.yml",
    nlu_files: Sequence[Path] = (),
) -> list[Finding]:
    """Look for mistakes in a domain, its stories and its NLU data.

    Parameters
    ----------
    domain_text
        YAML.
    stories
        A story file, or a folder.
    max_history
        How many states have to be equal for two histories to be the same.
    domain_name
        What findings call the domain, such as its path.
    nlu_files
        All NLU data of the bot; none if something else understands its messages.

    Returns
    -------
    list of Finding
        Those of the domain, then those of the other files, in the order of file and line.
    """
    found: list[Finding] = []
    content = _read_domain(domain_text, domain_name, found)
    domain = None if content is None else _build_domain(content, domain_name, found)
    problems: list[Problem] = []
    read = StoryFileReader(domain, problems=problems).read_stories(stories)
    for problem in problems:
        if problem.kind != UNKNOWN_NAME:  # Those are found below, with all places.
            kind = "grammar" if problem.severity == "error" else "ignored-line"
            found.append(finding(kind, problem.severity, problem.message, [problem.place]))
    steps = [step for story in read for step in story]
    is_complete = not errors_in(problems)
    found += check_loops(steps)
    found += check_repeated_stories(read)
    if is_complete:  # Otherwise what is missing may stand in what could not be read.
        found += check_checkpoints(steps)
    if content is not None and domain is not None:
        found += check_names(domain, domain_name, content.lines, steps, is_complete=is_complete)
        found += _check_actions(steps, domain, max_history)
    if nlu_files:
        found += _check_nlu(nlu_files, domain, domain_name)
    return in_order(found, domain_name)


def _check_nlu(files: Sequence[Path], domain: Domain | None, domain_name: str) -> list[Finding]:
    data, found = check_data_files(files)
    if data is None or domain is None or not data.examples:
        return found
    # The one that begins anew is sent as /restart.
    intents = [intent for intent in domain.intents if intent in data.intents or intent != domain.restart_intent]
    return found + check_domain_names(data, intents, domain.entities, domain_name)


def _check_actions(steps: Sequence[StoryStep], domain: Domain, max_history: int) -> Iterator[Finding]:
    conversations = story_actions(conversations_for(StoryGraph(steps), domain, max_history))
    for contradiction in find_contradictions(conversations, max_history):
        yield _contradiction_finding(contradiction, max_history)
    for place, count in find_long_turns(conversations, MOST_PREDICTIONS).items():
        text = (
            f"{count} actions in a row, without listening to the user in between. A server predicts "
            f"{MOST_PREDICTIONS} for a message, and the last has to be action_listen."
        )
        yield finding("long-turn", "warning", text, [place])


def _contradiction_finding(contradiction: Contradiction, max_history: int) -> Finding:
    *others, last = sorted({action for action, _ in contradiction.actions})
    states = "state" if max_history == 1 else f"{max_history} states"
    needed = contradiction.needed
    if needed is not None:
        remedy = f"With max_history {needed} they differ: raise it, or let the stories agree"
    else:
        remedy = (
            f"No max_history up to {LONGEST_HISTORY} tells all of them apart: let the stories agree, or differ by a "
            "slot, an intent or an entity"
        )
    text = f"the same history (the last {states}) is followed by {', '.join(others)} or {last}. {remedy}."
    places = [Place(place.file, place.line, place.name, note=action) for action, place in contradiction.actions]
    return finding("contradiction", "error", text, places)


# -- the domain, as far as it can be read


def _read_domain(text: str, name: str, found: list[Finding]) -> DomainFile | None:
    """Return what stands in a domain; None if an entry cannot be read, as what the stories name may stand there."""
    problems: list[Problem] = []
    try:
        content = read_domain(text, name, problems)
    except DomainError as error:
        found.append(_domain_finding(error, name))
        return None
    for problem in problems:
        kind = "domain" if problem.severity == "error" else "unknown-key"
        found.append(finding(kind, problem.severity, problem.message, [problem.place]))
    return None if errors_in(problems) else content


def _build_domain(content: DomainFile, name: str, found: list[Finding]) -> Domain:
    """Return a domain with remote actions; of slots and actions that cannot be built, the names count."""
    slots: list[Slot] = []
    for slot, options in content.slots.items():
        try:
            slots += Domain.collect_slots({slot: options})
        except DomainError as error:
            found.append(_domain_finding(error, name, content))
            slots.append(Slot.resolve_by_type("unfeaturized")(slot))
    actions = [action.name() for action in _actions(content, name, found)]
    return Domain(
        content.intents,
        content.entities,
        slots,
        content.templates,
        actions,
        actions,
        "remote",
        intents_without_entities=content.intents_without_entities,
        **content.config,
    )


def _actions(content: DomainFile, name: str, found: list[Finding]) -> list[Action]:
    try:
        factory = action_factory_by_name(content.action_factory)
    except DomainError as error:
        found.append(finding("domain", "error", str(error), [Place(name)]))
        factory = action_factory_by_name("remote")
    is_remote = factory is action_factory_by_name("remote")
    section = "action_names" if is_remote and content.action_names else "actions"
    actions: list[Action] = []
    for written in (content.action_names or []) if section == "action_names" else content.actions:
        try:
            built = factory([written], None, content.templates)
        except DomainError as error:
            found.append(_domain_finding(error, name, content))
            built = [RemoteAction(conventional_name(written))]
        try:
            ensure_action_name_uniqueness([*actions, *built])
            actions += built
            line = content.lines[section, written]
            content.lines.setdefault(("actions", built[0].name()), line)  # A class is written in another way.
        except DomainError as error:
            found.append(_domain_finding(error, name, content))
    return actions


def _domain_finding(error: DomainError, name: str, content: DomainFile | None = None) -> Finding:
    text = str(error)
    place = re.match(rf"{re.escape(name)}(?::(\d+))?(?::\d+)?: ", text)
    line = int(place[1]) if place and place[1] else None
    if line is None and content is not None and error.item is not None:
        line = content.lines.get(error.item)
    return finding("domain", "error", text[place.end() :] if place else text, [Place(name, line)])
